"""Dropout on skip-connects. The device computes the random bits from a key, by integer arithmetic.

Design choices: the outputs of the skip-connects have so many elements that the host cannot draw random bits for each of
them. PyTorch's own dropout draws from a generator, which is not allowed in a recorded step. The host therefore draws
one key for each pass and skip-connect. A hash of the key and of an element's index decides whether the element is
dropped. The hash is the same on every device, can be recorded in a CUDA graph, and needs no state. Each element has 16
random bits, so the rate is exact to 1 / 65,536.
"""

from functools import cache

import torch
from torch import Tensor, nn

RANDOM_VALUES = 2**16  # number of possible values of 16 bits


class SkipDropout(nn.Module):
    """A skip-connect of stride 1 with dropout.

    It drops individual elements of its output or, with `whole`, the entire output. Kept elements are scaled.

    Attributes:
        key: key of the next pass, an int32 scalar; None means no dropout.
        threshold, scale: threshold and scale of the next pass, as `of_rate` returns them.
    """

    key: Tensor | None = None
    threshold: Tensor
    scale: Tensor

    def __init__(self, whole: bool) -> None:
        super().__init__()
        self.whole = whole

    def forward(self, states: Tensor) -> Tensor:
        """Return the states (B, C, H, W) with kept elements scaled and dropped elements set to 0."""
        if self.key is None:
            return states
        count = 1 if self.whole else states.numel()
        kept = random_bits(self.key, count) >= self.threshold
        return torch.where(kept if self.whole else kept.view(states.shape), states * self.scale, 0.0)


def of_rate(rate: float) -> tuple[int, float]:
    """Return the threshold of the bits and the scale of kept elements, for a dropout rate below 1."""
    threshold = round(rate * RANDOM_VALUES) - RANDOM_VALUES // 2
    return min(threshold, RANDOM_VALUES // 2 - 1), 1 / (1 - rate)


def random_bits(key: Tensor, count: int) -> Tensor:
    """Return `count` random int16 values, computed from a key, which is an int32 scalar."""
    return _mixed(_numbers(-(-count // 2), key.device) ^ key).view(torch.int16)[:count]


@cache
def _numbers(count: int, device: torch.device) -> Tensor:
    """Hash the numbers from 0 to `count` - 1 without a key.

    Thanks to this first hash, similar keys give entirely different bits.
    """
    return _mixed(torch.arange(count, dtype=torch.int32, device=device))


def _mixed(values: Tensor) -> Tensor:
    """A bijection of int32 in which each bit of the result depends on all bits of the input (C. Wellons' lowbias32)."""
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B - 2**32)):
        values = _folded(values, shift) * factor
    return _folded(values, 16)


def _folded(values: Tensor, shift: int) -> Tensor:
    """Return values XOR (values >> shift), where the shift is unsigned: zeros enter from the left."""
    folded: Tensor = values ^ ((values >> shift) & (2 ** (32 - shift) - 1))
    return folded
