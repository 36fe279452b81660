"""Verdicts of a table: what each pair of p-values means, and their rates of error over simulated tables."""

import math

import pytest

from dropnas.analysis.comparison import Comparison
from dropnas.analysis.verdict import LEVEL, Verdict, judge
from tests.unit.analysis.simulated import normal, rate, skewed, tables, truths

NAMES: tuple[str, ...] = ("table4", "table5", "table6")


def tolerance(count: int) -> float:
    """Four standard errors of a rate at the level."""
    return 4 * math.sqrt(LEVEL * (1 - LEVEL) / count)


def compared(*p_values: tuple[float, float]) -> list[Comparison]:
    return [Comparison(0.1, (0.0, 0.2), *pair) for pair in p_values]


@pytest.mark.parametrize(
    ("p_differs", "p_agrees", "verdict"),
    [
        (0.5, 0.01, Verdict.AGREES),
        (0.01, 0.5, Verdict.DIFFERS),
        (0.5, 0.5, Verdict.UNDECIDED),
        (0.01, 0.01, Verdict.AGREES),
    ],
)
def test_what_the_two_tests_mean(p_differs: float, p_agrees: float, verdict: Verdict) -> None:
    found = judge(compared((p_differs, p_agrees)))[0]
    assert (found.verdict, found.measurable) == (verdict, p_differs <= LEVEL)


def test_differences_and_agreements_are_corrected_apart() -> None:
    found = judge(compared((0.02, 0.04), (0.9, 0.9), (0.8, 0.01)))
    assert [round(one.p_differs, 4) for one in found] == [0.06, 1.0, 1.0]
    assert [round(one.p_agrees, 4) for one in found] == [0.08, 0.9, 0.03]
    assert [one.verdict for one in found] == [Verdict.UNDECIDED, Verdict.UNDECIDED, Verdict.AGREES]


def test_a_table_without_comparisons() -> None:
    assert judge([]) == []


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("n", "count"), [(8, 2000), (5, 400), (3, 400), (2, 400)])
def test_no_difference_is_called_one_in_at_most_5_percent_of_tables(name: str, n: int, count: int) -> None:
    cells = truths(name)
    found = rate(tables(cells, 11, count, n, [0.0] * len(cells)), Verdict.DIFFERS)
    assert found <= LEVEL + tolerance(count)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("n", "count"), [(8, 2000), (5, 400), (3, 400)])
def test_a_difference_at_the_margin_agrees_in_at_most_5_percent_of_tables(name: str, n: int, count: int) -> None:
    cells = truths(name)
    shifts = [1.0 if index % 2 else -1.0 for index in range(len(cells))]
    assert rate(tables(cells, 12, count, n, shifts), Verdict.AGREES) <= LEVEL + tolerance(count)


@pytest.mark.parametrize("name", ["table1", "table2"])
def test_the_mean_and_the_best_of_one_cell_are_one_family(name: str) -> None:
    cells, count = truths(name), 200
    assert rate(tables(cells, 13, count, 8, [0.0]), Verdict.DIFFERS) <= LEVEL + tolerance(count)
    assert rate(tables(cells, 14, count, 8, [1.0]), Verdict.AGREES) <= LEVEL + tolerance(count)


@pytest.mark.parametrize(("draw", "scale"), [(skewed, 1.0), (normal, 0.5), (normal, 2.0)])
def test_the_rates_hold_without_a_normal_law_and_with_another_spread(draw, scale: float) -> None:  # type: ignore[no-untyped-def]
    cells, count = truths("table6"), 400
    same, off = [0.0] * len(cells), [1.0] * len(cells)
    assert rate(tables(cells, 15, count, 8, same, draw, scale), Verdict.DIFFERS) <= LEVEL + tolerance(count)
    assert rate(tables(cells, 16, count, 8, off, draw, scale), Verdict.AGREES) <= LEVEL + tolerance(count)


def test_what_is_the_same_often_agrees_and_what_is_far_off_differs() -> None:
    """The verdicts have power: with three margins between them every cell is called different."""
    cells = truths("table5")
    far = list(tables(cells, 17, 50, 8, [3.0] * len(cells)))
    assert {verdict for one in far for verdict in one} == {Verdict.DIFFERS}
    same = [verdict for one in tables(cells, 18, 100, 8, [0.0] * len(cells)) for verdict in one]
    assert same.count(Verdict.AGREES) / len(same) > 0.4
