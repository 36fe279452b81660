"""Partial channel connections (Xu et al., 2020): only a part of an edge's channels goes through its operations.

The first C / K channels of a state go through the operations. The other channels bypass them, and are max-pooled on an
edge of stride 2. The bypassing channels are multiplied by the weight of the edge and appended to the mixed ones. Then
all channels are shuffled in K groups.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from dropnas.search.supernet import MixedOperation, sum_of
from dropnas.space.spaces import SearchSpace


def bypassed(images: Tensor, stride: int) -> Tensor:
    """The channels that bypass the operations, after the edge's stride: (B, C, ceil(H/s), ceil(W/s))."""
    return functional.max_pool2d(images, 2, 2, ceil_mode=True) if stride == 2 else images


class PartialOperation(MixedOperation):
    """An edge that passes only a fraction of its `channels`, 1 / `proportion`, through its operations."""

    def __init__(self, proportion: int, space: SearchSpace, channels: int, stride: int) -> None:
        super().__init__(space, channels // proportion, stride)
        self.proportion, self.stride = proportion, stride

    def forward(self, state: Tensor, kept: Sequence[tuple[int, Tensor]]) -> Tensor:
        """The edge's output; the weight of an edge is the sum of its operations' weights."""
        through, round_them = state[:, : self.channels], state[:, self.channels :]
        weight = sum_of([each for _, each in kept])
        parts = [super().forward(through, kept), weight * bypassed(round_them, self.stride)]
        return functional.channel_shuffle(torch.cat(parts, dim=1), self.proportion)
