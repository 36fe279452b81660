"""Schedules: values that change over the epochs, as pure functions of the position.

Design choices: pure functions leave no state to save. `step` counts from 0 to `total` - 1. `end` would be reached at
`step == total`, as in the scheduler of the released code, which sets one value for each epoch.
"""

import math


def cosine(start: float, end: float, step: float, total: int) -> float:
    """Half a cosine from `start` at step 0 to `end` at step `total`."""
    return end + (start - end) * (1 + math.cos(math.pi * step / total)) / 2


def linear(start: float, end: float, step: int, total: int) -> float:
    """A straight line from `start` at step 0 to `end` at step `total`."""
    return start + (end - start) * step / total


def warm_up(rate: float, step: int, total: int) -> float:
    """A linear warm-up: rate / total at step 0, the full rate at step `total` - 1."""
    return rate * (step + 1) / total
