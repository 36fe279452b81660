"""The mixing weights of a cell, in the forms that its operations need.

Design choices: a convolution takes its weight as the scale of its last batch norm, one value for each channel.
Operations without parameters take entries of a small matrix. A backend takes one tensor for all its operations. All
forms are views or selections of one tensor. An operation's slot is its index in this tensor: edge * (number of
operations) + operation.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

Entries = Sequence[Sequence[Sequence[int]]]  # for each row and column of a matrix: the slots whose weights are summed


@dataclass(frozen=True)
class MixingWeights:
    """The mixing weights of a cell in K supernets."""

    weights: Tensor  # (K, edges * operations), zero for dropped operations
    channels: int  # number C of channels of each node
    computed: Sequence[Sequence[bool]]  # the operations that are computed, for each edge
    paths: Tensor | None = None  # for each image, factors for the outputs of the edges, (K, edges, B); None means 1

    @cached_property
    def _rows(self) -> tuple[Tensor, ...]:
        return self.weights.t()[..., None].expand(-1, -1, self.channels).flatten(1).unbind()

    def scale(self, slot: int) -> Tensor:
        """The weight of a slot, repeated for C channels: (K * C,)."""
        return self._rows[slot]

    def path(self, edge: int, like: Tensor) -> Tensor:
        """The factors of an edge, to multiply maps (B, H, W, K * C) or their four grids.

        The shape is (B, 1, 1, K * C) for maps, or (4 B, 1, 1, K * C) for grids.
        """
        assert self.paths is not None
        factors = self.paths[:, edge].t().to(like.dtype)[:, None, :, None]  # (B, 1, K, 1)
        grids = len(like) // len(factors)
        return factors.expand(-1, grids, -1, self.channels).reshape(len(like), 1, 1, -1)

    def at(self, slots: Sequence[int]) -> Tensor:
        """The weights of the given slots, (K, slots). No slot may be given twice."""
        chosen: Tensor = _Chosen.apply(self.weights, tuple(slots))  # type: ignore[no-untyped-call]
        return chosen

    def matrix(self, entries: Entries) -> Tensor:
        """A matrix (K, rows, columns) of sums of weights.

        Within a column, all entries must be sums over the same number of slots.
        """
        if not entries:
            return self.weights.new_empty(len(self.weights), 0, 0)
        rows, columns = len(entries), len(entries[0])
        chosen = self.at([slot for row in entries for slots in row for slot in slots])
        counts = [len(slots) for slots in entries[0]]
        if len(set(counts)) > 1:
            parts = chosen.view(len(chosen), rows, -1).split(counts, dim=-1)  # type: ignore[no-untyped-call]
            return torch.stack([part.sum(-1) for part in parts], dim=-1)
        chosen = chosen.view(len(chosen), rows, columns, -1)
        # `squeeze` makes no copy, not even in the backward pass
        return chosen.squeeze(-1) if chosen.shape[-1] == 1 else chosen.sum(-1)


class _Chosen(torch.autograd.Function):
    """Selects columns of a matrix. The gradient of torch's own indexing is slow when it must be deterministic."""

    @staticmethod
    def forward(ctx: Any, weights: Tensor, slots: tuple[int, ...]) -> Tensor:
        ctx.slots, ctx.count = slots, weights.shape[1]
        return weights.index_select(1, _index(slots, weights.device))

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        back = {slot: number for number, slot in enumerate(ctx.slots)}
        slots = tuple(back.get(slot, len(back)) for slot in range(ctx.count))
        return functional.pad(gradient, (0, 1)).index_select(1, _index(slots, gradient.device)), None


@cache
def _index(slots: tuple[int, ...], device: torch.device) -> Tensor:
    """The slots as a tensor, which is copied to the device only once, before any step is recorded."""
    return torch.tensor(slots, device=device)
