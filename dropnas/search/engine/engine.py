"""K supernets with the same structure, computed as one network. The results equal the plain supernet's up to rounding.

Design choices: weights and running statistics stay in the plain supernets; only the forward pass differs. A static
step, which a CUDA graph needs, computes all operations, including dropped ones, which get weight zero and gradient
zero. If the step is not static, the host reads the masks and skips operations that no seed keeps. In both cases the
running statistics of dropped operations do not change.
"""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from dropnas.errors import DropnasError
from dropnas.search.engine.cell import Backend, mixed_cell
from dropnas.search.engine.edges import AllChannels
from dropnas.search.engine.mixing_weights import MixingWeights
from dropnas.search.engine.network import mixed_network
from dropnas.search.engine.running_statistics import RunningStatistics, UpdateWeights
from dropnas.search.engine.users_operations import UsersBuffers
from dropnas.search.supernet import Supernet, SupernetCell

Computed = list[list[list[bool]]]


class Engine:
    """Computes supernets with the same structure in training mode. Their parameters and buffers stay where they are.

    Args:
        supernets: K supernets with the same space, channels, cells and classes, on one device.
        static: whether a step must compute the same operations for all masks, as a CUDA graph needs.
        backend: computes the convolutions on edges in place of torch's kernels.
    """

    def __init__(self, supernets: Sequence[Supernet], static: bool, backend: Backend | None = None) -> None:
        self.supernets, self.static, self.backend = tuple(supernets), static, backend
        self.candidates: Computed | None = None  # what a static step computes, for each cell and edge; None means all
        self._weights, self._users = UpdateWeights(self.supernets), UsersBuffers(self.supernets)

    def mix(
        self,
        images: Tensor,
        mixing: Tensor,
        kept: Tensor | None = None,
        update_statistics: bool = True,
        paths: Tensor | None = None,
    ) -> Tensor:
        """Logits (K, B, classes) of images (K, B, 3, H, W); each supernet has its own images.

        Args:
            mixing: weights of the operations, (K, cells, edges, operations).
            kept: bool mask with the shape and device of `mixing`. Where it is False, the operation has no weight and no
                gradient. None keeps all operations.
            update_statistics: whether the running statistics of batch norms are updated.
            paths: for each image, factors for the outputs of the edges, (K, cells, edges, B); None means 1.

        Raises:
            DropnasError: mixing weights or masks have the wrong shape or device.
        """
        self._check(images, mixing, kept)
        if kept is not None:
            mixing = mixing.masked_fill(~kept, 0)
        computed = self._computed(mixing, kept)
        of_paths = [None] * mixing.shape[1] if paths is None else paths.unbind(1)
        cells: Any = zip(mixing.unbind(1), self.supernets[0].cells, computed, of_paths, strict=True)
        weights = [MixingWeights(of_cell.flatten(1), cell.edges[0].channels, *rest) for of_cell, cell, *rest in cells]
        statistics = RunningStatistics()
        with self._users.restored(kept, update_statistics):
            logits = mixed_network(self.supernets, images, weights, statistics, self.mix_cell)
        if update_statistics:
            computes_dropped = self.static or len(self.supernets) > 1
            statistics.update(self._weights.of(kept) if kept is not None and computes_dropped else None)
        return logits

    def mix_cell(
        self,
        cells: Sequence[SupernetCell],
        inputs: Sequence[Tensor],
        weights: MixingWeights,
        statistics: RunningStatistics,
    ) -> Tensor:
        """Compute the same cell of all supernets; see `mixed_cell`."""
        return mixed_cell(cells, inputs, weights, statistics, self.backend, AllChannels())

    def _computed(self, mixing: Tensor, kept: Tensor | None) -> Computed:
        """Which operations are computed, for each cell and edge."""
        cells, edges, operations = mixing.shape[1:]
        if self.static or kept is None:
            return self.candidates or [[[True] * operations] * edges] * cells
        computed: Computed = kept.any(dim=0).tolist()
        return computed

    def _check(self, images: Tensor, mixing: Tensor, kept: Tensor | None) -> None:
        first = self.supernets[0]
        shape = (len(self.supernets), len(first.kinds), *first.edges_and_operations)
        for name, values in (("mixing weights", mixing), ("masks", kept)):
            if values is not None and (values.shape != shape or values.device != images.device):
                raise DropnasError(
                    f"{name} {tuple(values.shape)} on {values.device}",
                    remedy=f"the supernet on {images.device} needs {shape}",
                )
