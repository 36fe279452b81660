"""SNAS (Xie et al., ICLR 2019) in plain torch, one seed at a time, as a reference without regard to speed.

Design choices: explicit loops over cells, nodes, edges and operations; the modules of the plain supernet, but not its
forward pass; torch.optim for both optimisers. Costs of operations are the closed formulas of SNAS' authors.
"""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

KINDS = ("normal", "reduce")


@dataclass(frozen=True)
class Rules:
    """The settings of a search; the defaults are those of SNAS' authors."""

    epochs: int = 150
    momentum: float = 0.9
    clip: float = 5.0
    weight_decay: float = 3e-4
    alpha_optimiser: str = "adam"
    alpha_learning_rate: float = 3e-4
    alpha_weight_decay: float = 1e-3
    alpha_clip: float = 10.0
    hottest: float = 1.0
    coldest: float = 0.03
    drop_path: float = 0.3
    resource_weight: float = 1.5e-3
    eight_cells: bool = True  # the cost is divided by 6 normal and 2 reduction cells, whatever the depth


class Plain:
    """One search: a supernet in double precision, and the alphas of both kinds of cells."""

    def __init__(self, supernet: nn.Module, alphas: Sequence[Tensor], rules: Rules) -> None:
        self.net: Any = copy.deepcopy(supernet).double()
        self.alphas = [matrix.detach().clone().double().requires_grad_() for matrix in alphas]
        self.rules = rules
        self.sgd = torch.optim.SGD(
            self.net.parameters(), lr=1.0, momentum=rules.momentum, weight_decay=rules.weight_decay
        )
        self.adam: torch.optim.Optimizer = torch.optim.SGD(self.alphas, lr=rules.alpha_learning_rate)
        if rules.alpha_optimiser == "adam":
            self.adam = torch.optim.Adam(
                self.alphas, lr=rules.alpha_learning_rate, betas=(0.5, 0.999), weight_decay=rules.alpha_weight_decay
            )

    def step(
        self, images: Tensor, labels: Tensor, gumbel: Tensor, paths: Tensor, epoch: int, learning_rate: float
    ) -> float:
        """One batch: one backward pass, then both optimisers.

        Args:
            gumbel: -ln(-ln u) of uniform u, (2, edges, operations) for the kinds, or one matrix for each cell.
            paths: bool (cells, edges, B): the edges that each image passes.

        Returns:
            the cross entropy, without the cost.
        """
        samples = self.samples(gumbel, epoch)
        loss = functional.cross_entropy(self.logits(images, samples, paths), labels)
        total = loss + self.rules.resource_weight * self.cost(samples, images.shape[-1])
        self.sgd.zero_grad()
        self.adam.zero_grad()
        total.backward()
        nn.utils.clip_grad_norm_(self.net.parameters(), self.rules.clip)
        nn.utils.clip_grad_norm_(self.alphas, self.rules.alpha_clip)
        self.sgd.param_groups[0]["lr"] = learning_rate
        self.sgd.step()
        self.adam.step()
        return loss.item()

    def temperature(self, epoch: int) -> float:
        """The temperature, which falls linearly; it is lowest in the last epoch."""
        hottest, coldest = self.rules.hottest, self.rules.coldest
        return coldest + (hottest - coldest) * (1 - (epoch + 1) / self.rules.epochs)

    def samples(self, gumbel: Tensor, epoch: int) -> list[Tensor]:
        """z of each cell: softmax((alpha + gumbel) / T)."""
        found = []
        for cell, kind in enumerate(self.net.kinds):
            noise = gumbel[kind] if len(gumbel) == 2 else gumbel[cell]
            found.append(torch.softmax((self.alphas[kind] + noise) / self.temperature(epoch), dim=1))
        return found

    def logits(self, images: Tensor, samples: Sequence[Tensor], paths: Tensor) -> Tensor:
        before = last = self.net.stem(images)
        for cell, z, kept in zip(self.net.cells, samples, paths, strict=True):
            states = [cell.preprocess0(before), cell.preprocess1(last)]
            edge = 0
            for _ in range(4):
                total: Any = 0
                for state in states:
                    output = sum(z[edge, o] * operation(state) for o, operation in enumerate(cell.edges[edge]))
                    factor = kept[edge].double() / (1 - self.rules.drop_path)
                    total = total + output * factor[:, None, None, None]
                    edge += 1
                states.append(total)
            before, last = last, torch.cat(states[2:], dim=1)
        return self.net.classifier(last.mean(dim=(2, 3)))  # type: ignore[no-any-return]

    def cost(self, samples: Sequence[Tensor], side: int) -> Tensor:
        """The mean of three logarithms for each edge, summed over edges, and over the cells of each kind."""
        totals = [torch.zeros((), dtype=torch.float64) for _ in KINDS]
        for cell, z, kind in zip(self.net.cells, samples, self.net.kinds, strict=True):
            inner = side // 2 if kind else side
            edge = 0
            for node in range(4):
                for predecessor in range(2 + node):
                    stride = 2 if kind and predecessor < 2 else 1
                    three = [torch.zeros((), dtype=torch.float64) for _ in range(3)]
                    for o, name in enumerate(cell.operations):
                        costs = cost_of(name, cell.edges[edge].channels, stride, inner)
                        three = [a + z[edge, o] * b for a, b in zip(three, costs, strict=True)]
                    for value in three:
                        if value >= 1:  # below 1 it counts as 1, whose logarithm is 0
                            totals[kind] = totals[kind] + torch.log(value) / 3
                    edge += 1
            side = inner
        counts = [self.net.kinds.count(kind) for kind in range(2)]
        normal, reduce = (6, 2) if self.rules.eight_cells else [max(1, count) for count in counts]
        return totals[0] / normal + totals[1] / reduce


def cost_of(name: str, channels: int, stride: int, y: int) -> tuple[float, float, float]:
    """The size, multiply-adds and memory accesses of an operation with an output of y x y pixels."""
    c, area = channels, y * y
    if name in ("max_pool_3x3", "avg_pool_3x3"):
        return 0, 9 * area * c, (2 if stride == 1 else 5) * area * c
    if name == "skip_connect" and stride == 1:
        return 0, 0, 2 * c * area
    if name == "skip_connect":
        size = 2 * c * (c // 2)
        return size, size * area, 2 * area * (4 * c + c // 2) + size
    if name == "none":
        return 0, 0, 0
    kernel = int(name[-1])
    if name.startswith("dil_conv"):
        size = c * kernel**2 + c * c
        return size, size * area, area * ((3 if stride == 1 else 6) * c + c) + size
    assert name.startswith("sep_conv")
    size = 2 * c * kernel**2 + 2 * c * c
    return size, size * area, area * ((7 if stride == 1 else 10) * c + c) + size


def genotype_cell(operations: Sequence[str], alphas: Sequence[Sequence[float]], none: str) -> list[tuple[str, int]]:
    """The edges (operation, predecessor) of a cell, two for each node, the stronger one first.

    `none` is `ranked`: the authors' own rule, which ranks an edge by its largest p of all operations, including none;
    `last`: edges won by none are only taken if no other edge is left; `excluded`: as in DARTS.
    """
    chosen: list[tuple[str, int]] = []
    edge = 0
    for node in range(4):
        candidates = []
        for predecessor in range(2 + node):
            weights = [math.exp(alpha) for alpha in alphas[edge]]
            best, score = -1, -1.0
            for o, weight in enumerate(weights):
                if none == "excluded" and operations[o] == "none":
                    continue
                if weight / sum(weights) > score:
                    best, score = o, weight / sum(weights)
            is_last = none == "last" and operations[best] == "none"
            candidates.append((is_last, -score, predecessor, operations[best]))
            edge += 1
        chosen += [(name, predecessor) for _, _, predecessor, name in sorted(candidates)[:2]]
    return chosen
