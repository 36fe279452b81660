"""The tests behind the claims, against scipy and by simulation."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from dropnas.analysis.claim_tests import ClaimOutcome, all_lower, correlation_higher, positive
from dropnas.analysis.comparison import Sample, contrast, difference
from dropnas.analysis.verdict import LEVEL

LOW, HIGH = Sample(8, 2.5, 0.1), Sample(8, 3.0, 0.1)
CORRELATIONS = st.floats(-0.99, 0.99)


@settings(deadline=None, derandomize=True)
@given(st.floats(0, 5), st.floats(0, 5), st.floats(0.01, 2), st.floats(0.01, 2), st.integers(5, 10))
def test_one_pair_is_a_one_sided_test_of_the_difference(
    low: float, high: float, first: float, second: float, n: int
) -> None:
    samples = Sample(n, low, first), Sample(8, high, second)
    found, freedom = all_lower([samples]), difference(*samples).freedom
    t = (low - high) / math.hypot(first / math.sqrt(n), second / math.sqrt(8))
    assert (found.p_holds[0], found.p_opposite[0]) == pytest.approx((stats.t.cdf(t, freedom), stats.t.sf(t, freedom)))


@pytest.mark.parametrize(
    ("pairs", "outcome"),
    [
        ([(LOW, HIGH), (LOW, HIGH)], ClaimOutcome.HOLDS),
        ([(LOW, HIGH), (LOW, LOW)], ClaimOutcome.UNDECIDED),
        ([(LOW, HIGH), (HIGH, LOW)], ClaimOutcome.CONTRADICTED),
    ],
)
def test_all_must_be_shown_and_one_opposite_contradicts(
    pairs: list[tuple[Sample, Sample]], outcome: ClaimOutcome
) -> None:
    assert all_lower(pairs).outcome is outcome


def test_a_claim_without_comparisons_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a comparison"):
        all_lower([])


def test_a_contrast_of_two_is_welchs_test() -> None:
    first, second = Sample(8, 2.6, 0.15), Sample(7, 2.7, 0.07)
    found = positive(contrast([first, second], [1.0, -1.0]))
    expected = stats.ttest_ind_from_stats(2.6, 0.15, 8, 2.7, 0.07, 7, False, "greater").pvalue
    assert found.p_holds[0] == pytest.approx(expected)
    assert found.outcome is ClaimOutcome.UNDECIDED


@settings(deadline=None, derandomize=True)
@given(CORRELATIONS, CORRELATIONS, st.integers(4, 30), st.integers(4, 30))
def test_fishers_z(first: float, second: float, n: int, m: int) -> None:
    z = (np.arctanh(first) - np.arctanh(second)) / np.sqrt(1 / (n - 3) + 1 / (m - 3))
    found = correlation_higher(first, n, second, m)
    assert found.p_holds[0] == pytest.approx(stats.norm.sf(z), abs=1e-9)
    assert found.p_opposite[0] == pytest.approx(stats.norm.cdf(z), abs=1e-9)


def test_perfect_and_few_correlations() -> None:
    assert correlation_higher(1.0, 7, 0.9, 7).outcome is ClaimOutcome.HOLDS
    assert correlation_higher(0.9, 7, 1.0, 7).outcome is ClaimOutcome.CONTRADICTED
    assert correlation_higher(1.0, 7, 1.0, 7).outcome is ClaimOutcome.UNDECIDED
    assert correlation_higher(0.9, 3, 0.1, 7).outcome is ClaimOutcome.TOO_FEW
    with pytest.raises(ValueError):
        correlation_higher(1.2, 7, 0.1, 7)


def test_all_comparisons_are_needed_so_none_is_corrected() -> None:
    """Two comparisons with p = 0.04 hold by an intersection-union test; Holm's correction would require 0.025."""
    pair = (Sample(8, 2.5, 0.1), Sample(8, 2.595, 0.1))
    found = all_lower([pair, pair])
    assert 0.03 < found.p_holds[0] == found.p_holds[1] < LEVEL
    assert found.outcome is ClaimOutcome.HOLDS
    opposite = all_lower([pair[::-1], pair[::-1]])  # one of two would be sufficient here, so both are corrected
    assert opposite.outcome is ClaimOutcome.UNDECIDED and opposite.p_opposite[0] == pytest.approx(2 * found.p_holds[0])


@pytest.mark.parametrize("n", [8, 3, 2])
@pytest.mark.parametrize("scale", [0.4, 1.0, 2.5])
def test_the_levels_of_a_claim_by_simulation(n: int, scale: float) -> None:
    """2,000 claims about six pairs. If one pair is false, at most 5 % of the claims hold; if all pairs are equal, at
    most 5 % are contradicted."""
    random, count = np.random.default_rng(3), 2000
    bound = LEVEL + 3 * math.sqrt(LEVEL * (1 - LEVEL) / count)
    errors = random.normal(size=(2, 6, count, n)) * np.array([scale, 1.0])[:, None, None, None]
    for shift, wrong in (([0.0, 9, 9, 9, 9, 9], ClaimOutcome.HOLDS), ([0.0] * 6, ClaimOutcome.CONTRADICTED)):
        shifted = errors + np.array([np.zeros(6), shift])[:, :, None, None]
        means, stds = shifted.mean(axis=-1), shifted.std(axis=-1, ddof=1)
        samples = [[Sample(n, m, s) for m, s in zip(*moments, strict=True)] for moments in _by_claim(means, stds)]
        outcomes = [all_lower(list(zip(claim[:6], claim[6:], strict=True))).outcome for claim in samples]
        assert outcomes.count(wrong) / count <= bound


def _by_claim(means: Any, stds: Any) -> list[Any]:
    """For each claim, the twelve means (lower, then higher) and their deviations."""
    return list(zip(means.reshape(12, -1).T.tolist(), stds.reshape(12, -1).T.tolist(), strict=True))


@pytest.mark.parametrize("rho", [0.0, 0.6, 0.95])
def test_the_level_of_a_difference_of_correlations_by_simulation(rho: float) -> None:
    random, count = np.random.default_rng(4), 2000
    first = random.normal(size=(2, count, 7))
    second = rho * first + math.sqrt(1 - rho**2) * random.normal(size=first.shape)
    pairs = stats.pearsonr(first, second, axis=-1).statistic.T.tolist()
    outcomes = [correlation_higher(one, 7, other, 7).outcome for one, other in pairs]
    bound = LEVEL + 3 * math.sqrt(LEVEL * (1 - LEVEL) / count)
    assert (
        outcomes.count(ClaimOutcome.HOLDS) / count <= bound
        and outcomes.count(ClaimOutcome.CONTRADICTED) / count <= bound
    )
