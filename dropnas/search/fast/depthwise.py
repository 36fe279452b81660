"""A depthwise convolution of stride 1 on maps with the channels last, and its derivatives in the forms that are fast.

Design choices: a CPU's depthwise kernels are near the speed of its memory with the channels last, but for two: the
dilated ones, which are brought to undilated ones by regrouping the pixels (`layout.phases`), and the derivative in a
kernel that is wider than three, which is taken three columns at a time. The derivative in the maps is the convolution
with the turned kernel. The sums are those of torch's own convolution, in another order.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

WIDEST = 3  # columns of a kernel up to which the derivative in it is fast on a CPU


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, maps: Tensor, kernels: Tensor, dilation: int) -> Tensor:
        ctx.save_for_backward(maps, kernels)
        ctx.dilation = dilation
        return _convolved(maps, kernels, dilation)

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        maps, kernels = ctx.saved_tensors
        gradient = gradient.contiguous()
        in_maps = in_kernels = None
        if ctx.needs_input_grad[0]:
            in_maps = _convolved(gradient, kernels.flip(2, 3), ctx.dilation)
        if ctx.needs_input_grad[1]:
            in_kernels = _in_kernels(maps, gradient, kernels, ctx.dilation)
        return in_maps, in_kernels, None


def depthwise(maps: Tensor, kernels: Tensor, dilation: int = 1) -> Tensor:
    """Convolve each channel with its own kernel, stride 1, so padded that the size stays.

    Args:
        maps: (B, H, W, C), contiguous.
        kernels: (C, 1, k, k), k odd.

    Returns:
        (B, H, W, C), contiguous.
    """
    convolved: Tensor = _Depthwise.apply(maps, kernels, dilation)  # type: ignore[no-untyped-call]
    return convolved


def _convolved(maps: Tensor, kernels: Tensor, dilation: int) -> Tensor:
    padding = dilation * (kernels.shape[-1] // 2)
    images = functional.conv2d(_channels_first(maps), kernels, None, 1, padding, dilation, groups=len(kernels))
    return images.permute(0, 2, 3, 1).contiguous()


def _in_kernels(maps: Tensor, gradient: Tensor, kernels: Tensor, dilation: int) -> Tensor:
    """The derivative in the kernels; of wide ones on a CPU a few columns at a time, on maps padded to fit these."""
    width = kernels.shape[-1]
    height_padding, half = dilation * (width // 2), width // 2
    if width <= WIDEST or dilation > 1 or maps.device.type != "cpu":
        return _in_columns(maps, gradient, kernels, (height_padding, dilation * half), dilation)
    parts = []
    for first in range(0, width, WIDEST):
        columns = min(WIDEST, width - first)
        left = half - first
        right = columns - 1 - left
        padded = functional.pad(maps, (0, 0, left, right))
        parts.append(_in_columns(padded, gradient, kernels[..., :columns], (height_padding, 0), 1))
    return torch.cat(parts, dim=-1)


def _in_columns(maps: Tensor, gradient: Tensor, kernels: Tensor, padding: tuple[int, int], dilation: int) -> Tensor:
    derivatives = torch.ops.aten.convolution_backward(
        _channels_first(gradient),
        _channels_first(maps),
        kernels,
        None,
        [1, 1],
        list(padding),
        [dilation, dilation],
        False,
        [0, 0],
        len(kernels),
        [False, True, False],
    )
    in_kernels: Tensor = derivatives[1]
    return in_kernels


def _channels_first(maps: Tensor) -> Tensor:
    """The same memory as torch's convolutions name its axes: (B, C, H, W), channels last."""
    return maps.permute(0, 3, 1, 2)
