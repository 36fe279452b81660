"""Batch norm of maps with the channels last, with its scale and ReLU, and the statistics of the batch.

Design choices: it uses torch's own batch norm on every device. The batch statistics are written to new tensors instead
of the running statistics, so the update of these can be decided later (`running_statistics`). If maps are bfloat16,
statistics and scales are in single precision.
"""

from typing import NamedTuple

import torch
from torch import Tensor


def wide(values: Tensor) -> Tensor:
    """Convert bfloat16 to single precision, in which sums are taken; other types stay unchanged."""
    return values.float() if values.dtype == torch.bfloat16 else values


class Normed(NamedTuple):
    """Normalised maps (B, H, W, C) with the mean and the unbiased variance of each channel (C,)."""

    maps: Tensor
    mean: Tensor
    variance: Tensor


def batch_norm(
    maps: Tensor, scale: Tensor | None, epsilon: float, rectify: bool = False, shift: Tensor | None = None
) -> Normed:
    """Normalise each channel over the batch.

    Args:
        maps: (B, H, W, C), contiguous.
        scale: one factor for each channel, if given.
        rectify: whether a ReLU follows.
        shift: one summand for each channel, added after the scale, if given.
    """
    mean, variance = wide(maps.new_empty(0)).new_zeros(2, maps.shape[-1]).unbind()
    images, all_of_it = maps.permute(0, 3, 1, 2), 1.0  # (B, C, H, W) in the same memory
    scale = None if scale is None else scale.contiguous()  # torch's backward pass assumes it
    normal = torch.batch_norm(images, scale, shift, mean, variance, True, all_of_it, epsilon, False)
    if rectify:
        normal.relu_()  # before the permutation: a view changed in place would be copied backward
    return Normed(normal.permute(0, 2, 3, 1), mean, variance)
