"""ProxylessNAS (Cai et al., ICLR 2019) in plain torch, one seed at a time, as a reference without regard to speed.

Design choices: the plain supernet gets one or two operations for each edge. The alphas of each edge are a separate
parameter, as in the authors' code, so that torch's Adam skips an edge that has no gradient. Every gate of every cell is
a leaf; the gradient of the alphas is the authors' formula, written out.
"""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class Rules:
    """The settings of a search."""

    epochs: int
    warm_up_epochs: int
    frozen_epochs: int
    learning_rate: float
    learning_rate_min: float
    warm_up_factor: float
    momentum: float
    nesterov: bool
    clip: float
    weight_decay: float
    alpha_learning_rate: float
    alpha_every: int = 5
    all_paths: bool = False
    by_step: bool = True


class Plain:
    """One search: a supernet in double precision, and the alphas of each edge of both kinds of cells."""

    def __init__(self, supernet: nn.Module, alphas: Sequence[Tensor], rules: Rules) -> None:
        self.net: Any = copy.deepcopy(supernet).double()
        self.operations: Sequence[str] = self.net.cells[0].operations
        self.alphas = [[row.detach().clone().double() for row in matrix] for matrix in alphas]
        self.rules = rules
        self.sgd = torch.optim.SGD(
            self.net.parameters(),
            lr=1.0,
            momentum=rules.momentum,
            weight_decay=rules.weight_decay,
            nesterov=rules.nesterov,
        )
        rows = [row for matrix in self.alphas for row in matrix]
        self.adam = torch.optim.Adam(rows, lr=rules.alpha_learning_rate, betas=(0.0, 0.999))

    def rate(self, epoch: int, step: int, steps: int) -> float:
        """A cosine over the warm-up, and another one over the rest."""
        rules = self.rules
        position, first, length = epoch + (step / steps if rules.by_step else 0), rules.warm_up_factor, 0
        if epoch < rules.warm_up_epochs:
            length = rules.warm_up_epochs
        else:
            position, first, length = position - rules.warm_up_epochs, 1.0, rules.epochs - rules.warm_up_epochs
        highest, lowest = first * rules.learning_rate, rules.learning_rate_min
        return lowest + 0.5 * (highest - lowest) * (1 + math.cos(math.pi * position / length))

    def moves_alphas(self, epoch: int, step: int, steps: int) -> bool:
        """Whether a step trains the alphas: every fifth batch of an epoch, or the last one of a shorter epoch."""
        every = min(self.rules.alpha_every, steps)
        return epoch >= self.rules.frozen_epochs and (step + 1) % every == 0

    def weight_step(self, images: Tensor, labels: Tensor, gumbel: Tensor, rate: float) -> float:
        """Train w with one operation on each edge; `gumbel` is (2, edges, operations), or a matrix for each cell."""
        mixture = []
        for cell, kind in enumerate(self.net.kinds):
            noise = gumbel[kind] if len(gumbel) == 2 else gumbel[cell]
            ranked = [self._ranked(row, noise[edge]) for edge, row in enumerate(self.alphas[kind])]
            mixture.append([[(order[0], torch.ones((), dtype=torch.float64))] for order in ranked])
        loss = functional.cross_entropy(self.net(images, mixture), labels)
        self.sgd.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.net.parameters(), self.rules.clip)
        self.sgd.param_groups[0]["lr"] = rate
        self.sgd.step()
        return loss.item()

    def alpha_step(self, images: Tensor, labels: Tensor, gumbel: Tensor, uniform: Tensor) -> None:
        """Train the alphas with two operations on each edge, one of them active by `uniform` (2 or cells, edges)."""
        paths, mixture = [], []
        for cell, kind in enumerate(self.net.kinds):
            place = kind if len(gumbel) == 2 else cell
            of_cell = [
                self._paths(row, gumbel[place, edge], float(uniform[place, edge]))
                for edge, row in enumerate(self.alphas[kind])
            ]
            paths.append(of_cell)
            mixture.append([list(gates.items()) for _, gates in of_cell])
        loss = functional.cross_entropy(self.net(images, mixture), labels)
        leaves = [gate for of_cell in paths for _, gates in of_cell for gate in gates.values()]
        found = iter(torch.autograd.grad(loss, leaves, materialize_grads=True))
        self.adam.zero_grad(set_to_none=True)
        moved: dict[tuple[int, int], set[int]] = {}
        for kind, of_cell in zip(self.net.kinds, paths, strict=True):
            for edge, (active, gates) in enumerate(of_cell):
                slopes = {index: next(found).item() for index in gates}
                if self.operations[active] != "none":
                    self._add_gradient(self.alphas[kind][edge], slopes)
                    moved.setdefault((kind, edge), set()).update(gates)
        before = {place: self.alphas[place[0]][place[1]].clone() for place in moved}
        self.adam.step()
        for (kind, edge), involved in moved.items():
            if not self.rules.all_paths:
                row, old = self.alphas[kind][edge], before[kind, edge]
                ratio = sum(math.exp(row[i]) for i in involved) / sum(math.exp(old[i]) for i in involved)
                for index in involved:
                    row[index] -= math.log(ratio)

    def _ranked(self, alphas: Tensor, gumbel: Tensor) -> list[int]:
        """The operations in the order of drawing without replacement."""
        scores = [math.log(p) + float(noise) for p, noise in zip(alphas.softmax(0), gumbel, strict=True)]
        return sorted(range(len(scores)), key=lambda index: -scores[index])

    def _paths(self, alphas: Tensor, gumbel: Tensor, uniform: float) -> tuple[int, dict[int, Tensor]]:
        """The active operation, and the gates of all computed operations."""
        order = self._ranked(alphas, gumbel)
        if self.rules.all_paths:
            chosen, active = list(range(len(order))), order[0]
        else:
            chosen = order[:2]
            first, second = (math.exp(alphas[index]) for index in chosen)
            active = chosen[0] if uniform < first / (first + second) else chosen[1]
        gates = {
            index: torch.tensor(float(index == active), dtype=torch.float64, requires_grad=True) for index in chosen
        }
        return active, gates

    def _add_gradient(self, alphas: Tensor, slopes: dict[int, float]) -> None:
        """dL/dalpha_i = sum over j of dL/dg_j p_j (delta_ij - p_i), p over those that were computed."""
        total = sum(math.exp(alphas[index]) for index in slopes)
        p = {index: math.exp(alphas[index]) / total for index in slopes}
        if alphas.grad is None:
            alphas.grad = torch.zeros_like(alphas)
        for i in slopes:
            for j in slopes:
                alphas.grad[i] += slopes[j] * p[j] * ((1.0 if i == j else 0.0) - p[i])
