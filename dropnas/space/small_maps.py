"""Depthwise convolutions of small maps as products with small matrices.

Design choices: a convolution of one channel is linear, so on maps of H x W pixels it is a matrix (H * W, H' * W'), over
which the taps of its kernel are spread. A CPU's own depthwise convolutions take up to twenty times as long where maps
are hardly larger than the kernel, the derivative in the kernel above all. The sums are the same, in another order.
"""

from functools import cache

import torch
from torch import Tensor
from torch.nn import functional

Pair = tuple[int, int]


@cache
def tap_matrices(
    kernel: tuple[int, ...], stride: Pair, padding: Pair, dilation: Pair, height: int, width: int, dtype: torch.dtype
) -> tuple[Tensor, Pair]:
    """What each tap of a kernel (k, k') does to maps of this size, and the size of the answer, (H', W').

    The matrix of a whole kernel is the sum of those of its taps, each times its value.

    Returns:
        zeros and ones, (k * k', H * W * H' * W'): what a convolution with each kernel of one tap makes of each map of
        one pixel. And (H', W').
    """
    taps = kernel[0] * kernel[1]
    units = torch.eye(taps, dtype=dtype).view(taps, 1, *kernel)
    pixels = torch.eye(height * width, dtype=dtype).view(-1, 1, height, width)
    with torch.autocast("cpu", enabled=False):  # who asks first must not decide the type for all
        answers = functional.conv2d(pixels, units, None, stride, padding, dilation)  # (H * W, taps, H', W')
    return answers.transpose(0, 1).reshape(taps, -1), (answers.shape[2], answers.shape[3])
