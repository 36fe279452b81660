"""Sums over all pixels, channel by channel, that do not depend on which channels stand beside them.

Design choices: on a CPU torch sums the last few columns of a matrix in another order than those that fill its vector
registers, so a channel's sum would depend on how many operations and seeds are computed with it. Here several pixels
count as one row, so many that the columns of a single group of channels fill the registers already; the group's bits
are then the same in any company. Where the pixels cannot be divided so, sums differ by rounding.
"""

import math

from torch import Tensor

COLUMNS = 64  # of four vector registers, the widest that torch uses
AT_ONCE = 4  # rows that torch sums in one order whatever the number of columns


def channel_sums(pixels: Tensor, channels: int) -> Tensor:
    """The sum of the rows of a matrix.

    Args:
        pixels: (B * H * W, G * C), contiguous.
        channels: C of a group.

    Returns:
        (G * C,).
    """
    count, width = pixels.shape
    together = COLUMNS // math.gcd(COLUMNS, channels)
    if pixels.device.type != "cpu" or together == 1 or count % together:
        return pixels.sum(dim=0)
    total = pixels.view(-1, together * width).sum(dim=0)
    while together > 1:
        rows = min(together, AT_ONCE)
        together //= rows
        total = total.view(rows, together * width).sum(dim=0)
    return total
