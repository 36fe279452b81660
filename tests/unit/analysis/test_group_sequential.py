"""Alpha spending: published boundaries, and three independent methods: the plain recursion of
`tests/reference/plain_group_sequential.py`, scipy's multivariate normal law, and simulated looks.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr, ndtri
from scipy.stats import multivariate_normal, norm

from dropnas.analysis.group_sequential import (
    boundaries,
    chance,
    exits,
    median_unbiased,
    nominal_levels,
    over_looks,
    repeated_interval,
    spent,
)
from tests.reference import plain_group_sequential as plain

EQUAL = {  # Lan-DeMets with O'Brien-Fleming-like spending, two-sided 5 %, as ldbounds prints them
    2: (2.9626, 1.9686),
    3: (3.7103, 2.5114, 1.9930),
    4: (4.3326, 2.9631, 2.3590, 2.0141),
    5: (4.8769, 3.3569, 2.6803, 2.2898, 2.0310),
}
POCOCK = {2: 2.178, 3: 2.289, 4: 2.361, 5: 2.413}  # Jennison and Turnbull (2000), Table 2.1, two-sided 5 %
OBRIEN_FLEMING = {2: 1.977, 3: 2.004, 4: 2.024, 5: 2.040}  # Table 2.3
DESIGNS = (  # seeds at the looks, and the one-sided level
    ((3, 5, 8, 16), 0.05),
    ((3, 5, 8, 16), 0.025),
    ((3, 5, 8, 16), 0.05 / 12),
    ((1, 2, 3), 0.05),
    ((3, 8), 0.025),
    ((2, 4, 6, 8), 0.01),
    ((5, 8, 12, 16, 20), 0.05),
    ((4, 16), 0.05),
    ((3, 4, 5, 6), 0.025),
    ((7, 8), 0.05),
)


def fractions_of(seeds: Sequence[int]) -> tuple[float, ...]:
    return tuple(n / seeds[-1] for n in seeds)


def all_inside(bounds: Sequence[float], fractions: Sequence[float], drift: float = 0.0) -> float:
    """P(no boundary is crossed from below), by Genz' integration of the joint law."""
    t = np.array(fractions)
    correlation = np.sqrt(np.minimum.outer(t, t) / np.maximum.outer(t, t))
    law = multivariate_normal(drift * np.sqrt(t), correlation, abseps=1e-7, releps=1e-7, maxpts=100_000, seed=1)
    return float(law.cdf(np.array(bounds)))


@pytest.mark.parametrize("looks", EQUAL)
def test_boundaries_are_the_published_ones(looks: int) -> None:
    found = boundaries([0.025], [(k + 1) / looks for k in range(looks)])[0]
    assert found == pytest.approx(
        EQUAL[looks], abs=1.5e-4
    )  # printed with four decimals; the last one of ldbounds is inexact


@pytest.mark.parametrize("looks", POCOCK)
def test_published_constants_keep_the_level(looks: int) -> None:
    times = [(k + 1) / looks for k in range(looks)]
    for bounds in (
        [POCOCK[looks]] * looks,
        [OBRIEN_FLEMING[looks] * math.sqrt(1 / time) for time in times],
    ):
        below, above = exits([-z for z in bounds], bounds, times)
        assert below == pytest.approx(above, abs=1e-12)
        assert below.sum() + above.sum() == pytest.approx(0.05, abs=1e-4)


@pytest.mark.parametrize(("seeds", "level"), DESIGNS)
def test_ten_designs_by_another_integration(seeds: tuple[int, ...], level: float) -> None:
    times = fractions_of(seeds)
    bounds = boundaries([level], times)[0]
    for look in range(len(seeds)):
        crossed = 1 - (all_inside(bounds[: look + 1], times[: look + 1]) if look else float(norm.cdf(bounds[0])))
        assert crossed == pytest.approx(float(spent(level, times[look])), abs=1e-5)


@pytest.mark.parametrize(("seeds", "level"), DESIGNS)
def test_ten_designs_by_the_plain_recursion(seeds: tuple[int, ...], level: float) -> None:
    times = fractions_of(seeds)
    assert boundaries([level], times)[0] == pytest.approx(plain.boundaries(level, times), abs=1e-8)


@pytest.mark.parametrize(("seeds", "level"), DESIGNS)
def test_ten_designs_by_simulated_looks(seeds: tuple[int, ...], level: float) -> None:
    """Simulated means without an effect cross the boundaries with the spent probability."""
    count, random = 100_000, np.random.default_rng(3)
    sums, crossed = np.zeros(count), np.zeros(count, dtype=bool)
    for bound, (before, n) in zip(boundaries([level], fractions_of(seeds))[0], pairwise((0, *seeds)), strict=True):
        sums += random.normal(size=(n - before, count)).sum(axis=0)
        crossed |= sums / math.sqrt(n) >= bound
        expected = plain.spent(level, n / seeds[-1])
        assert crossed.mean() == pytest.approx(expected, abs=4 * math.sqrt(expected / count) + 1 / count)


@pytest.mark.parametrize(("seeds", "level"), DESIGNS)
def test_repeated_intervals_cover_together(seeds: tuple[int, ...], level: float) -> None:
    times, known = fractions_of(seeds), math.inf
    half = []
    for look in range(len(seeds)):
        interval = repeated_interval(1.0, 1.0, known, look, times, 1 - 2 * level)
        assert interval is not None
        assert interval[0] + interval[1] == pytest.approx(2.0)
        half.append(interval[1] - 1.0)
    assert 1 - all_inside(half, times) == pytest.approx(level, abs=1e-5)  # too low at one of the looks
    assert repeated_interval(1.0, 0.0, 3.0, 0, times) is None


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.integers(1, 40), min_size=2, max_size=5, unique=True).map(sorted),
    st.floats(1e-6, 0.4),
    st.floats(1e-6, 0.4),
)
def test_smaller_levels_have_farther_boundaries(seeds: list[int], first: float, second: float) -> None:
    """Otherwise there would be no p-value over all looks."""
    low, high = sorted((first, second))
    smaller, larger = boundaries([low, high], fractions_of(seeds))
    assert (smaller >= larger - 1e-9).all()


@pytest.mark.parametrize(("seeds", "level"), DESIGNS)
def test_the_p_value_of_a_boundary_is_the_level(seeds: tuple[int, ...], level: float) -> None:
    times = fractions_of(seeds)
    nominal = nominal_levels(level, times)
    found = [float(over_looks(p, look, times)) for look, p in enumerate(nominal)]
    assert found == pytest.approx([level] * len(seeds), rel=1e-4)
    assert float(over_looks(0.9, 0, times)) == 1.0
    assert float(over_looks(0.0, 0, times)) < 1e-14


def test_one_look_spends_everything() -> None:
    assert nominal_levels(0.05, (1.0,)) == pytest.approx((0.05,))
    assert float(over_looks(0.03, 0, (1.0,))) == pytest.approx(0.03, rel=1e-4)


@pytest.mark.parametrize("wrong", [(0.5, 0.5), (0.5, 0.2), (0.0, 1.0), (0.5, 1.1)])
def test_fractions_that_do_not_grow_are_refused(wrong: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="do not increase"):
        boundaries([0.05], wrong)


@pytest.mark.parametrize("truth", [0.0, 1.0])
def test_the_estimate_is_too_high_as_often_as_too_low(truth: float) -> None:
    """Early stopping makes the plain mean too large; trials that end at their boundary."""
    times, random = (0.25, 0.5, 0.75, 1.0), np.random.default_rng(1)
    bounds = boundaries([0.025], times)[0]
    steps = random.normal(size=(500, 4)) * 0.5 + truth * 2.5 * 0.25
    z = steps.cumsum(axis=1) / np.sqrt(times)
    out = np.abs(z) >= bounds
    last = np.where(out.any(axis=1), out.argmax(axis=1), 3)
    errors = 1 / (2.5 * np.sqrt(times))
    plain, unbiased = [], []
    for row, look in zip(z, last, strict=True):
        value = float(row[look] * errors[look])
        plain.append(value)
        unbiased.append(median_unbiased(value, float(errors[look]), float(ndtr(-row[look])), int(look), times))
    assert np.mean(np.array(unbiased) > truth) == pytest.approx(0.5, abs=0.05)
    if truth == 1.0:
        assert np.mean(plain) > truth + 0.05
        assert np.median(plain) > truth


def test_the_chance_is_that_of_simulated_trials() -> None:
    random = np.random.default_rng(2)
    z = 1.2
    half, whole = 1 / math.sqrt(8), 1 / math.sqrt(16)  # standard errors after 8 and 16 seeds
    value = z * half
    later = (8 * value + 8 * value + math.sqrt(8) * random.normal(size=400_000)) / 16
    found = float(chance(value, half, whole, -np.inf, 0.5))
    assert found == pytest.approx(float((later < 0.5).mean()), abs=3e-3)
    assert float(chance(value, half, whole, 0.6, 0.5)) == 0.0


def test_spending_is_all_spent() -> None:
    assert float(spent(0.05, 1.0)) == pytest.approx(0.05)
    assert float(spent(0.05, 0.25)) == pytest.approx(2 * (1 - float(ndtr(-ndtri(0.025) / 0.5))))
