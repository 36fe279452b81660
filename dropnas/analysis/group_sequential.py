r"""Tests at several interim looks: alpha spending, boundaries, and p-values, intervals and estimates over all looks.

There is one design: Lan-DeMets spending with O'Brien-Fleming-like boundaries. Time t is the number of seeds so far, as
a fraction of the largest number. By time t, a one-sided test of level a may have spent 2 − 2Φ(z_{a/2}/√t): little at
first, and all of the level at t = 1. The boundaries follow from the joint normal distribution of the z statistics,
whose correlation at times s < t is √(s/t), by recursive numerical integration (Armitage, McPherson and Rowe). There are
no lower boundaries for futility. The level holds even if sampling continues after a boundary is crossed.

With few seeds, the statistic is not normal. Each boundary is therefore converted to a nominal level: at each look, the
p-value of Welch's test is compared with the tail probability of the boundary (Jennison and Turnbull, Section 3.8,
"significance level approach"). Simulated reproductions confirm that the level holds (docs/verdicts.md).

Design choices: everything is based on the p-value over all looks. It is the lowest level at which the design would
have rejected by now. Holm's correction and intersection-union tests treat it like any other p-value. The
functions work on numpy arrays, so one table of boundaries serves ten thousand simulated reproductions and the real one.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri, stdtrit

Array = NDArray[np.float64]
TAIL_DEVIATIONS = 9.0  # number of standard deviations beyond which the tail of a normal distribution is negligible
FEWEST_GRID_POINTS, MOST_GRID_POINTS, PER_DEVIATION = (
    96,
    2048,
    30.0,
)  # limits and scale for the number of quadrature nodes
LARGEST_Z = 38.0  # z whose tail probability is about the smallest that a float can represent
HALVINGS = 52
LARGEST_LEVEL, SMALLEST_LEVEL = 0.5, 1e-15  # range of the levels in the table of boundaries
LEVEL_STEPS = 240


def spent(level: Any, fractions: Any) -> Any:
    """The type I error that a one-sided test may spend up to each time (Lan-DeMets, O'Brien-Fleming-like).

    Args:
        level: significance level of the whole design, in (0, 1).
        fractions: times in (0, 1].
    """
    return 2 * ndtr(ndtri(np.asarray(level) / 2) / np.sqrt(fractions))


@dataclass(frozen=True)
class _Inside:
    """The distribution of the z statistic at a look, restricted to paths that have crossed no boundary so far."""

    time: float
    nodes: Array  # quadrature nodes for z, shape [designs, nodes]
    mass: Array  # the probability at each node

    def above(self, z: Array, time: float, drift: float = 0.0) -> Array:
        """The probability of exceeding z at a later time, for each design."""
        step = math.sqrt(time - self.time)
        gap = (z[:, None] * math.sqrt(time) - self.nodes * math.sqrt(self.time)) / step - drift * step
        return np.asarray((self.mass * ndtr(-gap)).sum(axis=1))

    def next(self, low: Array, high: Array, time: float, count: int, drift: float = 0.0) -> "_Inside":
        """The distribution of z at a later time, restricted to the range between low and high."""
        centre, step = drift * math.sqrt(time), math.sqrt(time - self.time)
        low, high = (
            np.maximum(low, centre - TAIL_DEVIATIONS),
            np.clip(high, centre - TAIL_DEVIATIONS, centre + TAIL_DEVIATIONS),
        )
        at, weights = _rule(count)
        half = (high - low)[:, None] / 2
        nodes = low[:, None] + half * (at + 1)
        scale = math.sqrt(time) / step
        gap = nodes[:, :, None] * scale - self.nodes[:, None, :] * (math.sqrt(self.time) / step) - drift * step
        density = np.einsum("dij,dj->di", np.exp(-0.5 * gap**2), self.mass) * scale / math.sqrt(2 * math.pi)
        return _Inside(time, nodes, density * weights * half)


@cache
def _rule(count: int) -> tuple[Array, Array]:
    nodes, weights = np.polynomial.legendre.leggauss(count)
    return nodes, weights


def _start(designs: int) -> _Inside:
    return _Inside(0.0, np.zeros((designs, 1)), np.ones((designs, 1)))


def _nodes(fractions: Sequence[float]) -> int:
    """The number of quadrature nodes; looks close in time need more, because the conditional distribution is narrow."""
    steps = [math.sqrt(1 - before / after) for before, after in pairwise(fractions)]
    return int(min(MOST_GRID_POINTS, max(FEWEST_GRID_POINTS, PER_DEVIATION / min(steps, default=1.0))))


def boundaries(levels: Sequence[float] | Array, fractions: Sequence[float]) -> Array:
    """One-sided boundaries for z at each level and look, shape [levels, looks].

    Raises a ValueError if the fractions are not increasing or are outside (0, 1], or if a level is outside (0, 1).
    """
    every = np.asarray(levels, dtype=float)
    if not all(0 < a < b <= 1 for a, b in zip((1e-9, *fractions), fractions, strict=False)):
        raise ValueError(f"fractions do not increase: {list(fractions)}")
    if not ((every > 0) & (every < 1)).all():
        raise ValueError(f"levels are not in (0, 1): {levels}")
    spending = np.diff(spent(every[:, None], np.asarray(fractions)), axis=1, prepend=0.0)
    found, inside, count = np.empty_like(spending), _start(len(every)), _nodes(fractions)
    for look, time in enumerate(fractions):
        low, high = np.full(len(every), -TAIL_DEVIATIONS), np.full(len(every), LARGEST_Z)
        for _ in range(HALVINGS):  # bisection, vectorised over the levels
            middle = (low + high) / 2
            exceeds = inside.above(middle, time) > spending[:, look]
            low, high = np.where(exceeds, middle, low), np.where(exceeds, high, middle)
        found[:, look] = high
        if look + 1 < len(fractions):
            inside = inside.next(np.full(len(every), -np.inf), high, time, count)
    return np.asarray(found)


def exits(
    low: Sequence[float], high: Sequence[float], fractions: Sequence[float], drift: float = 0.0
) -> tuple[Array, Array]:
    """For each look, the probabilities that z crosses the lower or the upper boundary at this look, but not before.

    The mean of the z statistic is drift · √fraction.

    Args:
        low, high: boundaries for z at each look; -inf or inf means that there is no boundary.
        drift: expected z at fraction 1.
    """
    inside, count, below, above = _start(1), _nodes(fractions), [], []
    for bottom, top, time in zip(low, high, fractions, strict=True):
        anywhere, over_bottom, over_top = (
            float(inside.above(np.array([z]), time, drift)[0]) for z in (-np.inf, bottom, top)
        )
        below.append(anywhere - over_bottom)
        above.append(over_top)
        inside = inside.next(np.array([bottom]), np.array([top]), time, count, drift)
    return np.array(below), np.array(above)


@cache
def nominal_levels(level: float, fractions: tuple[float, ...]) -> tuple[float, ...]:
    """For a design whose overall level is `level`, the nominal level of the one-sided test at each look."""
    return tuple(float(p) for p in ndtr(-boundaries([level], fractions)[0]))


@cache
def _table(fractions: tuple[float, ...]) -> tuple[Array, Array]:
    """A grid of overall levels, given as z in increasing order, and the boundaries of the designs with these levels."""
    levels = np.linspace(-ndtri(LARGEST_LEVEL), -ndtri(SMALLEST_LEVEL), LEVEL_STEPS)
    return levels, boundaries(ndtr(-levels), fractions)


def over_looks(p: Any, look: int, fractions: Sequence[float]) -> Array:
    """The lowest overall level at which a design rejects at a look, given the one-sided p-values of that look.

    The minimum over all looks so far is a valid p-value: under the null hypothesis, P(minimum ≤ a) ≤ a. Values above
    0.5 are returned as 1.

    Args:
        p: p-values, of any shape.
        look: index of the look; 0 is the first.
    """
    levels, bounds = _table(tuple(fractions))
    z = -ndtri(np.asarray(p, dtype=float))
    found = ndtr(-np.interp(z, bounds[:, look], levels))
    return np.where(z < bounds[0, look], 1.0, found)


def boundary(level: Any, look: int, fractions: Sequence[float]) -> Array:
    """The boundary for z at a look, for an overall level or an array of them, interpolated as in `over_looks`."""
    levels, bounds = _table(tuple(fractions))
    return np.asarray(np.interp(-ndtri(np.asarray(level, dtype=float)), levels, bounds[:, look]))


def repeated_interval(
    value: float, error: float, freedom: float, look: int, fractions: tuple[float, ...], confidence: float = 0.95
) -> tuple[float, float] | None:
    """The repeated confidence interval at a look; None if the error is 0.

    The intervals of all looks simultaneously cover the true value with this confidence.
    """
    if not error:
        return None
    nominal = nominal_levels((1 - confidence) / 2, fractions)[look]
    half = -float(stdtrit(freedom, max(nominal, SMALLEST_LEVEL))) * error
    return value - half, value + half


def median_unbiased(
    value: float, error: float, p_above: float, look: int, fractions: tuple[float, ...], level: float = 0.05
) -> float:
    """The median-unbiased estimate of a difference, in a design that stops when it crosses a two-sided boundary.

    The boundary has the level `level`. The estimate uses the stage-wise order of results: a result is more extreme if
    it crosses the upper boundary at an earlier look, or if its z is larger at the same look.

    Args:
        value, error: the difference at the last look, and its standard error.
        p_above: the one-sided p-value for a difference above 0 at the last look, from which z is computed.
        look: index of the last look; 0 is the first.
    """
    if look == 0 or not error:
        return value
    from scipy.optimize import brentq  # slow to import, and not needed for planning

    times, z = tuple(fractions[: look + 1]), float(np.clip(-ndtri(p_above), -TAIL_DEVIATIONS, TAIL_DEVIATIONS))
    bounds = [-float(ndtri(nominal)) for nominal in nominal_levels(level / 2, fractions)[:look]]
    unit = error * math.sqrt(times[-1])  # the difference that corresponds to a drift of 1

    def more_extreme(drift: float) -> float:
        """The probability of a more extreme result under this drift, minus 0.5."""
        above = exits([*(-b for b in bounds), -np.inf], [*bounds, z], times, drift)[1]
        return float(above.sum()) - 0.5

    centre = z / math.sqrt(times[-1])
    drift = float(brentq(more_extreme, centre - TAIL_DEVIATIONS, centre + TAIL_DEVIATIONS, xtol=1e-9))
    return value + (drift - centre) * unit


def chance(value: Any, now: Any, then: Any, low: Any, high: Any) -> Any:
    """The conditional power: the probability that a later, more precise estimate is between two bounds.

    It assumes that the current trend continues: the later estimate scatters around the current one.

    Args:
        value: the current estimate.
        now, then: the standard errors of the current and of the later estimate.
        low, high: bounds on the later estimate.
    """
    width = then * np.sqrt(np.maximum(1 - (then / now) ** 2, 1e-12))
    return np.maximum(ndtr((high - value) / width) - ndtr((low - value) / width), 0.0)
