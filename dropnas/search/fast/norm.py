"""Batch norm of maps with the channels last, its scale and its ReLU in the same passes, and its derivative.

Design choices: torch's own channels-last kernel is slow going backward where channels are few. Here each pass over the
maps is one vectorised operation: the mean, the centred maps (kept for going backward), their mean square, the scaled
maps. The variance comes from centred maps, as exact as torch's. Maps may be bfloat16; sums over them, statistics and
scales are single precision then. A GPU has kernels of its own (`norm_on_gpu`).
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from dropnas.search.fast.channel_sums import channel_sums
from dropnas.search.fast.norm_on_gpu import NormOnGpu


def wide(values: Tensor) -> Tensor:
    """In the type that sums are taken in: bfloat16 in single precision, others as they are."""
    return values.float() if values.dtype == torch.bfloat16 else values


class Normed(NamedTuple):
    """Normalised maps (B, H, W, C) with the mean and the unbiased variance of each channel (C,)."""

    maps: Tensor
    mean: Tensor
    variance: Tensor


class _Norm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        maps: Tensor,
        scale: Tensor | None,
        shift: Tensor | None,
        epsilon: float,
        rectify: bool,
        channels: int,
    ) -> tuple[Tensor, Tensor, Tensor]:
        rows = wide(maps.flatten(0, -2))
        mean = channel_sums(rows, channels) / len(rows)
        centred = rows - mean
        variance = channel_sums(centred * centred, channels) / len(rows)
        inverse = (variance + epsilon).rsqrt()
        out = centred * (inverse if scale is None else inverse * scale)
        if shift is not None:
            out += shift
        if rectify:
            out.relu_()
        ctx.channels, out = channels, out.to(maps.dtype)
        ctx.save_for_backward(centred.to(maps.dtype), inverse, scale, out if rectify else None)
        unbiased = variance * (len(rows) / (len(rows) - 1))
        ctx.mark_non_differentiable(mean, unbiased)
        return out.view(maps.shape), mean, unbiased

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        centred, inverse, scale, out = ctx.saved_tensors
        centred = wide(centred)
        rows = gradient.reshape(centred.shape).contiguous()
        if out is not None:
            rows = torch.ops.aten.threshold_backward(rows, out, 0)
        rows = wide(rows)
        product = rows * centred
        along = channel_sums(product, ctx.channels)  # of the gradient and the maps
        total = channel_sums(rows, ctx.channels)
        factor = inverse if scale is None else inverse * scale
        offset = factor * total / -len(rows)
        slope = factor * inverse * inverse * along / -len(rows)
        in_maps = torch.addcmul(offset, centred, slope, out=product).addcmul_(rows, factor)
        in_scale = inverse * along if ctx.needs_input_grad[1] else None
        in_shift = total if ctx.needs_input_grad[2] else None
        return in_maps.view(gradient.shape).to(gradient.dtype), in_scale, in_shift, None, None, None


def batch_norm(
    maps: Tensor,
    scale: Tensor | None,
    epsilon: float,
    channels: int,
    rectify: bool = False,
    shift: Tensor | None = None,
) -> Normed:
    """Normalise each channel over the batch.

    Args:
        maps: (B, H, W, G * C), contiguous.
        scale: of each channel, if given.
        channels: C of one of the norms that are computed side by side.
        rectify: whether a ReLU follows.
        shift: of each channel, after the scale, if given.
    """
    if maps.device.type != "cpu":
        return Normed(*NormOnGpu.apply(maps, scale, shift, epsilon, rectify))  # type: ignore[no-untyped-call]
    return Normed(*_Norm.apply(maps, scale, shift, epsilon, rectify, channels))  # type: ignore[no-untyped-call]
