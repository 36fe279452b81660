"""The supernet that gives the plain one's numbers in less time.

Design choices: it is the plain supernet with another forward pass: modules, parameters, buffers, their names and order
are the same, so that checkpoints, optimisers, clipping and decay are too. The numbers differ by rounding alone.
Maps have their channels last from the stem to the classifier. It knows the operations of the paper's spaces only; a
space with others is for the plain supernet.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from torch import Tensor

from dropnas.search.architecture import Alphas, Mixture, kept_rows
from dropnas.search.engine.mixing_weights import Weights, of_mixture, of_rows
from dropnas.search.engine.network import mixed_network
from dropnas.search.engine.running_statistics import Tally
from dropnas.search.supernet import Supernet
from dropnas.space.names import NON_PARAMETERISED, PARAMETERISED
from dropnas.space.spaces import SearchSpace


def is_known(space: SearchSpace) -> bool:
    """Whether the fast supernet has all operations of a space."""
    return set(space.operations) <= {*PARAMETERISED, *NON_PARAMETERISED}


class FastSupernet(Supernet):
    """The one-shot model, its cells computed state by state."""

    def forward(self, images: Tensor, mixture: Sequence[Mixture]) -> Tensor:
        """Logits (B, classes) of images (B, 3, H, W); one mixture for each cell. In evaluation it is the plain one."""
        if not self.training:
            return super().forward(images, mixture)
        cells: Any = zip(self.cells, mixture, strict=True)
        return self._logits(
            images, (of_mixture(of_cell, len(cell.operations), cell.channels) for cell, of_cell in cells)
        )

    def mix(self, images: Tensor, alphas: Alphas, kept: Tensor) -> Tensor:
        """As the plain one's, without a list of single weights."""
        if not self.training:
            return super().mix(images, alphas, kept)
        rows = kept_rows(alphas, kept, self.kinds)  # (cells, edges, operations)
        cells: Any = zip(self.cells, rows, kept.tolist(), strict=True)
        return self._logits(images, (of_rows(row[None], chosen, cell.channels) for cell, row, chosen in cells))

    def _logits(self, images: Tensor, weights: Iterable[Weights]) -> Tensor:
        tally = Tally()
        logits = mixed_network([self], images[None], weights, tally)
        tally.write()
        return logits[0]
