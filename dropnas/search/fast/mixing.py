"""The mixing weights of a cell in the forms in which its operations take them.

Design choices: convolutions take a weight as the scale of their last batch norm, one for each channel; operations
without weights as entries of a small matrix. Both forms are made for a whole cell at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from dropnas.search.architecture import Mixture


@dataclass(frozen=True)
class Weights:
    """The mixing weights of a cell in K supernets.

    Attributes:
        scalars: of each edge and operation, flat: (K,).
        rows: the same, each repeated for C channels: (K * C,).
        computed: for each edge, which operations are computed.
    """

    scalars: Sequence[Tensor] | dict[int, Tensor]
    rows: Sequence[Tensor] | dict[int, Tensor]
    computed: Sequence[Sequence[bool]]

    @property
    def zero(self) -> Tensor:
        """A weight of nothing, in K supernets."""
        some = next(iter(self.scalars.values() if isinstance(self.scalars, dict) else self.scalars))
        return some.new_zeros(some.shape)


def of_rows(rows: Tensor, computed: Sequence[Sequence[bool]], channels: int) -> Weights:
    """The weights of a cell from matrices (K, edges, operations)."""
    flat = rows.flatten(1).t()  # (edges * operations, K)
    repeated = flat[..., None].expand(-1, -1, channels).flatten(1)
    return Weights(flat.unbind(), repeated.unbind(), computed)


def of_mixture(mixture: Mixture, operations: int, channels: int) -> Weights:
    """The weights of a cell of one supernet from its kept operations, of so many on an edge."""
    scalars = {
        edge * operations + index: weight.reshape(1) for edge, kept in enumerate(mixture) for index, weight in kept
    }
    rows = {place: weight.expand(channels).contiguous() for place, weight in scalars.items()}
    computed = [[edge * operations + index in scalars for index in range(operations)] for edge in range(len(mixture))]
    return Weights(scalars, rows, computed)
