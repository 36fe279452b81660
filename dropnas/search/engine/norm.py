"""Batch norm of maps with the channels last, its scale and its ReLU, and what it saw.

Design choices: it is torch's own, on every device. It writes the batch's statistics to tensors of its own instead of
moving the running ones, so that what moves is decided later (`running_statistics`). Statistics and scales are single
precision where maps are bfloat16.
"""

from typing import NamedTuple

import torch
from torch import Tensor


def wide(values: Tensor) -> Tensor:
    """In the type that sums are taken in: bfloat16 in single precision, others as they are."""
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
        scale: of each channel, if given.
        rectify: whether a ReLU follows.
        shift: of each channel, after the scale, if given.
    """
    mean, variance = wide(maps.new_empty(0)).new_zeros(2, maps.shape[-1]).unbind()
    images, all_of_it = maps.permute(0, 3, 1, 2), 1.0  # (B, C, H, W) in the same memory
    scale = None if scale is None else scale.contiguous()  # torch takes it for granted going backward
    normal = torch.batch_norm(images, scale, shift, mean, variance, True, all_of_it, epsilon, False)
    if rectify:
        normal.relu_()  # before it is turned: going backward, a view that was changed in place is copied
    return Normed(normal.permute(0, 2, 3, 1), mean, variance)
