"""The relative improvement over random search: Fieller's interval against a plain search for its limits."""

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import t

from dropnas.analysis.comparison import Sample, difference, improvement


@pytest.mark.parametrize(
    ("method", "random"),
    [
        (Sample(8, 2.58, 0.15), Sample(8, 3.1, 0.2)),
        (Sample(3, 17.0, 0.4), Sample(8, 16.5, 0.3)),
        (Sample(4, 40.0, 4.0), Sample(4, 45.0, 6.0)),
    ],
)
def test_the_ends_are_where_the_t_test_just_rejects(method: Sample, random: Sample) -> None:
    value, interval = improvement(method, random)
    quantile = t.ppf(0.975, difference(method, random).freedom)

    def excess(ratio: float) -> float:
        error = np.sqrt(method.std**2 / method.n + ratio**2 * random.std**2 / random.n)
        return abs(method.mean - ratio * random.mean) / error - quantile

    ratio = method.mean / random.mean
    ends = brentq(excess, ratio, 3 * ratio), brentq(excess, ratio / 3, ratio)
    assert value == pytest.approx(100 * (1 - ratio))
    assert interval == pytest.approx([100 * (1 - end) for end in ends])


def test_it_covers_the_truth_as_often_as_it_says() -> None:
    generator = np.random.default_rng(0)
    covered = []
    for _ in range(2000):
        ours, random = generator.normal(2.6, 0.15, 8), generator.normal(2.9, 0.25, 8)
        samples = [Sample(8, float(values.mean()), float(values.std(ddof=1))) for values in (ours, random)]
        _, interval = improvement(*samples)
        assert interval is not None
        covered.append(interval[0] <= 100 * (1 - 2.6 / 2.9) <= interval[1])
    assert 0.935 < np.mean(covered) < 0.965  # 95 % within three standard errors


def test_there_is_no_interval_without_spread_or_where_random_search_may_have_no_error() -> None:
    assert improvement(Sample(3, 2.0, 0.0), Sample(3, 3.0, 0.0)) == (pytest.approx(100 / 3), None)
    assert improvement(Sample(3, 2.0, 0.1), Sample(3, 1.0, 4.0))[1] is None
