"""Mean, deviations and best, against the standard library and numpy."""

import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dropnas.analysis.summary import best, mean, population_deviation, sample_deviation, summarise

VALUES = st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=20)


def close(found: float, expected: float, values: list[float]) -> bool:
    return math.isclose(found, expected, rel_tol=1e-9, abs_tol=1e-9 * (1 + max(map(abs, values))))


@given(VALUES)
def test_equal_to_the_standard_library_and_numpy(values: list[float]) -> None:
    assert close(mean(values), statistics.fmean(values), values)
    assert close(sample_deviation(values), statistics.stdev(values), values)
    assert close(population_deviation(values), float(np.std(values)), values)
    assert best(values) == sorted(values)[0]


@given(VALUES)
def test_the_order_of_the_runs_changes_no_digit(values: list[float]) -> None:
    shuffled = sorted(values, reverse=True)
    assert mean(shuffled) == mean(values)
    assert sample_deviation(shuffled) == sample_deviation(values)


def test_the_papers_eight_seeds_use_the_population_deviation() -> None:
    values = [1.0, 3.0]
    assert (population_deviation(values), sample_deviation(values)) == (1.0, math.sqrt(2))


def test_a_single_value_has_no_sample_deviation() -> None:
    summary = summarise([2.5])
    assert (summary.n, summary.mean, summary.std, summary.population_std, summary.best) == (1, 2.5, None, 0.0, 2.5)
    with pytest.raises(ValueError, match="needs two values"):
        sample_deviation([2.5])


@pytest.mark.parametrize("function", [mean, population_deviation, best, summarise])
def test_no_values_are_an_error(function: object) -> None:
    with pytest.raises(ValueError):
        function([])  # type: ignore[operator]
