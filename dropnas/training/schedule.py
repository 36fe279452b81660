"""Schedules: values that change over the epochs, as pure functions of the position.

Design choices: pure functions have no state that must be saved. `step` counts from 0 to `total` - 1. The value would
reach `end` at `step == total`, one step after the last. The scheduler of the released code does the same, with one
value for each epoch.
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
