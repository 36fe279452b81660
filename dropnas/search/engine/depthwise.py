"""Depthwise convolution with stride 1 for channels-last maps, with fast gradients.

Design choices: with the channels last, a CPU's depthwise kernels run close to the speed of its memory, with two
exceptions. The first is dilated convolutions: they are computed as undilated ones, on regrouped pixels
(`layout.to_grids`). The second is the gradient of a kernel wider than three: it is computed three columns at a time.
The gradient of the maps is the output's gradient convolved with the flipped kernel. Maps that several convolutions read
are stored once and repeated in the backward pass. On small maps, convolutions are computed as matrix products instead
(`small_maps`). The result differs from torch's only in the order of the sums.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from dropnas.search.engine import layout
from dropnas.space.small_maps import tap_matrices

SMALL_MAP = 32  # largest number of pixels of a map (height times width) for which matrix products are faster; measured
WIDEST_KERNEL = 3  # largest number of columns for which a CPU computes the gradient of a kernel quickly


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
    """Convolutions of small maps, in which each channel is multiplied by a matrix."""

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
    """The maps of each channel as rows: (B, H, W, C) to (C, B, H * W)."""
    return maps.flatten(1, 2).permute(2, 0, 1).contiguous()


def depthwise(maps: Tensor, kernels: Tensor, dilation: int = 1) -> Tensor:
    """Convolve each channel with its own kernel, with stride 1 and padding that keeps the size.

    Args:
        maps: (B, H, W, C), contiguous.
        kernels: (E * C, 1, k, k), for E convolutions of the same maps; k is 1, 3 or 5.

    Returns:
        (B, H, W, E * C), contiguous; the outputs of the E convolutions are side by side in the channels.
    """
    way = _Multiplied if _is_small(maps) else _Depthwise
    convolved: Tensor = way.apply(maps, kernels, dilation)  # type: ignore[no-untyped-call]
    return convolved


def _is_small(maps: Tensor) -> bool:
    """Whether matrix products are faster on a CPU: for small maps that are not bfloat16."""
    pixels = maps.shape[1] * maps.shape[2]
    return layout.on_cpu(maps) and maps.dtype != torch.bfloat16 and pixels <= SMALL_MAP


def _repeated(maps: Tensor, kernels: Tensor) -> Tensor:
    """Repeat the maps side by side, once for each of the E convolutions that read them: (B, H, W, E * C)."""
    times = len(kernels) // maps.shape[-1]
    return maps if times == 1 else torch.cat([maps] * times, dim=-1)


def _added(maps: Tensor, channels: int) -> Tensor:
    """Sum the parts (B, H, W, C) that are side by side in the channels. On a CPU, torch's own sum is slow."""
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
    """The gradient of the kernels. On a CPU, wide kernels are processed a few columns at a time, on padded maps."""
    width, padding = kernels.shape[-1], dilation * (kernels.shape[-1] // 2)
    if width <= WIDEST_KERNEL or dilation > 1 or not layout.on_cpu(maps):
        return _in_columns(maps, gradient, kernels, (padding, padding), dilation)
    parts = []
    for first in range(0, width, WIDEST_KERNEL):
        columns, left = min(WIDEST_KERNEL, width - first), padding - first
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
    """The same memory with the axes in torch's order: (B, C, H, W), channels last."""
    return maps.permute(0, 3, 1, 2)
