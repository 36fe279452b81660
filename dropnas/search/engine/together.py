"""K fast supernets as groups of one network, with masks as tensors.

Design choices: what is computed does not depend on what the masks say, so a device need not be waited for and the pass
can be captured as a graph: dropped operations are computed, their weight is zero, and so are their gradients; the
running statistics of their batch norms stay. Each seed has the numbers that it has alone, but for rounding.
"""

from collections.abc import Sequence

from torch import Tensor

from dropnas.search.engine.mixing_weights import of_rows
from dropnas.search.engine.network import mixed_network
from dropnas.search.engine.running_statistics import Shares, Tally
from dropnas.search.engine.supernet import FastSupernet


class SupernetsTogether:
    """Supernets of equal shape in training mode; their parameters and buffers stay where they are."""

    def __init__(self, supernets: Sequence[FastSupernet], fused: bool = False) -> None:
        """Take K supernets of the same space, channels, cells and classes, on one device.

        Args:
            fused: whether the edges' convolutions go through kernels of our own, which a GPU has.
        """
        self.supernets, self.fused = tuple(supernets), fused
        self._shares = Shares(self.supernets)

    def mix(self, images: Tensor, rows: Tensor, kept: Tensor) -> Tensor:
        """Logits (K, B, classes) of images (K, B, 3, H, W), each supernet with its own; running statistics move.

        Args:
            rows: mixing weights (K, cells, edges, operations).
            kept: bool, of that shape, on the device; what is False has no weight and no gradient.
        """
        weights = rows.masked_fill(~kept, 0)
        everything = [[True] * kept.shape[-1]] * kept.shape[-2]
        cells = zip(weights.unbind(1), self.supernets[0].cells, strict=True)
        tally = Tally()
        logits = mixed_network(
            self.supernets,
            images,
            (of_rows(of_cell, everything, cell.channels) for of_cell, cell in cells),  # type: ignore[arg-type]
            tally,
            self.fused,
        )
        tally.write(self._shares.of(kept))
        return logits
