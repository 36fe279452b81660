"""Boundaries of tests at several looks, written from the definition, as a reference for `analysis.group_sequential`.

The statistic is a Brownian motion B observed at the times t_1 < … < t_K = 1. A test of level a stops at the first look
with B(t_k) ≥ c_k. The c_k follow from the spent level: P(stop by t_k) = 2 − 2Φ(z/√t_k), where 1 − Φ(z) = a/2 (Lan and
DeMets 1983). After Armitage, McPherson and Rowe (1969), the density of B(t_k) for paths that have not stopped is the
previous density, cut off at c_(k−1) and convolved with the normal density of the increment.

Nothing is shared with the package: B itself instead of its z scores, Simpson's rule on an even grid instead of Gauss's,
Φ from the C library's `erfc`, and no scipy.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np

POINTS = 1201  # points of the grid, odd for Simpson's rule
REACH = 9.0  # start of the grid, in deviations below 0


def upper_tail(x: float) -> float:
    """1 − Φ(x)."""
    return 0.5 * math.erfc(x / math.sqrt(2))


def root(falling: Callable[[float], float], low: float, high: float) -> float:
    """The root of a decreasing function, by bisection."""
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if falling(middle) > 0 else (low, middle)
    return (low + high) / 2


def spent(level: float, time: float) -> float:
    """The level that a one-sided test may have spent by a time."""
    z = root(lambda x: upper_tail(x) - level / 2, 0.0, 40.0)
    return 2 * upper_tail(z / math.sqrt(time))


def simpson(low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
    """The points and weights of Simpson's rule."""
    weights = np.full(POINTS, 2.0)
    weights[1::2] = 4.0
    weights[[0, -1]] = 1.0
    return np.linspace(low, high, POINTS), weights * (high - low) / (POINTS - 1) / 3


def boundaries(level: float, times: Sequence[float]) -> list[float]:
    """The boundary of z = B(t)/√t at each look."""
    points, mass = np.zeros(1), np.ones(1)  # B(0) = 0
    found, before, spent_before = [], 0.0, 0.0
    for time in times:
        step = math.sqrt(time - before)
        share = spent(level, time) - spent_before

        def stops(c: float, at: np.ndarray = points, weight: np.ndarray = mass, unit: float = step) -> float:
            return math.fsum(w * upper_tail((c - b) / unit) for b, w in zip(at.tolist(), weight.tolist(), strict=True))

        c = root(lambda x, wanted=share, rule=stops: rule(x) - wanted, -2.0, 12.0)
        found.append(c / math.sqrt(time))
        grid, weights = simpson(-REACH * math.sqrt(time), c)
        gaps = (grid[:, None] - points[None, :]) / step
        density = np.exp(-gaps * gaps / 2) @ mass / (step * math.sqrt(2 * math.pi))
        points, mass, before, spent_before = grid, density * weights, time, spent(level, time)
    return found
