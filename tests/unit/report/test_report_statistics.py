"""Mean, deviations and best of the runs behind a number."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dropnas.analysis.summary import summarise

VALUES = st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=20)


@given(VALUES)
def test_equal_to_numpy(values: list[float]) -> None:
    found, tolerance = summarise(values), {"rel": 1e-9, "abs": 1e-9 * (1 + max(map(abs, values)))}
    assert found.mean == pytest.approx(np.mean(values), **tolerance)
    assert found.std == pytest.approx(np.std(values, ddof=1), **tolerance)
    assert found.population_std == pytest.approx(np.std(values), **tolerance)
    assert (found.n, found.best) == (len(values), sorted(values)[0])


@given(VALUES)
def test_the_order_of_the_runs_changes_no_digit(values: list[float]) -> None:
    first, second = summarise(values), summarise(sorted(values, reverse=True))
    assert (first.mean, first.std, first.population_std) == (second.mean, second.std, second.population_std)


def test_the_papers_eight_seeds_use_the_population_deviation() -> None:
    found = summarise([1.0, 3.0])
    assert (found.population_std, found.std) == (1.0, math.sqrt(2))


def test_a_single_value_has_no_sample_deviation() -> None:
    found = summarise([2.5])
    assert (found.n, found.mean, found.std, found.population_std, found.best) == (1, 2.5, None, 0.0, 2.5)


def test_no_values_are_an_error() -> None:
    with pytest.raises(ValueError):
        summarise([])
