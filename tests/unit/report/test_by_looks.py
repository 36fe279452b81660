"""Verdicts of a sequential plan: those of its looks stand where a single look at all runs would be wrong too often."""

from pathlib import Path

import pytest

from dropnas.analysis.claim_tests import Outcome
from dropnas.analysis.verdict import Verdict
from dropnas.errors import DropnasError
from dropnas.report.by_looks import BEST, WAITS, by_looks, claims_by_looks
from dropnas.report.claims import ClaimResult
from dropnas.report.looked import (
    Looked,
    LookedClaim,
    LookedContrast,
    LookedNumber,
    looked_of,
    read_looked,
    text,
    write_looked,
)
from dropnas.report.verdicts import CellVerdict

NUMBER = LookedNumber(
    "table1", "dropnas", "error", "differs", 2, 5, "decided at look 2 (5 seeds)", -0.5, -0.48, (-0.9, -0.1), 0.01, 0.9
)
PARTS = (
    LookedContrast("first", 5, -0.4, -0.4, (-0.6, -0.2), 0.001),
    LookedContrast("second", 5, -0.2, -0.19, (-0.5, 0.1), 0.03),
)
CLAIM = LookedClaim("best", "It is best.", "holds", 2, 5, "decided at look 2 (5 seeds)", PARTS)
LOOKED = Looked("seq", (3, 5, 8), "abc", 2, {"one": ("a", "b")}, (NUMBER,), (CLAIM,))


def cell(kind: str = "mean", verdict: Verdict = Verdict.AGREES, row: str = "dropnas") -> CellVerdict:
    return CellVerdict(
        *("table1", row, "error", "DropNAS", "Test error", "top1_error_best_on_test"),
        kind,  # type: ignore[arg-type]
        *("2.1±0.1 (n=5)", "2.58±0.14", 5, 8, -0.5, (-0.6, -0.4), 0.001, 0.8, verdict, "as one look has it", ()),
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
    assert "decided at look 2 (5 seeds); median-unbiased difference -0.48" in found.reason
    assert found.difference == -0.5


def test_what_no_look_has_judged_is_undecided() -> None:
    (found,) = by_looks(LOOKED, [cell(row="another")])
    assert (found.verdict, found.reason, found.interval) == (Verdict.UNDECIDED, WAITS, None)
    nothing = Looked("seq", (3, 5, 8), "")
    assert by_looks(nothing, [cell()])[0].verdict is Verdict.UNDECIDED


def test_the_best_of_the_seeds_is_not_tested() -> None:
    for kind in ("best", "single"):
        (found,) = by_looks(LOOKED, [cell(kind)])
        assert (found.verdict, found.reason, found.p_differs) == (Verdict.NOT_COMPARABLE, BEST, None)
    (few,) = by_looks(LOOKED, [cell("single", Verdict.TOO_FEW)])
    assert few.verdict is Verdict.TOO_FEW


def test_a_claim_takes_the_outcome_of_its_look() -> None:
    plain = ClaimResult("It is best.", "Table 0", "a test", Outcome.UNDECIDED, "as one look has it", True)
    other = ClaimResult("Another.", "Table 0", "a test", Outcome.UNDECIDED, "a single run", True)
    found = claims_by_looks(LOOKED, [plain, other])
    assert found[0].outcome is Outcome.HOLDS
    assert "least support: second, -0.20 (median-unbiased -0.19; over all looks -0.50 to +0.10)" in found[0].detail
    assert found[1] == other


def test_the_record_reads_as_it_was_written(tmp_path: Path) -> None:
    folder = tmp_path / "results/seq"
    assert read_looked(folder) is None
    write_looked(LOOKED, folder)
    assert read_looked(folder) == LOOKED
    assert looked_of("seq", (3, 5, 8), tmp_path) == LOOKED
    assert looked_of("seq", (), tmp_path) is None  # the same profile with a fixed number of seeds
    assert "| It is best. | holds | decided at look 2 (5 seeds) | -0.20 |" in text(LOOKED)
    (folder / "looks.json").write_text("{")
    with pytest.raises(DropnasError, match=r"looks.json"):
        read_looked(folder)
