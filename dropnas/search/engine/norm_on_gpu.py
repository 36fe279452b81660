"""Batch norm of maps with the channels last on a GPU: two passes over the maps going forward, two going back.

Design choices: the kernels are those of torch's synchronised batch norm, the only ones of its own that give statistics
and the derivative's sums apart and take bfloat16 maps with single-precision scales. They add up in single precision
(in double for double). What is kept for going backward is the maps as they came.
"""

from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


class NormOnGpu(torch.autograd.Function):
    """Gives the maps, their mean and 1 / deviation, as `norm.batch_norm` says."""

    @staticmethod
    def forward(
        ctx: Any, maps: Tensor, scale: Tensor | None, shift: Tensor | None, epsilon: float, rectify: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Normalise; maps (B, H, W, C), contiguous."""
        rows = maps.flatten(0, -2).contiguous()
        mean, inverse = torch.batch_norm_stats(rows, epsilon)
        factor = _filled(len(mean), 1, mean.dtype, mean.device) if scale is None else scale
        out = torch.batch_norm_elemt(rows, factor, shift, mean, inverse, epsilon)
        if rectify:
            out.relu_()
        ctx.save_for_backward(rows, mean, inverse, factor, out if rectify else None)
        ctx.mark_non_differentiable(mean, inverse)
        ctx.set_materialize_grads(False)
        return out.view(maps.shape), mean, inverse

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        """The derivatives in maps, scale and shift."""
        rows, mean, inverse, factor, out = ctx.saved_tensors
        upstream = gradient.reshape(rows.shape).contiguous()
        if out is not None:
            upstream = torch.ops.aten.threshold_backward(upstream, out, 0)
        sums = torch.batch_norm_backward_reduce(upstream, rows, mean, inverse, factor, True, False, False)
        total, along = sums[:2]  # of the gradient; of its product with the centred maps
        count = _filled(1, len(rows), torch.int32, rows.device)
        in_maps = torch.batch_norm_backward_elemt(upstream, rows, mean, inverse, factor, total, along, count)
        in_scale = inverse * along if ctx.needs_input_grad[1] else None
        return in_maps.view(gradient.shape), in_scale, total if ctx.needs_input_grad[2] else None, None, None


@cache
def _filled(length: int, value: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """A constant; made once, before a step is captured, instead of in each."""
    return torch.full((length,), value, dtype=dtype, device=device)
