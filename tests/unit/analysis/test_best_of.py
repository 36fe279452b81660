"""The lowest of m: against scipy's t distribution, a noncentral-t integral, and simulation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.integrate import quad

from dropnas.analysis.best_of import compare_lowest, expected_lowest, lowest_below, quantile
from dropnas.analysis.comparison import Sample

TABLES = 40_000


@settings(deadline=None, derandomize=True)
@given(st.floats(-50, 50), st.integers(2, 12))
def test_a_single_training_is_the_prediction_t_test(t: float, n: int) -> None:
    assert lowest_below(t, n, 1) == pytest.approx(stats.t.cdf(t / np.sqrt(1 + 1 / n), n - 1), abs=1e-9)


@pytest.mark.parametrize(  # within the range of scipy's noncentral t, which is NaN farther out
    ("n", "t"),
    [(2, -1.4), (2, -0.5), (2, 0.4), (3, -1.4), (3, -0.5), (3, 0.4), (5, -0.5), (5, 0.0), (8, -0.5), (8, 0.4)],
)
def test_against_an_integral_over_the_lowest(n: int, t: float) -> None:
    """Given the lowest y, (y - mean) / deviation has a noncentral t distribution."""

    def density(y: float) -> float:
        below = stats.nct.cdf(np.sqrt(n) * t, n - 1, np.sqrt(n) * y)
        return float(below * 8 * stats.norm.pdf(y) * stats.norm.sf(y) ** 7)

    assert lowest_below(t, n, 8) == pytest.approx(quad(density, -6.5, 4, limit=200)[0], abs=2e-9)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.floats(0.01, 0.99), st.integers(2, 10), st.sampled_from((1, 8)))
def test_quantiles_invert_the_distribution(probability: float, n: int, m: int) -> None:
    assert lowest_below(quantile(probability, n, m), n, m) == pytest.approx(probability, abs=1e-8)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(st.integers(2, 10), st.floats(1, 20), st.floats(0.05, 1), st.floats(-1, 1), st.sampled_from((1, 8)))
def test_test_and_interval_agree(n: int, mean: float, std: float, shift: float, m: int) -> None:
    found = compare_lowest(Sample(n, mean, std), mean + shift, m, 0.2)
    assert found.interval is not None
    low, high = found.interval
    assert low <= found.difference <= high
    assert found.difference == pytest.approx(expected_lowest(Sample(n, mean, std), m) - mean - shift)
    nearest = min(abs(low), abs(high))
    assert nearest < 1e-6 or (found.p_differs <= 0.05) == (low > 0 or high < 0)


def test_equivalence_needs_small_p_on_both_sides() -> None:
    sure = Sample(40, 2.6, 0.05)
    lowest = expected_lowest(sure, 8)
    assert compare_lowest(sure, lowest, 8, 0.2).p_agrees < 1e-3
    for far in (lowest - 0.2, lowest + 0.2):
        assert compare_lowest(sure, far, 8, 0.2).p_agrees == pytest.approx(0.5, abs=0.01)


def test_without_spread_nothing_is_concluded() -> None:
    found = compare_lowest(Sample(3, 2.5, 0.0), 2.26, 8, 0.2)
    assert (found.interval, found.p_differs, found.p_agrees) == (None, 1.0, 1.0)


@pytest.mark.parametrize(("n", "m"), [(8, 8), (3, 8), (8, 1), (2, 8)])
def test_level_power_and_coverage_by_simulation(n: int, m: int) -> None:
    """Without a true difference, 5 % are rejected, and the estimate is as often too high as too low."""
    random = np.random.default_rng(n * 10 + m)
    ours, paper = random.normal(size=(TABLES, n)), random.normal(size=(TABLES, m)).min(axis=1)
    pivot = (paper - ours.mean(axis=1)) / ours.std(axis=1, ddof=1)
    tolerance = 4 * np.sqrt(0.05 * 0.95 / TABLES)
    outside = (pivot < quantile(0.025, n, m)) | (pivot > quantile(0.975, n, m))
    assert outside.mean() == pytest.approx(0.05, abs=tolerance)
    assert (pivot < quantile(0.5, n, m)).mean() == pytest.approx(0.5, abs=4 * np.sqrt(0.25 / TABLES))


def test_agreement_at_the_margin_by_simulation() -> None:
    """With a true difference of exactly ± the margin, at most 5 % are called equal."""
    random, n, m, margin = np.random.default_rng(7), 8, 8, 2.0  # in deviations; with this margin, agreement is possible
    low, high = quantile(0.05, n, m), quantile(0.95, n, m)
    for shift in (-margin, margin):
        ours, paper = random.normal(size=(TABLES, n)), random.normal(size=(TABLES, m)).min(axis=1) - shift
        mean, std = ours.mean(axis=1), ours.std(axis=1, ddof=1)
        agrees = ((paper - margin - mean) / std <= low) & ((paper + margin - mean) / std >= high)
        assert 0 < agrees.mean() <= 0.05 + 4 * np.sqrt(0.05 * 0.95 / TABLES)


def test_the_simulated_rule_is_the_one_that_is_used() -> None:
    low, high = quantile(0.05, 8, 8), quantile(0.95, 8, 8)
    for printed in np.linspace(-6, 4, 21):
        expected = printed - 2 <= low and printed + 2 >= high
        assert (compare_lowest(Sample(8, 0.0, 1.0), float(printed), 8, 2.0).p_agrees <= 0.05) == expected


@pytest.mark.parametrize(("ratio", "alike"), [(0.54, False), (0.56, True), (1.79, True), (1.81, False)])
def test_with_different_deviations_nothing_is_decided(ratio: float, alike: bool) -> None:
    ours, paper = Sample(8, 3.5, 0.1 * ratio), Sample(8, 2.58, 0.1)
    found, assumed = (compare_lowest(ours, 2.26, 8, 0.2, *known) for known in ((paper,), ()))
    assert found == assumed if alike else (found.interval, found.p_differs, found.p_agrees) == (None, 1.0, 1.0)
    assert found.difference == assumed.difference and assumed.p_differs < 0.01
    assert compare_lowest(ours, 2.26, 8, 0.2, Sample(8, 2.58, 0.0)).p_differs == 1.0


def test_too_few_runs_are_refused() -> None:
    with pytest.raises(ValueError, match="needs two runs"):
        lowest_below(0.0, 1, 8)
