"""Verdicts of a sequential plan are those of its looks; a single test of all runs would be wrong too often."""

from dataclasses import replace
from pathlib import Path

import pytest

from dropnas.analysis.claim_tests import ClaimOutcome
from dropnas.analysis.verdict import Verdict
from dropnas.artifacts.looks_file import LookedClaim, LookedContrast, LookedNumber, LooksFile
from dropnas.artifacts.verdicts_file import CellVerdict, ClaimResult, Compared, NumberKind
from dropnas.errors import DropnasError
from dropnas.report.looked import (
    BEST,
    ONCE,
    WAITS,
    by_looks,
    claims_by_looks,
    looked_of,
    read_looked,
    text,
    write_looked,
)

NUMBER = LookedNumber(
    "table1", "dropnas", "error", "differs", 2, 5, "decided at look 2 (5 seeds)", -0.5, -0.48, (-0.9, -0.1), 0.01, 0.9
)
PARTS = (
    LookedContrast("first", 5, -0.4, -0.4, (-0.6, -0.2), 0.001),
    LookedContrast("second", 5, -0.2, -0.19, (-0.5, 0.1), 0.03),
)
CLAIM = LookedClaim("best", "It is best.", "holds", 2, 5, "decided at look 2 (5 seeds)", PARTS)
LOOKED = LooksFile("seq", (3, 5, 8), "abc", 2, {"one": ("a", "b")}, (NUMBER,), (CLAIM,))


def cell(kind: NumberKind = "mean", verdict: Verdict = Verdict.AGREES, row: str = "dropnas") -> CellVerdict:
    return CellVerdict(
        table="table1",
        row=row,
        column="error",
        row_label="DropNAS",
        column_label="Test error",
        quantity="top1_error_best_on_test",
        kind=kind,
        ours_text="2.1±0.1 (n=5)",
        paper_text="2.58±0.14",
        n=5,
        n_paper=8,
        mean=2.1,
        std=0.1,
        difference=-0.5,
        interval=(-0.6, -0.4),
        p_differs=0.001,
        p_agrees=0.8,
        verdict=verdict,
        reason="as one look has it",
        runs=(),
    )


def test_without_looks_nothing_changes() -> None:
    assert by_looks(None, [cell()]) == [cell()]
    assert claims_by_looks(None, []) == []


def test_a_number_takes_the_verdict_of_its_look() -> None:
    (found,) = by_looks(LOOKED, [cell()])
    assert (found.verdict, found.interval, found.p_differs, found.p_agrees) == (
        Verdict.DIFFERS,
        (-0.9, -0.1),
        0.01,
        0.9,
    )
    assert "Decided at look 2 (5 seeds); median-unbiased difference -0.48" in found.reason
    assert found.difference == -0.5


def test_what_no_look_has_judged_is_undecided() -> None:
    (found,) = by_looks(LOOKED, [cell(row="another")])
    assert (found.verdict, found.reason, found.interval) == (Verdict.UNDECIDED, WAITS, None)
    nothing = LooksFile("seq", (3, 5, 8), "")
    assert by_looks(nothing, [cell()])[0].verdict is Verdict.UNDECIDED


def test_the_best_of_the_seeds_is_not_tested() -> None:
    for found in by_looks(LOOKED, [cell("best"), cell("single")]):
        assert (found.verdict, found.reason, found.p_differs) == (Verdict.NOT_COMPARABLE, BEST, None)
    (few,) = by_looks(LOOKED, [cell("single", Verdict.TOO_FEW)])
    assert few.verdict is Verdict.TOO_FEW


def test_a_claim_takes_the_outcome_of_its_look() -> None:
    plain, other, headline, few = (
        ClaimResult(name, name, "Table 0", "a test", outcome, "as one look has it", (), comparable=True)
        for name, outcome in (
            ("best", ClaimOutcome.UNDECIDED),
            ("many-skips", ClaimOutcome.HOLDS),
            ("headline-cifar10", ClaimOutcome.HOLDS),
            ("headline-imagenet", ClaimOutcome.TOO_FEW),
        )
    )
    compared = Compared("second", 0.3, (0.1, 0.5), 0.2, 0.01)
    found = claims_by_looks(LOOKED, [replace(plain, comparisons=(compared,)), other, headline, few])
    assert found[0].comparisons == (Compared("second", 0.2, (-0.1, 0.5), 0.2, 0.03),)
    assert found[0].outcome is ClaimOutcome.HOLDS
    assert "the weakest is second, -0.20 (median-unbiased -0.19; over all looks -0.50 to +0.10)" in found[0].detail
    assert found[1] == replace(other, detail=f"as one look has it {ONCE}")
    assert (found[2].outcome, found[2].detail) == (ClaimOutcome.UNDECIDED, BEST)
    assert found[3] == few


def test_the_record_reads_as_it_was_written(tmp_path: Path) -> None:
    folder = tmp_path / "results/seq"
    assert read_looked(folder) is None
    write_looked(LOOKED, folder)
    assert read_looked(folder) == LOOKED
    assert looked_of("seq", (3, 5, 8), tmp_path) == LOOKED
    assert looked_of("seq", (), tmp_path) is None  # the same profile with a fixed number of seeds
    assert "| It is best. | holds | decided at look 2 (5 seeds) | -0.20 |" in " ".join(text(LOOKED).split())
    (folder / "looks.json").write_text("{")
    with pytest.raises(DropnasError, match=r"looks.json"):
        read_looked(folder)
