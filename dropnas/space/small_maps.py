"""Depthwise convolutions of small maps as products with small matrices.

Design choices: a convolution of one channel is linear, so on maps of H x W pixels it is a matrix (H * W, H' * W') that
contains each tap of the kernel several times. torch's depthwise convolutions on a CPU take up to twenty times as long
if a map is hardly larger than the kernel, most of all their derivative with respect to the kernel. The sums are the
same, in another order.
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
    """A matrix for each tap of a kernel (k, k') on maps of this size, and the size of the output.

    The matrix of a kernel is the sum of the matrices of its taps, each times the value of the tap.

    Returns:
        The matrices, (k * k', H * W * H' * W'), of zeros and ones: the output of a convolution with a kernel of one
        tap, for each map of one pixel. And the size of the output, (H', W').
    """
    taps = kernel[0] * kernel[1]
    units = torch.eye(taps, dtype=dtype).view(taps, 1, *kernel)
    pixels = torch.eye(height * width, dtype=dtype).view(-1, 1, height, width)
    with torch.autocast("cpu", enabled=False):  # the result is cached, so the first caller must not set its type
        answers = functional.conv2d(pixels, units, None, stride, padding, dilation)  # (H * W, taps, H', W')
    return answers.transpose(0, 1).reshape(taps, -1), (answers.shape[2], answers.shape[3])
