"""The mixing weights of a cell in the forms in which its operations take them.

Design choices: a convolution takes its weight as the scale of its last batch norm, one for each channel; operations
without weights take entries of a small matrix; fused kernels take all that they mix at once. Where the host knows what
is kept, there are weights of that only (`Listed`); else there are all, in one tensor, from which few operations choose
(`Whole`). A place is the number edge * operations + operation.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from dropnas.search.architecture import Mixture

Entries = Sequence[Sequence[Sequence[int]]]  # of a matrix: for each row and column the places that it is the sum of


class Weights(Protocol):
    """The mixing weights of a cell in K supernets."""

    @property
    def computed(self) -> Sequence[Sequence[bool]]:
        """For each edge, which operations are computed."""

    def scale(self, place: int) -> Tensor:
        """The weight at a place, repeated for C channels: (K * C,)."""

    def matrix(self, entries: Entries) -> Tensor:
        """(K, rows, columns); what has no places is 0."""


@dataclass(frozen=True)
class Listed:
    """Weights of what is kept, of one supernet: each (1,) by its place, and with C channels (C,)."""

    scalars: dict[int, Tensor]
    rows: dict[int, Tensor]
    computed: Sequence[Sequence[bool]]

    def scale(self, place: int) -> Tensor:
        return self.rows[place]

    def matrix(self, entries: Entries) -> Tensor:
        rows = [torch.stack([self._sum(places) for places in row], dim=-1) for row in entries]
        return torch.stack(rows, dim=1)

    def _sum(self, places: Sequence[int]) -> Tensor:
        """The sum of the weights that there are of these."""
        some = next(iter(self.scalars.values()))
        kept = (self.scalars[place] for place in places if place in self.scalars)
        return sum(kept, some.new_zeros(some.shape))


@dataclass(frozen=True)
class Whole:
    """Weights of all operations: (K, edges * operations)."""

    weights: Tensor
    channels: int
    computed: Sequence[Sequence[bool]]

    @cached_property
    def _rows(self) -> tuple[Tensor, ...]:
        return self.weights.t()[..., None].expand(-1, -1, self.channels).flatten(1).unbind()

    def scale(self, place: int) -> Tensor:
        return self._rows[place]

    def at(self, places: Sequence[int]) -> Tensor:
        """The weights at some places, none of them twice: (K, places)."""
        chosen: Tensor = _Chosen.apply(self.weights, tuple(places))  # type: ignore[no-untyped-call]
        return chosen

    def matrix(self, entries: Entries) -> Tensor:
        """See `Weights`; every entry has equally many places."""
        rows, columns = len(entries), len(entries[0])
        chosen = self.at([place for row in entries for places in row for place in places])
        chosen = chosen.view(len(chosen), rows, columns, -1)
        return chosen.squeeze(-1) if chosen.shape[-1] == 1 else chosen.sum(-1)  # a view going backward, too


class _Chosen(torch.autograd.Function):
    """Some columns of a matrix. Torch's own derivative adds into places, which is slow where it must be repeatable."""

    @staticmethod
    def forward(ctx: Any, weights: Tensor, places: tuple[int, ...]) -> Tensor:
        ctx.places, ctx.count = places, weights.shape[1]
        return weights.index_select(1, _index(places, weights.device))

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        back = {place: number for number, place in enumerate(ctx.places)}
        places = tuple(back.get(place, len(back)) for place in range(ctx.count))
        return functional.pad(gradient, (0, 1)).index_select(1, _index(places, gradient.device)), None


@cache
def _index(places: tuple[int, ...], device: torch.device) -> Tensor:
    """Copied to a device once, before a step is captured."""
    return torch.tensor(places, device=device)


def of_rows(rows: Tensor, computed: Sequence[Sequence[bool]], channels: int) -> Whole:
    """The weights of a cell from matrices (K, edges, operations)."""
    return Whole(rows.flatten(1), channels, computed)


def of_mixture(mixture: Mixture, operations: int, channels: int) -> Listed:
    """The weights of a cell of one supernet from its kept operations, of so many on an edge."""
    scalars = {
        edge * operations + index: weight.reshape(1) for edge, kept in enumerate(mixture) for index, weight in kept
    }
    rows = {place: weight.expand(channels).contiguous() for place, weight in scalars.items()}
    computed = [[edge * operations + index in scalars for index in range(operations)] for edge in range(len(mixture))]
    return Listed(scalars, rows, computed)
