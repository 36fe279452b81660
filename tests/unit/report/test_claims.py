"""The paper's claims, on made-up runs and on the paper's own numbers."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from dropnas.analysis.claim_tests import ClaimOutcome
from dropnas.artifacts.verdicts_file import ClaimResult
from dropnas.report.claims import Evidence, claims
from dropnas.report.printed import layout
from tests.unit.report.made_tables import made_table, with_spread

RATES, PRESETS = ("1e-06", "1e-05", "3e-05", "1e-04"), ("one-level-darts", "drop-rate-0.75", "drop-rate-0.875")
Sweep = Mapping[str, Mapping[str, Sequence[float]]]


def sweep(**means: float) -> dict[str, dict[str, list[float]]]:
    """Both data sets: 3e-05 at 2.5, the others at 3 unless specified."""
    at = {"3e-05": 2.5, **means}
    return {
        role: {name: with_spread(at.get(name, 3.0), 0.1, 8) for name in (*RATES, *PRESETS)}
        for role in ("cifar10", "cifar100")
    }


def correlations(first: float | None, last: float) -> dict[str, tuple[float | None, int]]:
    return {"0,2": (first, 7), "4,5": (last, 7)}


def as_printed(name: Any, std: float = 0.1, **changed: float) -> Any:
    """A table with the paper's means as our results, and a given deviation."""
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


def all_claims(reproduction: bool = True, **known: Any) -> dict[str, ClaimResult]:
    return {one.id: one for one in claims(Evidence(**known), reproduction)}


def test_nothing_is_decided_before_there_are_runs() -> None:
    found = all_claims()
    assert len(found) == 13
    assert {one.outcome for one in found.values()} == {ClaimOutcome.TOO_FEW}
    assert all(one.claim.endswith(".") and one.where and one.test for one in found.values())


def test_the_papers_own_numbers_by_the_same_tests() -> None:
    """The claims that the printed means, deviations and correlations support, and the others."""
    own = {name: one.by_paper.outcome for name, one in all_claims().items() if one.by_paper}
    assert own == {
        "spaces": ClaimOutcome.UNDECIDED,
        "equal-rates": ClaimOutcome.HOLDS,
        "best-pair": ClaimOutcome.UNDECIDED,
        "correlation-above-darts": ClaimOutcome.HOLDS,
        "correlation-first-edge": ClaimOutcome.UNDECIDED,
        "ablations": ClaimOutcome.HOLDS,
    }
    assert "16.95±0.44" in all_claims()["spaces"].by_paper.detail  # type: ignore[union-attr]
    assert "converted from n to n - 1" in all_claims()["spaces"].by_paper.detail  # type: ignore[union-attr]


def test_claims_that_hold_in_our_runs() -> None:
    tables = {name: as_printed(name, std=0.02) for name in ("table4", "table5", "table6")}
    tables["table5"] = made_table(
        "table5",
        {(row, column): with_spread(2.5 if row == column == "3e-5" else 2.6 + 0.1 * (row != column), 0.02, 8)
         for row in ("1e-5", "3e-5", "1e-4") for column in ("1e-5", "3e-5", "1e-4")},
        later=0.2,
    )  # fmt: skip
    tables |= {f"table{k}": _headline(f"table{k}", 0.0) for k in (1, 2, 3)}
    found = all_claims(
        tables=tables,
        sweep=sweep(),
        correlations=correlations(0.99, -0.2),
        lone_points={"CIFAR-10, first cell": [False] * 8, "CIFAR-10, last cell": [True] + [False] * 7},
        skips={"one-level-darts": [4, 5, 3, 4, 5, 5, 4, 4], "dropnas": [1, 2, 1, 1, 0, 2, 1, 1]},
    )
    assert {one.outcome for one in found.values()} == {ClaimOutcome.HOLDS}
    finals = [one.by_final_epoch.outcome for one in found.values() if one.by_final_epoch]
    assert finals.count(ClaimOutcome.HOLDS) >= 4
    assert "in 6 of 6 comparisons" in found["spaces"].detail
    compared = found["spaces"].comparisons[0]
    assert compared.label == "CIFAR-10 3-skip" and compared.effect == pytest.approx(0.51) and compared.p < 0.001
    assert compared.interval and compared.interval[0] < 0.51 < compared.interval[1] and 0 < compared.smallest < 0.1


EXPECTED = 1.42  # median of the lowest of eight, in deviations below the mean


def _headline(name: Any, shift: float) -> Any:
    """Sixty runs whose expected lowest of eight (on ImageNet, of one) is the printed number, shifted."""
    place, printed, std = {
        "table1": (("dropnas", "error"), 2.26 + EXPECTED * 0.09, 0.09),
        "table2": (("dropnas", "error"), 16.39 + EXPECTED * 0.27, 0.27),
        "table3": (("dropnas-cifar10", "top1"), 23.4, 0.05),
    }[name]
    return made_table(name, {place: with_spread(printed + shift, std, 60)}, later=0.2)


@pytest.mark.parametrize(
    ("shift", "outcome"),
    [(0.0, ClaimOutcome.HOLDS), (2.0, ClaimOutcome.CONTRADICTED), (-2.0, ClaimOutcome.HOLDS)],
)
def test_headline_numbers(shift: float, outcome: ClaimOutcome) -> None:
    assert all_claims(tables={"table1": _headline("table1", shift)})["headline-cifar10"].outcome is outcome
    assert all_claims(tables={"table3": _headline("table3", shift)})["headline-imagenet"].outcome is outcome


def test_too_few_trainings_decide_no_headline() -> None:
    eight = made_table("table1", {("dropnas", "error"): with_spread(2.58, 0.15, 8)})
    assert all_claims(tables={"table1": eight})["headline-cifar10"].outcome is ClaimOutcome.UNDECIDED
    table = made_table("table3", {("dropnas-cifar10", "top1"): [23.4]})
    assert all_claims(tables={"table3": table})["headline-imagenet"].outcome is ClaimOutcome.TOO_FEW


@pytest.mark.parametrize(
    ("lone", "outcome"),
    [(0, ClaimOutcome.HOLDS), (1, ClaimOutcome.HOLDS), (2, ClaimOutcome.UNDECIDED), (8, ClaimOutcome.CONTRADICTED)],
)
def test_lone_points(lone: int, outcome: ClaimOutcome) -> None:
    """Rare in every panel: at most one seed of eight."""
    seeds = [True] * lone + [False] * (8 - lone)
    found = all_claims(lone_points={"CIFAR-10, first cell": seeds, "CIFAR-10, last cell": [False] * 8})
    assert found["no-lone-point"].outcome is outcome and f"{lone} of 8" in found["no-lone-point"].detail


def test_skip_connects_are_compared_exactly() -> None:
    """Three against three: one of the 20 ways to choose three of six is as extreme."""
    found = all_claims(skips={"one-level-darts": [5, 4, 6], "dropnas": [1, 2, 0]})["many-skips"]
    assert found.outcome is ClaimOutcome.HOLDS and "p = 0.05" in found.detail
    turned = all_claims(skips={"one-level-darts": [1, 2, 0], "dropnas": [5, 4, 6]})["many-skips"]
    assert turned.outcome is ClaimOutcome.CONTRADICTED
    assert all_claims(skips={"one-level-darts": [5], "dropnas": [1, 2]})["many-skips"].outcome is ClaimOutcome.TOO_FEW


@pytest.mark.parametrize(("r", "outcome"), [(0.9, "holds"), (0.3, "undecided"), (-0.9, "contradicted")])
def test_the_correlation_against_darts(r: float, outcome: str) -> None:
    assert all_claims(correlations=correlations(r, 0.1))["correlation-above-darts"].outcome == outcome


def test_one_opposite_pair_contradicts() -> None:
    ablations = all_claims(tables={"table6": as_printed("table6", **{"no-grouping": 1.0})})["ablations"]
    assert ablations.outcome is ClaimOutcome.CONTRADICTED
    assert "the opposite is shown for" in ablations.detail and "No grouping" in ablations.detail


def test_the_sweep() -> None:
    best, extremes = _of_sweep(sweep())
    assert (best.outcome, extremes.outcome) == (ClaimOutcome.HOLDS, ClaimOutcome.HOLDS)
    assert "in 6 of 6 comparisons" in best.detail and "in 6 of 6 comparisons" in extremes.detail
    best, extremes = _of_sweep(sweep(**{"1e-05": 2.5, "drop-rate-0.875": 1.0}))
    assert (best.outcome, extremes.outcome) == (ClaimOutcome.UNDECIDED, ClaimOutcome.CONTRADICTED)
    assert "p_d = 0.875 (effective 0.70)" in extremes.detail


def _of_sweep(swept: Sweep) -> tuple[ClaimResult, ClaimResult]:
    found = all_claims(sweep=swept)
    return found["best-rate"], found["other-methods-rates"]


@pytest.mark.parametrize("gone", ["3e-05", "1e-04", "drop-rate-0.875"])
def test_a_rate_that_is_missing_leaves_its_claim_open(gone: str) -> None:
    """Without the only rate above 3e-5, it is unknown whether 3e-5 is the best of a range."""
    swept = sweep()
    del swept["cifar100"][gone]
    best, extremes = _of_sweep(swept)
    assert (best.outcome is ClaimOutcome.TOO_FEW) == (gone != "drop-rate-0.875")
    assert (extremes.outcome is ClaimOutcome.TOO_FEW) == (gone != "1e-04")


def test_a_rate_without_runs_yet_leaves_its_claim_open() -> None:
    swept = sweep()
    swept["cifar10"]["1e-06"] = []
    assert _of_sweep(swept)[0].outcome is ClaimOutcome.TOO_FEW
    del swept["cifar100"]
    assert _of_sweep(swept)[1].outcome is ClaimOutcome.TOO_FEW


@pytest.mark.parametrize(
    ("first", "last", "outcome"),
    [
        (0.902, 0.352, ClaimOutcome.UNDECIDED),
        (0.98, 0.1, ClaimOutcome.HOLDS),
        (-0.9, 0.9, ClaimOutcome.CONTRADICTED),
        (None, 0.3, ClaimOutcome.TOO_FEW),
    ],
)
def test_correlations(first: float | None, last: float, outcome: ClaimOutcome) -> None:
    assert all_claims(correlations=correlations(first, last))["correlation-first-edge"].outcome is outcome


def test_what_is_no_reproduction_is_marked() -> None:
    assert not any(one.comparable for one in all_claims(False, sweep=sweep()).values())
    assert all(one.comparable for one in all_claims().values())


def test_a_number_of_other_data_reaches_no_printed_one() -> None:
    headlines = [one for name, one in all_claims(False).items() if name.startswith("headline")]
    assert {(one.outcome, one.by_final_epoch) for one in headlines} == {(ClaimOutcome.UNDECIDED, None)}


def test_identical_runs_decide_nothing() -> None:
    same = {(row, column): [2.5] * 3 for row in ("cifar10", "cifar100") for column in _ablation_columns()}
    found = all_claims(tables={"table6": made_table("table6", same)})
    assert found["ablations"].outcome is ClaimOutcome.UNDECIDED


def _ablation_columns() -> list[str]:
    return [column.key for column in layout("table6").columns]


@pytest.mark.parametrize(
    "others, outcome",
    [((3.0, 3.1), ClaimOutcome.HOLDS), ((2.0, 3.1), ClaimOutcome.CONTRADICTED), ((2.5, 3.1), ClaimOutcome.UNDECIDED)],
)
def test_dropnas_against_a_baseline(others: tuple[float, float], outcome: ClaimOutcome) -> None:
    """Over the data sets on which a baseline was trained; baselines that were not run are left out."""
    errors = {("cifar10/random", "error"): others[0], ("cifar100/random", "error"): others[1]}
    errors |= {(f"{role}/dropnas", "error"): 2.5 for role in ("cifar10", "cifar100")}
    table = made_table("baselines", {place: with_spread(error, 0.1, 8) for place, error in errors.items()}, later=0.2)
    extra = list(all_claims(tables={"baselines": table}).values())[13:]
    assert [one.claim for one in extra] == ["DropNAS beats random search."]
    assert extra[0].id == "baseline-random" and extra[0].outcome is outcome and extra[0].by_paper is None
    assert extra[0].by_final_epoch is not None and extra[0].by_final_epoch.outcome is outcome


def test_a_baseline_without_its_counterpart_decides_nothing() -> None:
    places = {("cifar10/random", "error"): 3.0, ("cifar100/random", "error"): 3.0, ("cifar10/dropnas", "error"): 2.0}
    table = made_table("baselines", {place: with_spread(error, 0.1, 8) for place, error in places.items()})
    assert all_claims(tables={"baselines": table})["baseline-random"].outcome is ClaimOutcome.TOO_FEW
