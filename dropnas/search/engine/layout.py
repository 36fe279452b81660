"""Maps with the channels last, (B, H, W, C), and their four grids, each of which has every other row and column.

Design choices: a convolution of dilation 2 never mixes the four grids (even and odd rows and columns). On maps that are
split into grids, it is therefore an ordinary convolution. Operations on single pixels (1x1 convolutions, batch norm,
sums) work on grids unchanged, so the grids are joined only once, after the sum at a node.
"""

from torch import Tensor


def on_cpu(maps: Tensor) -> bool:
    """Whether the maps are on a CPU; on a GPU, other operations with the same results are used."""
    return maps.device.type == "cpu"


def divides(maps: Tensor) -> bool:
    """Whether maps can be split into four grids of equal size, which requires even height and width."""
    return maps.shape[1] % 2 == 0 and maps.shape[2] % 2 == 0


def to_grids(maps: Tensor) -> Tensor:
    """Split maps into their four grids: (B, H, W, C) to (4 B, H / 2, W / 2, C)."""
    count, height, width, channels = maps.shape
    split = maps.reshape(count, height // 2, 2, width // 2, 2, channels).permute(0, 2, 4, 1, 3, 5)
    return split.reshape(4 * count, height // 2, width // 2, channels)


def from_grids(grids: Tensor) -> Tensor:
    """The inverse of `to_grids`."""
    count, height, width, channels = grids.shape
    split = grids.reshape(count // 4, 2, 2, height, width, channels).permute(0, 3, 1, 4, 2, 5)
    return split.reshape(count // 4, 2 * height, 2 * width, channels)
