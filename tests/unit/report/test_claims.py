"""The paper's claims, on made-up runs and on the paper's own numbers."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from dropnas.analysis.claim_tests import Outcome
from dropnas.artifacts.correlation_file import Coefficient, CorrelationFile
from dropnas.errors import DropnasError
from dropnas.report.claims import ClaimResult, claims
from dropnas.report.printed import layout
from tests.unit.report.made_tables import made_table, with_spread

RATES, PRESETS = ("1e-06", "1e-05", "3e-05", "1e-04"), ("one-level-darts", "drop-rate-0.75", "drop-rate-0.875")
BEST, SWEEP, EXTREMES, SPACES, EQUAL, CELL, ABLATIONS, CORRELATION = range(8)
Sweep = Mapping[str, Mapping[str, Sequence[float]]]


def sweep(**means: float) -> dict[str, dict[str, list[float]]]:
    """Both data sets: 3e-05 at 2.5, the others at 3, or as said."""
    at = {"3e-05": 2.5, **means}
    return {
        role: {name: with_spread(at.get(name, 3.0), 0.1, 8) for name in (*RATES, *PRESETS)}
        for role in ("cifar10", "cifar100")
    }


def correlations(first: float | None, last: float) -> dict[str, CorrelationFile]:
    pearson = {"0,2": Coefficient(first, None, None, None), "4,5": Coefficient(last, None, None, None)}
    return {edge: CorrelationFile((0, 2), "search", True, 7, (), one, one) for edge, one in pearson.items()}


def as_printed(name: Any, std: float = 0.1, **changed: float) -> Any:
    """A table of ours with the paper's means and a spread of our own."""
    paper = layout(name)
    return made_table(
        name,
        {
            (row.key, column.key): with_spread(changed.get(column.key, cell.mean or 0.0), std, 8)
            for row in paper.rows
            for column, cell in zip(paper.columns, row.cells, strict=True)
        },
        later=0.2,
    )


def all_claims(
    tables: Mapping[str, Any] | None = None,
    swept: Sweep | None = None,
    known: Mapping[str, CorrelationFile] | None = None,
    reproduction: bool = True,
) -> list[ClaimResult]:
    return claims(tables or {}, swept or {}, known or {}, reproduction)


def test_nothing_is_decided_before_there_are_runs() -> None:
    found = all_claims()
    assert len(found) == 7
    assert {one.outcome for one in found} == {Outcome.TOO_FEW}
    assert all(one.claim.endswith(".") and one.where and one.test for one in found)


def test_the_papers_own_numbers_by_the_same_tests() -> None:
    """What its printed means, deviations and correlations support, and what they do not."""
    own = {one.where: one.by_paper and one.by_paper.outcome for one in all_claims()}
    assert own == {
        "Figure 2, Section 5.1": None,
        "Section 5.1": None,
        "Table 4, Section 5.3": Outcome.UNDECIDED,
        "Table 5, Section 5.4": Outcome.HOLDS,
        "Table 5": Outcome.UNDECIDED,
        "Table 6, Section 5.6": Outcome.HOLDS,
        "Figure 5, Section 5.5": Outcome.UNDECIDED,
    }


def test_claims_that_hold_in_our_runs() -> None:
    tables = {name: as_printed(name, std=0.02) for name in ("table4", "table5", "table6")}
    tables["table5"] = made_table(
        "table5",
        {(row, column): with_spread(2.5 if row == column == "3e-5" else 2.6 + 0.1 * (row != column), 0.02, 8)
         for row in ("1e-5", "3e-5", "1e-4") for column in ("1e-5", "3e-5", "1e-4")},
        later=0.2,
    )  # fmt: skip
    found = all_claims(tables, sweep(), correlations(0.99, -0.2))
    assert {one.outcome for one in found} == {Outcome.HOLDS}
    finals = [one.by_final_epoch.outcome for one in found if one.by_final_epoch]
    assert finals == [Outcome.HOLDS] * 4
    assert "all 6 settings" in found[3 - 1].detail


def test_one_opposite_pair_contradicts() -> None:
    found = all_claims({"table6": as_printed("table6", **{"no-grouping": 1.0})})
    ablations = next(one for one in found if one.where.startswith("Table 6"))
    assert ablations.outcome is Outcome.CONTRADICTED
    assert "the opposite is shown for" in ablations.detail and "No grouping" in ablations.detail


def test_the_sweep() -> None:
    best, extremes = all_claims(swept=sweep())[:2]
    assert (best.outcome, extremes.outcome) == (Outcome.HOLDS, Outcome.HOLDS)
    assert "all 6 settings" in best.detail and "all 6 settings" in extremes.detail
    best, extremes = all_claims(swept=sweep(**{"1e-05": 2.5, "drop-rate-0.875": 1.0}))[:2]
    assert (best.outcome, extremes.outcome) == (Outcome.UNDECIDED, Outcome.CONTRADICTED)
    assert "p_d = 0.875" in extremes.detail


@pytest.mark.parametrize("gone", ["3e-05", "1e-04", "drop-rate-0.875"])
def test_a_rate_that_is_missing_leaves_its_claim_open(gone: str) -> None:
    """Without the only rate above 3e-5 nothing is known of whether it is the best of a range."""
    swept = sweep()
    del swept["cifar100"][gone]
    best, extremes = all_claims(swept=swept)[:2]
    assert (best.outcome is Outcome.TOO_FEW) == (gone != "drop-rate-0.875")
    assert (extremes.outcome is Outcome.TOO_FEW) == (gone != "1e-04")


def test_a_rate_without_runs_yet_leaves_its_claim_open() -> None:
    swept = sweep()
    swept["cifar10"]["1e-06"] = []
    assert all_claims(swept=swept)[0].outcome is Outcome.TOO_FEW
    del swept["cifar100"]
    assert all_claims(swept=swept)[1].outcome is Outcome.TOO_FEW


@pytest.mark.parametrize(
    ("first", "last", "outcome"),
    [
        (0.902, 0.352, Outcome.UNDECIDED),
        (0.98, 0.1, Outcome.HOLDS),
        (-0.9, 0.9, Outcome.CONTRADICTED),
        (None, 0.3, Outcome.TOO_FEW),
    ],
)
def test_correlations(first: float | None, last: float, outcome: Outcome) -> None:
    assert all_claims(known=correlations(first, last))[-1].outcome is outcome


def test_what_is_no_reproduction_is_marked() -> None:
    assert not any(one.comparable for one in all_claims(swept=sweep(), reproduction=False))
    assert all(one.comparable for one in all_claims())


@pytest.mark.parametrize(
    "swept",
    [{"cifar10": {"3e-05": [2.5, math.nan]}}, {"cifar10": {"a method": [2.5, 2.6]}}],
)
def test_what_is_no_number_is_refused_with_its_place(swept: Sweep) -> None:
    with pytest.raises(DropnasError, match=r"figure2, cifar10"):
        all_claims(swept=swept)


def test_identical_runs_decide_nothing() -> None:
    same = {(row, column): [2.5] * 3 for row in ("cifar10", "cifar100") for column in _ablation_columns()}
    found = next(one for one in all_claims({"table6": made_table("table6", same)}) if "Table 6" in one.where)
    assert found.outcome is Outcome.UNDECIDED


def _ablation_columns() -> list[str]:
    return [column.key for column in layout("table6").columns]


@pytest.mark.parametrize(
    "others, outcome",
    [((3.0, 3.1), Outcome.HOLDS), ((2.0, 3.1), Outcome.CONTRADICTED), ((2.5, 3.1), Outcome.UNDECIDED)],
)
def test_dropnas_against_a_baseline(others: tuple[float, float], outcome: Outcome) -> None:
    """Over the data sets on which the baseline was trained; a baseline that was not run is not spoken of."""
    errors = {("cifar10/random", "error"): others[0], ("cifar100/random", "error"): others[1]}
    errors |= {(f"{role}/dropnas", "error"): 2.5 for role in ("cifar10", "cifar100")}
    table = made_table("baselines", {place: with_spread(error, 0.1, 8) for place, error in errors.items()}, later=0.2)
    extra = all_claims({"baselines": table})[7:]
    assert [one.claim for one in extra] == ["DropNAS beats random search."]
    assert extra[0].outcome is outcome and extra[0].by_paper is None
    assert extra[0].by_final_epoch is not None and extra[0].by_final_epoch.outcome is outcome


def test_a_baseline_without_its_counterpart_decides_nothing() -> None:
    places = {("cifar10/random", "error"): 3.0, ("cifar100/random", "error"): 3.0, ("cifar10/dropnas", "error"): 2.0}
    table = made_table("baselines", {place: with_spread(error, 0.1, 8) for place, error in places.items()})
    assert all_claims({"baselines": table})[7].outcome is Outcome.TOO_FEW
