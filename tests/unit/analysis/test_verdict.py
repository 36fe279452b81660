"""Verdicts of a table: the meaning of each pair of p-values, and the error rates over simulated tables."""

import math

import pytest

from dropnas.analysis.comparison import Comparison
from dropnas.analysis.verdict import LEVEL, Verdict, judge
from tests.unit.analysis.simulated import Draw, judged, normal, skewed, tables, truths

NAMES: tuple[str, ...] = ("table1", "table2", "table4", "table5", "table6")
COUNT = 2000  # tables
BOUND = LEVEL + 3 * math.sqrt(LEVEL * (1 - LEVEL) / COUNT)  # the level and three standard errors: 6.5 %


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


def test_the_simulated_rules_are_those_that_are_used() -> None:
    for name, n, scale in (("table1", 8, 1.0), ("table2", 3, 0.6), ("table5", 8, 1.0), ("table6", 2, 2.0)):
        cells = truths(name)
        found = tables(cells, 10, 25, n, [0.5] * len(cells), scale=scale)
        for ours, paper, verdicts in zip(found.ours, found.paper, found.verdicts, strict=True):
            assert judged(cells, ours, paper) == list(verdicts)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("n", [8, 5, 3, 2])
@pytest.mark.parametrize(
    ("draw", "scale"), [(normal, 1.0), (normal, 0.35), (normal, 0.6), (normal, 1.6), (normal, 3.0), (skewed, 1.0)]
)
def test_the_two_errors_are_made_in_at_most_5_percent_of_tables(name: str, n: int, draw: Draw, scale: float) -> None:
    """2,000 tables without a true difference, and as many with differences at the margin."""
    cells = truths(name)
    off = [1.0 if index % 2 else -1.0 for index in range(len(cells))]
    assert tables(cells, 11, COUNT, n, [0.0] * len(cells), draw, scale).rate(Verdict.DIFFERS) <= BOUND
    assert tables(cells, 12, COUNT, n, off, draw, scale).rate(Verdict.AGREES) <= BOUND


def test_what_is_the_same_often_agrees_and_what_is_far_off_differs() -> None:
    """The verdicts have power: at a distance of three margins, every cell is called different."""
    cells = truths("table5")
    assert tables(cells, 17, 50, 8, [3.0] * len(cells)).share(Verdict.DIFFERS) == 1
    assert tables(cells, 18, 100, 8, [0.0] * len(cells)).share(Verdict.AGREES) > 0.4
    assert (
        tables(truths("table1"), 19, 200, 8, [3.0]).share(Verdict.DIFFERS) > 0.75
    )  # in the others, the deviations differ too much
