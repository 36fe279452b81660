"""Batch norm of maps with the channels last, its scale and its ReLU, and what it saw.

Design choices: on a CPU it is torch's own, which is told to put the batch's statistics where it would else move the
running ones, so that what moves is decided later (`tally`). Statistics and scales are single precision where maps are
bfloat16. A GPU has kernels of its own (`norm_on_gpu`).
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from dropnas.search.engine import layout
from dropnas.search.engine.norm_on_gpu import NormOnGpu


def wide(values: Tensor) -> Tensor:
    """In the type that sums are taken in: bfloat16 in single precision, others as they are."""
    return values.float() if values.dtype == torch.bfloat16 else values


class Inverse(NamedTuple):
    """A variance as a GPU's kernels give it; to make many of them of it at once takes few kernels.

    Attributes:
        deviation: 1 / the square root of the biased variance and epsilon, of each channel (C,).
        pixels: how many there were.
    """

    deviation: Tensor
    epsilon: float
    pixels: int


def unbiased(variances: Sequence[Inverse]) -> list[Tensor]:
    """The variances themselves."""
    found = list(torch._foreach_pow([each.deviation for each in variances], -2))
    torch._foreach_sub_(found, [each.epsilon for each in variances])
    torch._foreach_mul_(found, [each.pixels / (each.pixels - 1) for each in variances])
    return found


class Normed(NamedTuple):
    """Normalised maps (B, H, W, C) with the mean and the unbiased variance of each channel (C,)."""

    maps: Tensor
    mean: Tensor
    variance: Tensor | Inverse


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
    if not layout.on_cpu(maps):
        out, mean, inverse = NormOnGpu.apply(maps, scale, shift, epsilon, rectify)  # type: ignore[no-untyped-call]
        return Normed(out, mean, Inverse(inverse, epsilon, maps.shape[:-1].numel()))
    mean, variance = wide(maps.new_zeros(2, maps.shape[-1])).unbind()
    images, all_of_it = maps.permute(0, 3, 1, 2), 1.0  # (B, C, H, W) in the same memory
    scale = None if scale is None else scale.contiguous()  # torch takes it for granted going backward
    normal = torch.batch_norm(images, scale, shift, mean, variance, True, all_of_it, epsilon, False)
    out = normal.permute(0, 2, 3, 1)
    return Normed(out.relu_() if rectify else out, mean, variance)
