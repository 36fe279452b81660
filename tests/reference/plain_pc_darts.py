"""A second, plain implementation of PC-DARTS: bypassed channels, edge normalisation, its step and its derivation.

Written from notes on the authors' code (section 2), with torch's optimisers, for double precision.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from plain_dropnas import EDGE_LIST, apply_operation
from plain_network import KINDS, Weights, kind_of, logits_of
from torch import Tensor, nn
from torch.nn import functional


@dataclass
class Plain:
    """One search; alphas and betas by kind, (14, |O|) and (14,); all tensors are leaves."""

    operations: tuple[str, ...]
    cells: int
    proportion: int
    weights: list[Tensor]
    alphas: dict[str, Tensor]
    betas: dict[str, Tensor]
    sgd: Any = None
    adam: Any = None


def shuffled(x: Tensor, groups: int) -> Tensor:
    """Shuffle: channel j K + g of the result is channel g C/K + j of x."""
    of_group = x.shape[1] // groups
    return torch.stack([x[:, g * of_group + j] for j in range(of_group) for g in range(groups)], dim=1)


def edge_weights(betas: Tensor) -> list[Tensor]:
    """The softmax of the betas over the incoming edges of each node."""
    found: list[Tensor] = []
    for node in (2, 3, 4, 5):
        own = [betas[edge] for edge, (end, _) in enumerate(EDGE_LIST) if end == node]
        found.extend(torch.exp(beta) / torch.exp(torch.stack(own)).sum() for beta in own)
    return found


def logits(world: Plain, images: Tensor) -> Tensor:
    """The logits of the supernet."""
    p = {kind: alphas.softmax(dim=-1) for kind, alphas in world.alphas.items()}
    of_edges = {kind: edge_weights(betas) for kind, betas in world.betas.items()}

    def edge_of(cell: int, edge: int, x: Tensor, stride: int, weights: Weights) -> Tensor:
        kind, through = kind_of(cell, world.cells), x.shape[1] // world.proportion
        first, others = x[:, :through], x[:, through:]
        mixed = torch.zeros((), dtype=x.dtype)
        for index, name in enumerate(world.operations):
            mixed = mixed + p[kind][edge, index] * apply_operation(name, first, stride, weights[index])
        if stride == 2:
            others = functional.max_pool2d(others, 2, 2, ceil_mode=True)
        return of_edges[kind][edge] * shuffled(torch.cat([mixed, others], dim=1), world.proportion)

    return logits_of(world.weights, world.operations, world.cells, images, edge_of)


def step(
    world: Plain,
    batch: tuple[Tensor, Tensor],
    held_out: tuple[Tensor, Tensor],
    rate: float,
    settings: Any,
    frozen: bool,
) -> float:
    """Train alphas and betas on the held-out batch (unless frozen), then w on the other one; return the loss of w."""
    architecture = [*world.alphas.values(), *world.betas.values()]
    if world.sgd is None:
        world.sgd = torch.optim.SGD(
            world.weights, lr=rate, momentum=settings.momentum, weight_decay=settings.weight_decay
        )
        betas = (settings.alpha_beta1, settings.alpha_beta2)
        world.adam = torch.optim.Adam(
            architecture, lr=settings.alpha_learning_rate, betas=betas, weight_decay=settings.alpha_weight_decay
        )
    if not frozen:
        loss = functional.cross_entropy(logits(world, held_out[0]), held_out[1])
        for parameter, gradient in zip(
            architecture, torch.autograd.grad(loss, architecture, materialize_grads=True), strict=True
        ):
            parameter.grad = gradient
        world.adam.step()
    loss = functional.cross_entropy(logits(world, batch[0]), batch[1])
    for weight, gradient in zip(world.weights, torch.autograd.grad(loss, world.weights), strict=True):
        weight.grad = gradient
    nn.utils.clip_grad_norm_(world.weights, settings.gradient_clip)
    world.sgd.param_groups[0]["lr"] = rate
    world.sgd.step()
    return loss.item()


def genotype(operations: Sequence[str], alphas: Sequence[Tensor], betas: Sequence[Tensor]) -> list[list[Any]]:
    """The cells of both kinds, normal first: (operation, predecessor), two for each node, the stronger one first."""
    found = []
    for of_kind in range(len(KINDS)):
        cell: list[Any] = []
        weights = edge_weights(betas[of_kind])
        for node in (2, 3, 4, 5):
            best = []
            for edge, (end, source) in enumerate(EDGE_LIST):
                if end == node:
                    p = alphas[of_kind][edge].softmax(dim=-1)
                    scores = {name: float(p[i] * weights[edge]) for i, name in enumerate(operations) if name != "none"}
                    chosen = max(scores, key=lambda name: scores[name])
                    best.append((-scores[chosen], source, chosen))
            cell += [(name, source) for _, source, name in sorted(best)[:2]]
        found.append(cell)
    return found
