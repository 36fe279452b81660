"""The common part of the plain references: passes of a plain supernet, and torch's optimisers.

Nothing of the package is imported. A reference gets a plain supernet and specifies, for each kind of cell and each
edge, the mixed operations and their weights.
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
EDGE_LIST = [(node, source) for node in (2, 3, 4, 5) for source in range(node)]
Rows = dict[str, list[list[tuple[int, Tensor]]]]  # kind -> edge -> the operations that are computed, with their weights
Batch = tuple[Tensor, Tensor]  # images (B, 3, H, W) and labels (B,)


@dataclass(frozen=True)
class Rules:
    """The hyperparameters of a step."""

    momentum: float
    weight_decay: float
    clip: float
    alpha_learning_rate: float
    betas: tuple[float, float]
    alpha_weight_decay: float
    alpha_clip: float = math.inf


class World:
    """A supernet and its alphas in training."""

    def __init__(self, supernet: nn.Module, alphas: dict[str, Tensor], rules: Rules) -> None:
        self.supernet: Any = copy.deepcopy(supernet)
        for weight in self.supernet.parameters():  # these were views of a common tensor
            weight.data = weight.data.clone()
        self.alphas = {kind: values.detach().clone().requires_grad_() for kind, values in alphas.items()}
        self.rules = rules
        self.sgd = torch.optim.SGD(
            self.supernet.parameters(), lr=1.0, momentum=rules.momentum, weight_decay=rules.weight_decay
        )
        self.adam = torch.optim.Adam(
            list(self.alphas.values()),
            lr=rules.alpha_learning_rate,
            betas=rules.betas,
            weight_decay=rules.alpha_weight_decay,
        )

    def loss(self, batch: Batch, rows: Sequence[list[list[tuple[int, Tensor]]]]) -> Tensor:
        """The mean cross-entropy; one entry of `rows` for each cell."""
        return functional.cross_entropy(self.supernet(batch[0], rows), batch[1])

    def of_cells(self, rows: Rows) -> list[list[list[tuple[int, Tensor]]]]:
        """The rows of each cell."""
        return [rows[KINDS[kind]] for kind in self.supernet.kinds]

    def set_rate(self, rate: float) -> None:
        """Set the learning rate of w."""
        self.sgd.param_groups[0]["lr"] = rate

    def weight_step(self, batch: Batch, rows: Rows) -> float:
        """Clip the gradient of w and take a step of SGD with momentum and decay; return the loss before the step."""
        loss = self.loss(batch, self.of_cells(rows))
        weights = list(self.supernet.parameters())
        found = torch.autograd.grad(loss, weights, allow_unused=True)
        for weight, gradient in zip(weights, found, strict=True):
            weight.grad = torch.zeros_like(weight) if gradient is None else gradient
        nn.utils.clip_grad_norm_(weights, self.rules.clip)
        self.sgd.step()
        return loss.item()

    def held_out_gradients(self, batch: Batch, rows: Sequence[Any], wanted: Sequence[Tensor]) -> list[Tensor]:
        """The gradients of the held-out loss; the running statistics do not change."""
        before = {name: buffer.clone() for name, buffer in self.supernet.named_buffers()}
        found = torch.autograd.grad(self.loss(batch, rows), list(wanted), allow_unused=True)
        for name, buffer in self.supernet.named_buffers():
            buffer.copy_(before[name])
        return [torch.zeros_like(t) if g is None else g for t, g in zip(wanted, found, strict=True)]

    def alpha_step(self, batch: Batch, rows: Rows) -> None:
        """A step of Adam on the held-out loss, with the gradient clipped over both matrices."""
        alphas = list(self.alphas.values())
        for alpha, gradient in zip(alphas, self.held_out_gradients(batch, self.of_cells(rows), alphas), strict=True):
            alpha.grad = gradient
        if self.rules.alpha_clip < math.inf:
            nn.utils.clip_grad_norm_(alphas, self.rules.alpha_clip)
        self.adam.step()


def cosine(first: float, last: float, epoch: int, epochs: int) -> float:
    """The learning rate of w in an epoch, counted from 0."""
    return last + (first - last) * (1 + math.cos(math.pi * epoch / epochs)) / 2


def softmax(values: Sequence[Tensor]) -> list[Tensor]:
    """The softmax of single numbers."""
    largest = max(value.item() for value in values)
    powers = [torch.exp(value - largest) for value in values]
    total = torch.stack(powers).sum()
    return [power / total for power in powers]


def best_two(scores: Sequence[Sequence[float]], operations: Sequence[str], allowed: Any) -> list[tuple[str, int]]:
    """DARTS' rule: on each edge the best allowed operation, for each node the two best edges.

    Args:
        scores: a number for each edge and operation; the larger one wins, in a tie the lower index.
        allowed: bool, of the same shape; an edge without an allowed operation is left out.
    """
    cell: list[tuple[str, int]] = []
    for node in (2, 3, 4, 5):
        found: list[tuple[float, int, str]] = []
        for source in range(node):
            edge = EDGE_LIST.index((node, source))
            best: tuple[float, int] | None = None
            for index in range(len(operations)):
                if allowed[edge][index] and (best is None or scores[edge][index] > best[0]):
                    best = (scores[edge][index], index)
            if best is not None:
                found.append((-best[0], source, operations[best[1]]))
        cell += [(name, source) for _, source, name in sorted(found)[:2]]
    return cell
