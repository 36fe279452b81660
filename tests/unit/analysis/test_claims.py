"""The tests behind the claims, against scipy and by simulation."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from dropnas.analysis.claim_tests import Outcome, all_lower, correlation_higher, negative
from dropnas.analysis.comparison import Sample, contrast
from dropnas.analysis.verdict import LEVEL

LOW, HIGH = Sample(8, 2.5, 0.1), Sample(8, 3.0, 0.1)
CORRELATIONS = st.floats(-0.99, 0.99)


@settings(deadline=None, derandomize=True)
@given(st.floats(0, 5), st.floats(0, 5), st.floats(0.01, 2), st.floats(0.01, 2), st.integers(5, 10))
def test_one_pair_is_a_one_sided_welchs_test(low: float, high: float, first: float, second: float, n: int) -> None:
    found = all_lower([(Sample(n, low, first), Sample(8, high, second))])
    less, greater = (
        stats.ttest_ind_from_stats(low, first, n, high, second, 8, False, side).pvalue for side in ("less", "greater")
    )
    assert (found.p_holds[0], found.p_opposite[0]) == pytest.approx((less, greater), abs=1e-9)


@pytest.mark.parametrize(
    ("pairs", "outcome"),
    [
        ([(LOW, HIGH), (LOW, HIGH)], Outcome.HOLDS),
        ([(LOW, HIGH), (LOW, LOW)], Outcome.UNDECIDED),
        ([(LOW, HIGH), (HIGH, LOW)], Outcome.CONTRADICTED),
    ],
)
def test_all_must_be_shown_and_one_opposite_contradicts(pairs: list[tuple[Sample, Sample]], outcome: Outcome) -> None:
    assert all_lower(pairs).outcome is outcome


def test_a_claim_without_comparisons_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a comparison"):
        all_lower([])


def test_a_contrast_of_two_is_welchs_test() -> None:
    first, second = Sample(8, 2.6, 0.15), Sample(7, 2.7, 0.07)
    found = negative(contrast([first, second], [1.0, -1.0]))
    expected = stats.ttest_ind_from_stats(2.6, 0.15, 8, 2.7, 0.07, 7, False, "less").pvalue
    assert found.p_holds[0] == pytest.approx(expected)
    assert found.outcome is Outcome.UNDECIDED


@settings(deadline=None, derandomize=True)
@given(CORRELATIONS, CORRELATIONS, st.integers(4, 30), st.integers(4, 30))
def test_fishers_z(first: float, second: float, n: int, m: int) -> None:
    z = (np.arctanh(first) - np.arctanh(second)) / np.sqrt(1 / (n - 3) + 1 / (m - 3))
    found = correlation_higher(first, n, second, m)
    assert found.p_holds[0] == pytest.approx(stats.norm.sf(z), abs=1e-9)
    assert found.p_opposite[0] == pytest.approx(stats.norm.cdf(z), abs=1e-9)


def test_perfect_and_few_correlations() -> None:
    assert correlation_higher(1.0, 7, 0.9, 7).outcome is Outcome.HOLDS
    assert correlation_higher(0.9, 7, 1.0, 7).outcome is Outcome.CONTRADICTED
    assert correlation_higher(1.0, 7, 1.0, 7).outcome is Outcome.UNDECIDED
    assert correlation_higher(0.9, 3, 0.1, 7).outcome is Outcome.TOO_FEW
    with pytest.raises(ValueError):
        correlation_higher(1.2, 7, 0.1, 7)


def test_the_level_of_a_claim_by_simulation() -> None:
    """Nothing is better than anything: a claim about six pairs is contradicted in at most 5 % of 2,000 cases."""
    random, count = np.random.default_rng(3), 2000
    values = random.normal(size=(count, 2, 6, 8))
    means, stds = values.mean(axis=-1), values.std(axis=-1, ddof=1)
    outcomes = []
    for mean, std in zip(means, stds, strict=True):
        samples = [
            [Sample(8, float(m), float(s)) for m, s in zip(*side, strict=True)] for side in zip(mean, std, strict=True)
        ]
        outcomes.append(all_lower(list(zip(*samples, strict=True))).outcome)
    assert outcomes.count(Outcome.CONTRADICTED) / count <= LEVEL + 4 * math.sqrt(LEVEL * (1 - LEVEL) / count)
    assert outcomes.count(Outcome.HOLDS) == 0
