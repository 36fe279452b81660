"""A second, plain implementation of StacNAS: its step, the candidates of both stages and its derivation.

Written from notes on the authors' code (section 8), with torch's optimisers, for double precision.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from plain_dropnas import EDGE_LIST, apply_operation
from plain_network import KINDS, Weights, kind_of, logits_of, softmax_over
from torch import Tensor, nn
from torch.nn import functional

CLUSTERS = {
    "max_pool_3x3": ["avg_pool_3x3", "max_pool_3x3", "none"],
    "skip_connect": ["skip_connect", "skip_connect", "none"],
    "sep_conv_3x3": ["sep_conv_3x3", "sep_conv_5x5", "none"],
    "dil_conv_3x3": ["dil_conv_3x3", "dil_conv_5x5", "none"],
}


@dataclass
class Plain:
    """One stage; alphas and kept operations by kind, each (14, |O|); weights and alphas are leaves."""

    operations: tuple[str, ...]
    cells: int
    weights: list[Tensor]
    alphas: dict[str, Tensor]
    kept: dict[str, Tensor]
    sgd: Any = None
    adam: Any = None


def logits(world: Plain, images: Tensor) -> Tensor:
    """The logits of the supernet, from the candidates only."""

    def edge_of(cell: int, edge: int, x: Tensor, stride: int, weights: Weights) -> Tensor:
        kind = kind_of(cell, world.cells)
        total = torch.zeros((), dtype=x.dtype)
        for index, p in enumerate(softmax_over(world.alphas[kind][edge], world.kept[kind][edge].tolist())):
            if p is not None:
                total = total + p * apply_operation(world.operations[index], x, stride, weights[index])
        return total

    return logits_of(world.weights, world.operations, world.cells, images, edge_of)


def step(world: Plain, batch: tuple[Tensor, Tensor], rate: float, settings: Any) -> float:
    """One pass, with Adam on the alphas and SGD on w; return the loss."""
    alphas = list(world.alphas.values())
    if world.sgd is None:
        world.sgd = torch.optim.SGD(
            world.weights, lr=rate, momentum=settings.momentum, weight_decay=settings.weight_decay
        )
        betas = (settings.alpha_beta1, settings.alpha_beta2)
        world.adam = torch.optim.Adam(
            alphas, lr=settings.alpha_learning_rate, betas=betas, weight_decay=settings.alpha_weight_decay
        )
    loss = functional.cross_entropy(logits(world, batch[0]), batch[1])
    parameters = [*world.weights, *alphas]
    gradients = torch.autograd.grad(loss, parameters, materialize_grads=True)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient
    nn.utils.clip_grad_norm_(world.weights, settings.gradient_clip)
    world.adam.step()
    world.sgd.param_groups[0]["lr"] = rate
    world.sgd.step()
    return loss.item()


def first_stage(operations: Sequence[str]) -> list[bool]:
    """One operation of each cluster, and none; of two equal operations, the first one."""
    return [name in (*CLUSTERS, "none") and operations.index(name) == index for index, name in enumerate(operations)]


def second_stage(operations: Sequence[str], alphas: Tensor) -> Tensor:
    """The kept operations of a kind, (14, |O|), after the first stage: the cluster of each edge's best operation."""
    kept = torch.zeros(len(EDGE_LIST), len(operations), dtype=torch.bool)
    for edge, row in enumerate(alphas.tolist()):
        candidates = [i for i, first in enumerate(first_stage(operations)) if first and operations[i] != "none"]
        winner = max(candidates, key=lambda index: row[index])
        kept[edge] = torch.tensor([name in CLUSTERS[operations[winner]] for name in operations])
    return kept


def genotype(
    operations: Sequence[str], alphas: Sequence[Tensor], kept: Sequence[Tensor]
) -> list[list[tuple[str, int]]]:
    """The cells of both kinds, normal first: (operation, predecessor), two for each node, the stronger one first."""
    found = []
    for kind in range(len(KINDS)):
        cell: list[tuple[str, int]] = []
        for node in (2, 3, 4, 5):
            winners = []
            for edge, (end, source) in enumerate(EDGE_LIST):
                if end == node:
                    row = alphas[kind][edge].tolist()
                    left = [i for i, name in enumerate(operations) if kept[kind][edge][i] and name != "none"]
                    best = max(left, key=lambda index: row[index])
                    winners.append((-row[best], source, operations[best]))
            cell += [(name, source) for _, source, name in sorted(winners)[:2]]
        found.append(cell)
    return found
