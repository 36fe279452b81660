"""A second, plain implementation of P-DARTS: its step, the pruning of its phases, its dropout rate and derivation.

Written from notes on the authors' code (section 1), with torch's optimisers, for double precision. The elements dropped
by dropout are passed in.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from plain_dropnas import EDGE_LIST, apply_operation
from plain_network import KINDS, Weights, kind_of, logits_of, softmax_over
from torch import Tensor, nn
from torch.nn import functional

Dropped = Callable[[int, int, int, Tensor], Tensor]  # (cell, edge, operation, its output) -> the output after dropout


@dataclass
class Plain:
    """One phase; alphas and kept operations by kind, each (14, |O|); weights and alphas are leaves."""

    operations: tuple[str, ...]
    cells: int
    weights: list[Tensor]
    alphas: dict[str, Tensor]
    kept: dict[str, Tensor]
    sgd: Any = None
    adam: Any = None


def dropout_rate(start: float, epoch: int, epochs: int = 25, frozen: int = 10, decay: float = 0.2) -> float:
    """The rate in an epoch, counted from 0: linear while the alphas are frozen, then exponential from `start` again."""
    if epoch < frozen:
        return start * (epochs - 1 - epoch) / epochs
    return start * math.exp(-decay * (epoch - frozen))


def logits(world: Plain, images: Tensor, dropped: Dropped) -> Tensor:
    """The logits of the supernet without pruned operations."""

    def edge_of(cell: int, edge: int, x: Tensor, stride: int, weights: Weights) -> Tensor:
        kind = kind_of(cell, world.cells)
        total = torch.zeros((), dtype=x.dtype)
        for index, p in enumerate(softmax_over(world.alphas[kind][edge], world.kept[kind][edge].tolist())):
            if p is not None:
                answer = apply_operation(world.operations[index], x, stride, weights[index])
                if world.operations[index] == "skip_connect" and stride == 1:
                    answer = dropped(cell, edge, index, answer)
                total = total + p * answer
        return total

    return logits_of(world.weights, world.operations, world.cells, images, edge_of)


def step(
    world: Plain,
    batch: tuple[Tensor, Tensor],
    held_out: tuple[Tensor, Tensor],
    dropped: Mapping[str, Dropped],
    rate: float,
    settings: Any,
    alpha_clip: float | None,
) -> float:
    """Train the alphas on the held-out batch (None: frozen), then w on the other one; return the loss of w."""
    alphas = list(world.alphas.values())
    if world.sgd is None:
        world.sgd = torch.optim.SGD(
            world.weights, lr=rate, momentum=settings.momentum, weight_decay=settings.weight_decay
        )
        betas = (settings.alpha_beta1, settings.alpha_beta2)
        world.adam = torch.optim.Adam(
            alphas, lr=settings.alpha_learning_rate, betas=betas, weight_decay=settings.alpha_weight_decay
        )
    if alpha_clip is not None:
        _differentiate(world, held_out, dropped["alphas"], alphas)
        nn.utils.clip_grad_norm_(alphas, alpha_clip)
        world.adam.step()
    loss = _differentiate(world, batch, dropped["weights"], world.weights)
    nn.utils.clip_grad_norm_(world.weights, settings.gradient_clip)
    world.sgd.param_groups[0]["lr"] = rate
    world.sgd.step()
    return loss


def _differentiate(world: Plain, batch: tuple[Tensor, Tensor], dropped: Dropped, parameters: list[Tensor]) -> float:
    loss = functional.cross_entropy(logits(world, batch[0], dropped), batch[1])
    gradients = torch.autograd.grad(loss, parameters, materialize_grads=True)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient
    return loss.item()


def pruned(alphas: Tensor, kept: Tensor, count: int) -> Tensor:
    """The kept operations of a kind, (14, |O|), after removing the `count` ones with the smallest p from each edge."""
    left = kept.clone()
    for edge, row in enumerate(alphas.tolist()):
        candidates = [index for index in range(len(row)) if kept[edge, index]]
        for _ in range(count):
            worst = min(candidates, key=lambda index: math.exp(row[index]))
            candidates.remove(worst)
            left[edge, worst] = False
    return left


def genotype(
    operations: Sequence[str], alphas: Sequence[Tensor], kept: Sequence[Tensor], limit: int
) -> list[list[tuple[str, int]]]:
    """The cells of both kinds, normal first: (operation, predecessor), two for each node, by predecessor."""
    found = []
    for kind in range(len(KINDS)):
        p = []
        for row, keeps in zip(alphas[kind].tolist(), kept[kind].tolist(), strict=True):
            total = math.fsum(math.exp(a) for a, keep in zip(row, keeps, strict=True) if keep)
            p.append({index: math.exp(row[index]) / total for index in range(len(row)) if keeps[index]})
        cell = _cell(operations, p)
        while kind == 0 and sum(name == "skip_connect" for _, name, _ in cell.values()) > limit:
            skips = [edge for edge, (_, name, _) in cell.items() if name == "skip_connect"]
            weakest = min(skips, key=lambda edge: cell[edge][0])
            for index in p[weakest]:
                if operations[index] == "skip_connect":
                    p[weakest][index] = 0.0
            cell = _cell(operations, p)
        found.append([(name, source) for _, name, source in cell.values()])
    return found


def _cell(operations: Sequence[str], p: Sequence[Mapping[int, float]]) -> dict[int, tuple[float, str, int]]:
    """The chosen edges: score, operation, predecessor."""
    best = {}
    for edge, (_, source) in enumerate(EDGE_LIST):
        left = {index: score for index, score in p[edge].items() if operations[index] != "none"}
        while len(left) > 1:
            del left[min(left, key=lambda index: left[index])]
        ((index, score),) = left.items()
        best[edge] = (score, operations[index], source)
    chosen = []
    for node in (2, 3, 4, 5):
        own = [edge for edge, (end, _) in enumerate(EDGE_LIST) if end == node]
        while len(own) > 2:
            own.remove(min(own, key=lambda edge: best[edge][0]))  # for equal scores, the earlier edge is removed
        chosen += own
    return {edge: best[edge] for edge in chosen}
