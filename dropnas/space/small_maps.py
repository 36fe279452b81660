"""Depthwise convolutions of small maps, computed as products with small matrices.

Design choices: a convolution of one channel is linear, so on maps of H x W pixels it is a matrix (H * W, H' * W'). The
matrix contains each tap (each weight of the kernel) several times. The product sums the same terms as the convolution,
in another order. If a map is hardly larger than the kernel, torch's depthwise convolution takes up to twenty times as
long on a CPU; its gradient with respect to the kernel is slowest.
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
    """Return one matrix for each tap of a kernel (k, k') on maps of this size, and the size of the output.

    The matrix of a kernel is the sum of its taps' matrices, each multiplied by the value of the tap.

    Returns:
        The matrices, (k * k', H * W * H' * W'), of zeros and ones. Row t holds, for each input pixel, the output of a
        convolution whose kernel is 1 at tap t and 0 elsewhere. The second value is the size of the output, (H', W').
    """
    taps = kernel[0] * kernel[1]
    units = torch.eye(taps, dtype=dtype).view(taps, 1, *kernel)
    pixels = torch.eye(height * width, dtype=dtype).view(-1, 1, height, width)
    with torch.autocast("cpu", enabled=False):  # the result is cached, so its dtype must not depend on the first caller
        answers = functional.conv2d(pixels, units, None, stride, padding, dilation)  # (H * W, taps, H', W')
    return answers.transpose(0, 1).reshape(taps, -1), (answers.shape[2], answers.shape[3])
