"""Welch's test, interval and equivalence against scipy; Holm against its definition as a closed test."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from dropnas.analysis.comparison import FEW_RUNS, Sample, compare_means, contrast, difference, printed_sample, sample
from dropnas.analysis.verdict import holm

MEANS = st.floats(0, 50)
SAMPLES = st.builds(Sample, st.integers(FEW_RUNS, 12), MEANS, st.floats(0.01, 5))
VALUES = st.lists(st.floats(0, 50), min_size=FEW_RUNS, max_size=12).filter(lambda values: np.std(values) > 1e-3)


@settings(deadline=None, derandomize=True)
@given(VALUES, VALUES)
def test_a_contrast_of_two_is_welchs_test(ours: list[float], paper: list[float]) -> None:
    first, second = sample(ours), sample(paper)
    assert first and second
    found, expected = contrast((first, second), (1.0, -1.0)), stats.ttest_ind(ours, paper, equal_var=False)
    interval = expected.confidence_interval(0.95)
    assert found.p_different() == pytest.approx(expected.pvalue, rel=1e-6, abs=1e-12)
    assert found.freedom == pytest.approx(expected.df, rel=1e-6)
    assert found.interval() == pytest.approx((interval.low, interval.high), rel=1e-6, abs=1e-9)


@settings(deadline=None, derandomize=True)
@given(VALUES, VALUES)
def test_two_means_have_three_degrees_of_freedom_fewer(ours: list[float], paper: list[float]) -> None:
    """They are never fewer than those of the smaller sample."""
    first, second = sample(ours), sample(paper)
    assert first and second
    found, welch = difference(first, second), stats.ttest_ind(ours, paper, equal_var=False)
    freedom = max(min(len(ours), len(paper)) - 1, welch.df - 3)
    assert found.freedom == pytest.approx(freedom, rel=1e-6)
    assert found.p_different() == pytest.approx(2 * stats.t.sf(abs(welch.statistic), freedom), rel=1e-6, abs=1e-12)


@settings(deadline=None, derandomize=True)
@given(SAMPLES, SAMPLES, st.floats(0.05, 2))
def test_equivalence_is_two_one_sided_tests(ours: Sample, paper: Sample, margin: float) -> None:
    freedom = difference(ours, paper).freedom
    error = math.hypot(ours.std / math.sqrt(ours.n), paper.std / math.sqrt(paper.n))
    above, below = (stats.t.sf((margin + side * (ours.mean - paper.mean)) / error, freedom) for side in (1, -1))
    assert compare_means(ours, paper, margin).p_agrees == pytest.approx(max(above, below), abs=1e-9)


@settings(deadline=None, derandomize=True)
@given(SAMPLES, SAMPLES, st.floats(0.05, 2))
def test_equivalence_at_the_level_is_a_90_percent_interval_inside_the_margin(
    ours: Sample, paper: Sample, margin: float
) -> None:
    estimate = difference(ours, paper)
    half = stats.t.ppf(0.95, estimate.freedom) * estimate.error
    inside = -margin <= estimate.value - half and estimate.value + half <= margin
    distance = min(abs(estimate.value - half + margin), abs(estimate.value + half - margin))
    assert distance < 1e-9 or (compare_means(ours, paper, margin).p_agrees <= 0.05) == inside


@settings(deadline=None, derandomize=True)
@given(st.integers(2, FEW_RUNS - 1), st.integers(2, 12), st.floats(0.05, 5), st.floats(0.05, 5), st.floats(0, 5))
def test_few_runs_are_never_more_optimistic_than_welch(n: int, m: int, first: float, second: float, d: float) -> None:
    found = difference(Sample(n, d, first), Sample(m, 0.0, second))
    expected = stats.ttest_ind_from_stats(d, first, n, 0.0, second, m, equal_var=False)
    assert found.freedom == min(n, m) - 1
    assert found.p_different() >= expected.pvalue - 1e-9


@settings(deadline=None, derandomize=True)
@given(st.lists(SAMPLES, min_size=2, max_size=6), st.data())
def test_a_contrast_is_turned_and_scaled_with_its_weights(samples: list[Sample], data: st.DataObject) -> None:
    weight = st.floats(0.1, 3).flatmap(lambda value: st.sampled_from((value, -value)))
    weights = data.draw(st.lists(weight, min_size=len(samples), max_size=len(samples)))
    one, twice = contrast(samples, weights), contrast(samples, [-2 * weight for weight in weights])
    assert (twice.value, twice.error) == pytest.approx((-2 * one.value, 2 * one.error))
    assert twice.p_below(0) == pytest.approx(one.p_above(0), abs=1e-12)


def test_the_papers_deviation_is_converted() -> None:
    values = [2.4, 2.5, 2.5, 2.6, 2.7, 2.6, 2.8, 2.55]
    assert printed_sample(2.5, float(np.std(values)), 8).std == pytest.approx(np.std(values, ddof=1))


def test_without_any_spread_nothing_is_concluded() -> None:
    found = compare_means(Sample(2, 1.0, 0.0), Sample(3, 2.0, 0.0), 0.2)
    assert (found.difference, found.interval, found.p_differs, found.p_agrees) == (-1.0, None, 1.0, 1.0)


@pytest.mark.parametrize("bad", [(1, 2.0, 0.1), (3, math.nan, 0.1), (3, 2.0, -0.1), (3, 2.0, math.inf)])
def test_what_is_no_sample_is_refused(bad: tuple[int, float, float]) -> None:
    with pytest.raises(ValueError, match="not a sample"):
        Sample(*bad)


def test_one_value_makes_no_sample() -> None:
    assert sample([2.5]) is None
    assert sample([]) is None


@settings(deadline=None, derandomize=True)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_holm_is_the_closed_bonferroni_test(p_values: list[float]) -> None:
    """A hypothesis is rejected if Bonferroni rejects every subset that contains it."""
    indices = range(len(p_values))
    subsets = [s for k in indices for s in itertools.combinations(indices, k + 1)]
    expected = [max(min(1.0, len(s) * min(p_values[i] for i in s)) for s in subsets if index in s) for index in indices]
    assert holm(p_values) == pytest.approx(expected)


def test_holm_of_nothing_and_of_what_is_no_p_value() -> None:
    assert holm([]).size == 0
    with pytest.raises(ValueError, match=r"p-values are not in"):
        holm([0.5, math.nan])
