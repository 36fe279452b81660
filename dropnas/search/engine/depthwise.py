"""A depthwise convolution of stride 1 on maps with the channels last, and its derivatives in the forms that are fast.

Design choices: a CPU's depthwise kernels are near the speed of its memory with the channels last, but for two: the
dilated ones, which are brought to undilated ones by regrouping the pixels (`layout.to_grids`), and the derivative in a
kernel that is wider than three, which is taken three columns at a time. The derivative in the maps is the convolution
with the turned kernel. Maps that several convolutions read are kept once and repeated again going backward. Small
maps are multiplied by matrices instead (`small_maps`). The sums are those of torch's own convolution, in another order.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from dropnas.search.engine import layout
from dropnas.space.small_maps import tap_matrices

SMALL = 32  # pixels of a map up to which products are faster; measured
WIDEST = 3  # columns of a kernel up to which the derivative in it is fast on a CPU


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, maps: Tensor, kernels: Tensor, dilation: int) -> Tensor:
        ctx.save_for_backward(maps, kernels)
        ctx.dilation = dilation
        return _convolved(_repeated(maps, kernels), kernels, dilation)

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        maps, kernels = ctx.saved_tensors
        gradient, in_maps = gradient.contiguous(), None
        if ctx.needs_input_grad[0]:
            in_maps = _added(_convolved(gradient, kernels.flip(2, 3), ctx.dilation), maps.shape[-1])
        return in_maps, _in_kernels(_repeated(maps, kernels), gradient, kernels, ctx.dilation), None


class _Multiplied(torch.autograd.Function):
    """The convolutions of small maps as products of each channel with a matrix."""

    @staticmethod
    def forward(ctx: Any, maps: Tensor, kernels: Tensor, dilation: int) -> Tensor:
        height, width = maps.shape[1:3]
        padding = dilation * (kernels.shape[-1] // 2)
        taps, _ = tap_matrices(kernels.shape[2:], (1, 1), (padding,) * 2, (dilation,) * 2, height, width, maps.dtype)
        rows = _rows(_repeated(maps, kernels))  # (E * C, B, H * W)
        matrices = (kernels.flatten(1) @ taps).view(len(kernels), height * width, -1)
        ctx.save_for_backward(rows, matrices, taps)
        ctx.shapes = maps.shape, kernels.shape
        return torch.bmm(rows, matrices).permute(1, 2, 0).contiguous().view(*maps.shape[:-1], -1)

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        rows, matrices, taps = ctx.saved_tensors
        of_maps, of_kernels = ctx.shapes
        upstream, in_maps = _rows(gradient), None
        if ctx.needs_input_grad[0]:
            in_rows = torch.bmm(upstream, matrices.transpose(1, 2)).permute(1, 2, 0).contiguous()
            in_maps = _added(in_rows.view(*of_maps[:-1], -1), of_maps[-1])
        in_matrices = torch.bmm(rows.transpose(1, 2), upstream)
        return in_maps, (in_matrices.flatten(1) @ taps.t()).view(of_kernels), None


def _rows(maps: Tensor) -> Tensor:
    """The maps of each channel in rows: (C, B, H * W) of maps (B, H, W, C)."""
    return maps.flatten(1, 2).permute(2, 0, 1).contiguous()


def depthwise(maps: Tensor, kernels: Tensor, dilation: int = 1) -> Tensor:
    """Convolve each channel with its own kernel, stride 1, so padded that the size stays; E convolutions side by side.

    Args:
        maps: (B, H, W, C), contiguous.
        kernels: (E * C, 1, k, k); k is 1, 3 or 5.

    Returns:
        (B, H, W, E * C), contiguous.
    """
    way = _Multiplied if _is_small(maps) else _Depthwise
    convolved: Tensor = way.apply(maps, kernels, dilation)  # type: ignore[no-untyped-call]
    return convolved


def _is_small(maps: Tensor) -> bool:
    """Whether a CPU is better served by matrix products: on small maps, and not with bfloat16."""
    pixels = maps.shape[1] * maps.shape[2]
    return layout.on_cpu(maps) and maps.dtype != torch.bfloat16 and pixels <= SMALL


def _repeated(maps: Tensor, kernels: Tensor) -> Tensor:
    """The same maps side by side, as often as the kernels need: (B, H, W, E * C)."""
    times = len(kernels) // maps.shape[-1]
    return maps if times == 1 else torch.cat([maps] * times, dim=-1)


def _added(maps: Tensor, channels: int) -> Tensor:
    """The sum of the parts (B, H, W, C) that stand side by side; torch's own sum is slow on a CPU."""
    parts = maps.view(*maps.shape[:-1], -1, channels)
    if parts.shape[-2] == 1:
        return maps
    if not layout.on_cpu(maps):
        return parts.sum(-2)
    first, second, *others = parts.unbind(-2)
    total = first + second
    for each in others:
        total.add_(each)
    return total


def _convolved(maps: Tensor, kernels: Tensor, dilation: int) -> Tensor:
    padding = dilation * (kernels.shape[-1] // 2)
    images = functional.conv2d(_channels_first(maps), kernels, None, 1, padding, dilation, groups=len(kernels))
    return images.permute(0, 2, 3, 1).contiguous()


def _in_kernels(maps: Tensor, gradient: Tensor, kernels: Tensor, dilation: int) -> Tensor:
    """The derivative in the kernels; in wide ones on a CPU a few columns at a time, on maps padded to fit these."""
    width, padding = kernels.shape[-1], dilation * (kernels.shape[-1] // 2)
    if width <= WIDEST or dilation > 1 or not layout.on_cpu(maps):
        return _in_columns(maps, gradient, kernels, (padding, padding), dilation)
    parts = []
    for first in range(0, width, WIDEST):
        columns, left = min(WIDEST, width - first), padding - first
        padded = functional.pad(maps, (0, 0, left, columns - 1 - left))
        parts.append(_in_columns(padded, gradient, kernels[..., :columns], (padding, 0), 1))
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
