"""The supernet that gives the plain one's numbers in less time.

Design choices: it is the plain supernet with another forward pass: modules, parameters, buffers, their names and order
are the same, so that checkpoints, optimisers, clipping and decay are too. The numbers differ by rounding alone.
Maps have their channels last from the stem to the classifier. It knows the operations of the paper's spaces only; a
space with others is for the plain supernet.
"""

from collections.abc import Iterable, Sequence

from torch import Tensor, nn
from torch.nn import functional

from dropnas.search.architecture import Alphas, Mixture, kept_rows
from dropnas.search.fast.blocks import Tally, normed, pointwise, reduced
from dropnas.search.fast.cell import Weights, mixed_cell
from dropnas.search.supernet import Cell, Supernet
from dropnas.space.names import NON_PARAMETERISED, PARAMETERISED
from dropnas.space.operations import FactorizedReduce
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
        cells = zip(self._cells, mixture, strict=True)
        return self._logits(images, (_of_mixture(of_cell, cell) for cell, of_cell in cells))

    def mix(self, images: Tensor, alphas: Alphas, kept: Tensor) -> Tensor:
        """As the plain one's, without a list of single weights."""
        if not self.training:
            return super().mix(images, alphas, kept)
        rows = kept_rows(alphas, kept, self.kinds)  # (cells, edges, operations)
        computed = kept.tolist()
        cells = zip(self._cells, rows, computed, strict=True)
        return self._logits(images, (_of_row(row, chosen, cell) for cell, row, chosen in cells))

    @property
    def _cells(self) -> Iterable[Cell]:
        return self.cells  # type: ignore[return-value]

    def _logits(self, images: Tensor, weights: Iterable[Weights]) -> Tensor:
        tally = Tally()
        last = self.stem(images).permute(0, 2, 3, 1).contiguous()
        rectified_before = rectified = functional.relu(last)
        for cell, of_cell in zip(self._cells, weights, strict=True):
            inputs = [_preprocessed(rectified_before, cell.preprocess0, tally)]
            inputs.append(_preprocessed(rectified, cell.preprocess1, tally))
            last = mixed_cell(cell, inputs, of_cell, tally)
            rectified_before, rectified = rectified, functional.relu(last)
        tally.write()
        logits: Tensor = self.classifier(last.mean(dim=(1, 2)))
        return logits


def _preprocessed(rectified: Tensor, layer: nn.Module, tally: Tally) -> Tensor:
    if isinstance(layer, FactorizedReduce):
        return reduced(rectified, [layer], tally)
    _, convolution, norm = layer.children()
    assert isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)
    return normed(pointwise(rectified, [convolution]), [norm], tally)


def _of_row(weights: Tensor, computed: Sequence[Sequence[bool]], cell: Cell) -> Weights:
    """The weights of a cell from a matrix (edges, operations)."""
    flat = weights.flatten()
    rows = flat[:, None].expand(-1, cell.channels).contiguous()
    return Weights(flat.unbind(), rows.unbind(), computed)


def _of_mixture(mixture: Mixture, cell: Cell) -> Weights:
    """The weights of a cell from its kept operations."""
    count = len(cell.operations)
    scalars = {edge * count + index: weight for edge, kept in enumerate(mixture) for index, weight in kept}
    rows = {place: weight.expand(cell.channels).contiguous() for place, weight in scalars.items()}
    computed = [[edge * count + index in scalars for index in range(count)] for edge in range(len(mixture))]
    return Weights(scalars, rows, computed)
