"""The verdicts of a sequential plan: those of its looks, in place of those of a single look at all runs.

A number that no look has judged is undecided; the best of the seeds is not tested.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from dropnas.analysis.claim_tests import Outcome
from dropnas.analysis.verdict import Verdict
from dropnas.report.claims import ClaimResult, Compared
from dropnas.report.looked import Looked, LookedClaim, LookedContrast, LookedNumber, weakest
from dropnas.report.verdicts import CellVerdict

BEST = "not tested: how many seeds there are depends on what was seen, and a best of them with it"
ONCE = "tested at the last look alone, as if the number of seeds were fixed"
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
    """Claims about means over seeds, as the looks have them; of the others it is said that no look counts."""
    if looked is None:
        return list(found)
    known = {one.id: one for one in looked.claims}
    return [_claim(one, known.get(one.id)) for one in found]


def _claim(one: ClaimResult, looked: LookedClaim | None) -> ClaimResult:
    if looked is None and one.outcome is Outcome.TOO_FEW:
        return one
    if one.id.startswith("headline"):
        return replace(one, outcome=Outcome.UNDECIDED, detail=BEST, comparisons=(), by_final_epoch=None)
    if looked is None:
        return replace(one, detail=f"{one.detail}; {ONCE}")
    plain, unbiased, interval = weakest(looked)
    least = max(looked.comparisons, key=lambda part: part.p)
    detail = (
        f"{looked.when}; least support: {least.label}, {plain} (median-unbiased {unbiased}; over all looks {interval})"
    )
    parts = {part.label: part for part in looked.comparisons}
    comparisons = tuple(_compared(part, parts[part.label]) for part in one.comparisons if part.label in parts)
    return replace(one, outcome=Outcome(looked.outcome), detail=detail, comparisons=comparisons, by_final_epoch=None)


def _compared(one: Compared, looked: LookedContrast) -> Compared:
    """With p-value and interval over all looks; its effect points the claim's way, which is down for errors."""
    interval = (-looked.interval[1], -looked.interval[0]) if looked.interval else None
    effect = one.effect if looked.difference is None else -looked.difference
    return replace(one, effect=effect, interval=interval, p=looked.p)
