"""Mixes the operations without parameters, whose outputs are the same for all edges from a state.

Design choices: only the mixing weights differ between edges. One small matrix product therefore mixes the stacked
outputs for all edges, and another one mixes the gradients. This avoids separate passes over the maps for each edge and
operation. The gradient of a mixing weight is a sum over millions of values. A GPU sums many parts in parallel, and adds
the parts in the type of the weights.
"""

from collections.abc import Sequence
from functools import partial
from math import gcd
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from dropnas.search.engine import layout

MOST_PARTS = 1024  # largest number of parts into which a GPU splits a sum


class _MixedMaps(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weights: Tensor, *maps: Tensor) -> tuple[Tensor, ...]:
        stacked, parts = _stacked(maps, len(weights)), _parts(weights, maps[0].dtype)  # (K, operations, values)
        ctx.save_for_backward(stacked, *parts)
        ctx.wide = weights.dtype
        return _apart(_product(parts, stacked), maps[0])

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
        stacked, *parts = ctx.saved_tensors
        rows = _stacked(gradients, len(stacked))  # (K, edges, values)
        in_maps = _product([part.transpose(1, 2) for part in parts], rows)
        return _scalar_products(rows, stacked, ctx.wide), *_apart(in_maps, gradients[0])


def mix_parameter_free(weights: Tensor, maps: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """For each edge, the weighted sum of the maps. Each map is (B, H, W, K * C), the weights are (K, edges, maps)."""
    mixed: tuple[Tensor, ...] = _MixedMaps.apply(weights, *maps)  # type: ignore[no-untyped-call]
    return mixed


def _parts(weights: Tensor, dtype: torch.dtype) -> tuple[Tensor, ...]:
    """The weights in the type of the maps.

    If that type has lower precision, each weight is given as the sum of two numbers of that type. A single number would
    round small differences away.
    """
    if weights.dtype == dtype:
        return (weights,)
    high = weights.to(dtype)
    return high, (weights - high).to(dtype)


def _product(parts: Sequence[Tensor], matrices: Tensor) -> Tensor:
    """The product of the weights with matrices, where the weights are the sum of `parts`."""
    first, *rest = parts
    return torch.baddbmm(rest[0] @ matrices, first, matrices) if rest else first @ matrices


def _scalar_products(rows: Tensor, others: Tensor, wide: torch.dtype) -> Tensor:
    """The scalar products of `rows` (K, E, values) with `others` (K, operations, values): (K, E, operations).

    The sums are taken in the type `wide`.
    """
    if layout.on_cpu(rows):
        return rows.to(wide) @ others.to(wide).transpose(1, 2)
    parts, product = (gcd(rows.shape[2], MOST_PARTS), -1), torch.bmm
    if rows.dtype != wide:
        product = partial(torch.bmm, out_dtype=wide)  # otherwise each partial sum would be rounded to the maps' type
    # (K, parts, ..., values)
    left, right = (each.view(*each.shape[:2], *parts).transpose(1, 2) for each in (rows, others))
    return torch.stack([product(*of_one).sum(0) for of_one in zip(left, right.transpose(2, 3), strict=True)])


def _stacked(maps: Sequence[Tensor], groups: int) -> Tensor:
    """Stack maps (B, H, W, K * C) of equal shape as matrices (K, maps, B * H * W * C)."""
    grouped = [each.reshape(-1, groups, each.shape[-1] // groups).transpose(0, 1) for each in maps]
    return torch.stack(grouped, dim=1).flatten(2)


def _apart(matrices: Tensor, like: Tensor) -> tuple[Tensor, ...]:
    """The inverse of `_stacked`: each row of the matrices as maps."""
    groups, channels = len(matrices), like.shape[-1] // len(matrices)
    rows = matrices.view(groups, -1, like.shape[:-1].numel(), channels).permute(1, 2, 0, 3)
    return tuple(row.reshape(like.shape) for row in rows)
