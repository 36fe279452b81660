"""Batch norm of maps with the channels last, its scale and its ReLU in the same passes, and its derivative.

Design choices: torch's own channels-last kernel is slow going backward where channels are few. Here each pass over the
maps is one vectorised operation: the mean, the centred maps (kept for going backward), their mean square, the scaled
maps. The variance comes from centred maps, as exact as torch's.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


class Normed(NamedTuple):
    """Normalised maps (B, H, W, C) with the mean and the unbiased variance of each channel (C,)."""

    maps: Tensor
    mean: Tensor
    variance: Tensor


class _Norm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, maps: Tensor, scale: Tensor | None, epsilon: float, rectify: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        rows = maps.flatten(0, -2)
        mean = rows.mean(dim=0)
        centred = rows - mean
        variance = (centred * centred).mean(dim=0)
        inverse = (variance + epsilon).rsqrt()
        out = centred * (inverse if scale is None else inverse * scale)
        if rectify:
            out.relu_()
        ctx.save_for_backward(centred, inverse, scale, out if rectify else None)
        unbiased = variance * (len(rows) / (len(rows) - 1))
        ctx.mark_non_differentiable(mean, unbiased)
        return out.view(maps.shape), mean, unbiased

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor, Tensor | None, None, None]:
        centred, inverse, scale, out = ctx.saved_tensors
        rows = gradient.reshape(centred.shape)
        if out is not None:
            rows = torch.ops.aten.threshold_backward(rows, out, 0)
        product = rows * centred
        along = product.sum(dim=0)  # of the gradient and the maps
        factor = inverse if scale is None else inverse * scale
        shift = factor * rows.sum(dim=0) / -len(rows)
        slope = factor * inverse * inverse * along / -len(rows)
        in_maps = torch.addcmul(shift, centred, slope, out=product).addcmul_(rows, factor)
        return in_maps.view(gradient.shape), None if scale is None else inverse * along, None, None


def batch_norm(maps: Tensor, scale: Tensor | None, epsilon: float, rectify: bool = False) -> Normed:
    """Normalise each channel of (B, H, W, C) over the batch, times `scale` (C,) if given; then ReLU if `rectify`."""
    return Normed(*_Norm.apply(maps, scale, epsilon, rectify))  # type: ignore[no-untyped-call]
