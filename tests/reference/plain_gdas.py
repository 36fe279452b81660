"""GDAS (Dong & Yang, CVPR 2019) in plain torch, one seed at a time, as a reference without regard to speed.

Design choices: the plain supernet gets one operation for each edge; its weight has the value 1 and the gradient of y,
as in the authors' code. torch.optim does the rest.
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
    """The settings of a search; the defaults are those of GDAS' authors."""

    epochs: int = 250
    learning_rate: float = 0.025
    learning_rate_min: float = 0.001
    momentum: float = 0.9
    nesterov: bool = True
    clip: float = 5.0
    weight_decay: float = 5e-4
    alpha_learning_rate: float = 3e-4
    alpha_weight_decay: float = 1e-3
    moves_unsampled: bool = True
    by_step: bool = True


class Plain:
    """One search: a supernet in double precision, and the alphas of both kinds of cells."""

    def __init__(self, supernet: nn.Module, alphas: Sequence[Tensor], rules: Rules) -> None:
        self.net: Any = copy.deepcopy(supernet).double()
        self.alphas = [matrix.detach().clone().double().requires_grad_() for matrix in alphas]
        self.rules = rules
        self.sgd = torch.optim.SGD(
            self.net.parameters(),
            lr=1.0,
            momentum=rules.momentum,
            weight_decay=rules.weight_decay,
            nesterov=rules.nesterov,
        )
        self.adam = torch.optim.Adam(
            self.alphas, lr=rules.alpha_learning_rate, betas=(0.5, 0.999), weight_decay=rules.alpha_weight_decay
        )

    def temperature(self, epoch: int) -> float:
        return 10 if self.rules.epochs == 1 else 10 - (10 - 0.1) * epoch / (self.rules.epochs - 1)

    def rate(self, epoch: int, step: int, steps: int) -> float:
        position = epoch + (step / steps if self.rules.by_step else 0)
        highest, lowest = self.rules.learning_rate, self.rules.learning_rate_min
        return lowest + 0.5 * (highest - lowest) * (1 + math.cos(math.pi * position / self.rules.epochs))

    def weight_step(self, images: Tensor, labels: Tensor, gumbel: Tensor, epoch: int, rate: float) -> float:
        loss = functional.cross_entropy(self.net(images, self.mixture(gumbel, epoch)), labels)
        for weight in self.net.parameters():
            weight.grad = torch.zeros_like(weight) if self.rules.moves_unsampled else None
        loss.backward()
        nn.utils.clip_grad_norm_(self.net.parameters(), self.rules.clip)
        self.sgd.param_groups[0]["lr"] = rate
        self.sgd.step()
        return loss.item()

    def alpha_step(self, images: Tensor, labels: Tensor, gumbel: Tensor, epoch: int) -> None:
        self.adam.zero_grad()
        functional.cross_entropy(self.net(images, self.mixture(gumbel, epoch)), labels).backward()
        self.adam.step()

    def mixture(self, gumbel: Tensor, epoch: int) -> list[list[list[tuple[int, Tensor]]]]:
        """For each cell and edge, the selected operation and its weight; `gumbel` is (2, edges, operations)."""
        of_kinds = []
        for alphas, noise in zip(self.alphas, gumbel, strict=True):
            y = torch.softmax((torch.log_softmax(alphas, dim=1) + noise) / self.temperature(epoch), dim=1)
            chosen = [int(row.argmax()) for row in y]
            weights = [1 - y[edge, o].detach() + y[edge, o] for edge, o in enumerate(chosen)]
            of_kinds.append([[pair] for pair in zip(chosen, weights, strict=True)])
        return [of_kinds[kind] for kind in self.net.kinds]


def genotype_cell(operations: Sequence[str], alphas: Sequence[Sequence[float]]) -> list[tuple[str, int]]:
    """For each node, the two pairs (operation, predecessor) with the largest p; `none` is not a candidate."""
    chosen: list[tuple[str, int]] = []
    edge = 0
    for node in range(4):
        pairs = []
        for predecessor in range(2 + node):
            total = sum(math.exp(alpha) for alpha in alphas[edge])
            for name, alpha in zip(operations, alphas[edge], strict=True):
                if name != "none":
                    pairs.append((math.exp(alpha) / total, name, predecessor))
            edge += 1
        pairs.sort(key=lambda pair: -pair[0])
        chosen += [(name, predecessor) for _, name, predecessor in pairs[:2]]
    return chosen
