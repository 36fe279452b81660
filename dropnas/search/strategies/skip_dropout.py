"""Dropout on skip-connects whose random bits follow from a key, by integer arithmetic on the device.

Design choices: the elements of all skip-connects of an epoch are too many to be drawn on the host, and torch's own
dropout draws from a generator that a step must not have. So the host draws a key for each pass and skip-connect, and a
hash of the key and an element's number says whether the element is dropped. It is the same on every device, can be
recorded as a CUDA graph, and needs no state. An element has 16 random bits, so a rate is met to 1 / 65,536.
"""

from functools import cache

import torch
from torch import Tensor, nn

VALUES = 2**16  # that 16 random bits have


class SkipDropout(nn.Module):
    """A skip-connect of stride 1 that drops elements, or with `whole` all of its output, and scales what it keeps.

    Attributes:
        key: of the next pass, int32 (); None drops nothing.
        threshold, scale: of the next pass, as `of_rate` gives them.
    """

    key: Tensor | None = None
    threshold: Tensor
    scale: Tensor

    def __init__(self, whole: bool) -> None:
        super().__init__()
        self.whole = whole

    def forward(self, states: Tensor) -> Tensor:
        """Some of the states (B, C, H, W), scaled; 0 in place of the others."""
        if self.key is None:
            return states
        count = 1 if self.whole else states.numel()
        kept = random_bits(self.key, count) >= self.threshold
        return torch.where(kept if self.whole else kept.view(states.shape), states * self.scale, 0.0)


def of_rate(rate: float) -> tuple[int, float]:
    """Threshold of the bits and scale of what is kept, for a rate of dropout below 1."""
    threshold = round(rate * VALUES) - VALUES // 2
    return min(threshold, VALUES // 2 - 1), 1 / (1 - rate)


def random_bits(key: Tensor, count: int) -> Tensor:
    """Random int16 (count,) that follow from a key, int32 ()."""
    return _mixed(_numbers(-(-count // 2), key.device) ^ key).view(torch.int16)[:count]


@cache
def _numbers(count: int, device: torch.device) -> Tensor:
    """The hashed numbers from 0: without a key, so that keys which differ little have streams that differ in all."""
    return _mixed(torch.arange(count, dtype=torch.int32, device=device))


def _mixed(values: Tensor) -> Tensor:
    """A bijection of int32 in which each bit of the result depends on all bits (C. Wellons' lowbias32)."""
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B - 2**32)):
        values = _folded(values, shift) * factor
    return _folded(values, 16)


def _folded(values: Tensor, shift: int) -> Tensor:
    """Exclusive or with the upper bits."""
    folded: Tensor = values ^ ((values >> shift) & (2 ** (32 - shift) - 1))
    return folded
