"""The verdicts of a sequential plan: those of its looks, in place of those of a single look at all runs.

A number that no look has judged is undecided; the best of the seeds is not tested.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from dropnas.analysis.claim_tests import Outcome
from dropnas.analysis.verdict import Verdict
from dropnas.report.claims import ClaimResult
from dropnas.report.looked import Looked, LookedClaim, LookedNumber, weakest
from dropnas.report.verdicts import CellVerdict

BEST = "not tested: how many seeds there are depends on what was seen, and a best of them with it"
WAITS = "no look has judged it yet"


def by_looks(looked: Looked | None, found: Sequence[CellVerdict]) -> list[CellVerdict]:
    """Verdicts on numbers, as the looks have them; as they are without looks."""
    if looked is None:
        return list(found)
    known = {(one.table, one.row, one.column): one for one in looked.numbers}
    return [_cell(one, known.get((one.table, one.row, one.column))) for one in found]


def _cell(one: CellVerdict, looked: LookedNumber | None) -> CellVerdict:
    if one.verdict in (Verdict.TOO_FEW, Verdict.NOT_COMPARABLE):
        return one
    untested: dict[str, Any] = {"p_differs": None, "p_agrees": None, "interval": None}
    if one.kind != "mean":
        return replace(one, verdict=Verdict.NOT_COMPARABLE, reason=BEST, **untested)
    if looked is None:
        return replace(one, verdict=Verdict.UNDECIDED, reason=WAITS, **untested)
    unbiased = "" if looked.unbiased is None else f"; median-unbiased difference {looked.unbiased:+.2f}"
    return replace(
        one,
        verdict=Verdict(looked.verdict),
        reason=f"{looked.when}{unbiased}; the interval holds over all looks",
        interval=looked.interval,
        p_differs=looked.p_differs,
        p_agrees=looked.p_agrees,
    )


def claims_by_looks(looked: Looked | None, found: Sequence[ClaimResult]) -> list[ClaimResult]:
    """Claims about means over seeds, as the looks have them; the others as they are."""
    if looked is None:
        return list(found)
    known = {one.claim: one for one in looked.claims}
    return [_claim(one, known) for one in found]


def _claim(one: ClaimResult, known: Mapping[str, LookedClaim]) -> ClaimResult:
    looked = known.get(one.claim)
    if looked is None:
        return one
    plain, unbiased, interval = weakest(looked)
    least = max(looked.comparisons, key=lambda part: part.p)
    detail = (
        f"{looked.when}; least support: {least.label}, {plain} (median-unbiased {unbiased}; over all looks {interval})"
    )
    return replace(one, outcome=Outcome(looked.outcome), detail=detail, by_final_epoch=None)
