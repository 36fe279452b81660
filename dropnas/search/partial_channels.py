"""Partial channel connections (Xu et al., 2020): an edge that sends a part of its channels through its operations.

The first C / K channels of a state go through the operations. The others bypass them, max-pooled where the edge has
stride 2. Both parts, mixed channels first, have the weight of the edge, and are shuffled in K groups.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from dropnas.search.supernet import MixedOperation, sum_of
from dropnas.space.spaces import SearchSpace


def gone_round(images: Tensor, stride: int) -> Tensor:
    """What arrives of the channels (B, C, H, W) that bypass the operations; sides are rounded up."""
    return functional.max_pool2d(images, 2, 2, ceil_mode=True) if stride == 2 else images


class PartialOperation(MixedOperation):
    """An edge that passes one in `proportion` channels through the operations; `channels` is their number."""

    def __init__(self, proportion: int, space: SearchSpace, channels: int, stride: int) -> None:
        super().__init__(space, channels // proportion, stride)
        self.proportion, self.stride = proportion, stride

    def forward(self, state: Tensor, kept: Sequence[tuple[int, Tensor]]) -> Tensor:
        """The edge's output; its weight is the sum of the weights of its operations."""
        through, round_them = state[:, : self.channels], state[:, self.channels :]
        weight = sum_of([each for _, each in kept])
        parts = [super().forward(through, kept), weight * gone_round(round_them, self.stride)]
        return functional.channel_shuffle(torch.cat(parts, dim=1), self.proportion)
