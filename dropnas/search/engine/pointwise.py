"""1x1 convolutions of several groups of channels, side by side, as matrix products.

Design choices: each product reads its group's channels in place and writes its output in the same layout. Neither the
forward nor the backward pass therefore rearranges data in memory. On a CPU, where products of narrow matrices are slow,
a few narrow groups are computed as one block-diagonal product.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from dropnas.search.engine import layout

# Largest number of channels of a group, and of all groups together, for which one product is faster; measured.
NARROWEST_PRODUCT, WIDEST_PRODUCT = 8, 64


class _Pointwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, maps: Tensor, matrices: Tensor) -> Tensor:
        ctx.save_for_backward(maps, matrices)
        return _multiplied(maps, matrices.transpose(1, 2))

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor]:
        maps, matrices = ctx.saved_tensors
        gradient, groups = gradient.contiguous(), len(matrices)
        in_maps = _multiplied(gradient, matrices) if ctx.needs_input_grad[0] else None
        return in_maps, torch.bmm(_grouped(gradient, groups).transpose(1, 2), _grouped(maps, groups))


def pointwise(maps: Tensor, matrices: Tensor) -> Tensor:
    """Multiply the channels of each of G groups by the group's matrix (C', C); matrices and maps have the same type.

    Maps (B, H, W, G * C) become (B, H, W, G * C'); both are contiguous.
    """
    if _are_narrow(maps, matrices):
        matrices = torch.block_diag(*matrices)[None]  # type: ignore[no-untyped-call]
    mixed: Tensor = _Pointwise.apply(maps, matrices)  # type: ignore[no-untyped-call]
    return mixed


def _are_narrow(maps: Tensor, matrices: Tensor) -> bool:
    """Whether the groups are so narrow that a single product is faster."""
    groups, rows, columns = matrices.shape
    return (
        groups > 1
        and max(rows, columns) <= NARROWEST_PRODUCT
        and maps.shape[-1] <= WIDEST_PRODUCT
        and layout.on_cpu(maps)
    )


def _multiplied(maps: Tensor, matrices: Tensor) -> Tensor:
    """Multiply each group of channels by its matrix; the matrices are (G, C, C')."""
    groups, _, channels = matrices.shape
    out = maps.new_empty(*maps.shape[:-1], groups * channels)
    torch.bmm(_grouped(maps, groups), matrices, out=_grouped(out, groups))
    return out


def _grouped(maps: Tensor, groups: int) -> Tensor:
    """The same memory, viewed as (G, B * H * W, C)."""
    return maps.view(-1, groups, maps.shape[-1] // groups).transpose(0, 1)
