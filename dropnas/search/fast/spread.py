"""The operations without weights: what they give is the same for all edges from a state, only its weights differ.

Design choices: their answers are stacked and mixed for all these edges by one small matrix product, and so are the
derivatives, instead of passing over the maps for each edge and operation.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


class _Spread(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weights: Tensor, *maps: Tensor) -> tuple[Tensor, ...]:
        stacked = torch.stack(maps).flatten(1)  # (operations, values)
        ctx.save_for_backward(weights, stacked)
        ctx.shape = maps[0].shape
        return tuple((weights @ stacked).view(-1, *ctx.shape).unbind())

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
        weights, stacked = ctx.saved_tensors
        rows = torch.stack(gradients).flatten(1)  # (edges, values)
        in_maps = (weights.t() @ rows).view(-1, *ctx.shape).unbind()
        return rows @ stacked.t(), *in_maps


def spread(weights: Tensor, maps: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """For each edge the weighted sum of equal maps; weights (edges, maps)."""
    mixed: tuple[Tensor, ...] = _Spread.apply(weights, *maps)  # type: ignore[no-untyped-call]
    return mixed
