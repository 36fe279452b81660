"""The decisions at the interim looks of a sequential plan: their record, its text, and the resulting verdicts.

These decisions are the verdicts of such a plan. An ordinary test would be wrong too often, because the number of seeds
depends on earlier results. A number that no look has judged yet is undecided; the best seed is not tested.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from dropnas.analysis.claim_tests import ClaimOutcome
from dropnas.analysis.verdict import Verdict
from dropnas.artifacts.looks_file import LookedClaim, LookedContrast, LookedNumber, LooksFile
from dropnas.artifacts.verdicts_file import CellVerdict, ClaimResult, Compared
from dropnas.errors import DropnasError
from dropnas.report.printed import title
from dropnas.runs.files import write_text

if TYPE_CHECKING:
    from pandas import DataFrame

DESIGN = "Lan-DeMets alpha spending, O'Brien-Fleming-like, two-sided 5 % over all looks"
NOTE = (
    "After early stopping, differences are too large on average. The median-unbiased difference and the 95 % interval "
    "over all looks are corrected for this."
)
BEST = "Not tested: the best seed depends on the number of seeds, which depends on earlier results"
ONCE = "Tested only at the last look, as if the number of seeds were fixed."
WAITS = "Not judged by any look yet"


def read_looked(folder: Path) -> LooksFile | None:
    """The record in the results of a profile; None if there is no record. Raises a DropnasError if it is damaged."""
    return LooksFile.read(folder) if (folder / LooksFile.FILE).is_file() else None


def looked_of(profile: str, looks: tuple[int, ...], root: Path) -> LooksFile | None:
    """Read the record of a plan with these looks, or make an empty one if there is none; None without looks."""
    return (read_looked(root / "results" / profile) or LooksFile(profile, looks, "")) if looks else None


def write_looked(looked: LooksFile, folder: Path) -> None:
    """Write the record and its text; the same looks give identical files."""
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "looks.md", text(looked))
    write_text(folder / LooksFile.FILE, looked.json())


def text(looked: LooksFile) -> str:
    """Describe all looks for a reader."""
    tables = [one.to_markdown(index=False, tablefmt="github", disable_numparse=True) for one in frames(looked)]
    return "\n\n".join([f"# Looks (profile: {looked.profile})", headline(looked), NOTE, *tables]) + "\n"


def headline(looked: LooksFile) -> str:
    """State the planned numbers of seeds, the statistical design, and the number of looks judged so far."""
    return f"Looks at {', '.join(map(str, looked.looks))} seeds; {DESIGN}. Judged: {looked.judged}."


def frames(looked: LooksFile) -> "tuple[DataFrame, DataFrame]":
    """The table of claims and the table of numbers."""
    from pandas import DataFrame  # imported here because the workflow imports this module

    claims = [(one.claim, one.outcome, one.when, *_estimates(one.weakest)) for one in looked.claims]
    numbers = [
        (f"{title(one.table)}, {one.row}, {one.column}", one.verdict, one.when, *_estimates(one))
        for one in looked.numbers
    ]
    heads = ("Verdict", "When", "Difference", "Median-unbiased", "Interval over all looks")
    return (
        DataFrame(claims, columns=["Claim (weakest comparison)", *heads], dtype=object),
        DataFrame(numbers, columns=["Number", *heads], dtype=object),
    )


def _estimates(one: LookedNumber | LookedContrast) -> tuple[str, str, str]:
    plain, unbiased = ("" if value is None else f"{value:+.2f}" for value in (one.difference, one.unbiased))
    return plain, unbiased, "" if one.interval is None else f"{one.interval[0]:+.2f} to {one.interval[1]:+.2f}"


def require_same(looked: LooksFile, looks: tuple[int, ...], parameters: str, where: object) -> None:
    """Raise a DropnasError if the looks or the settings were changed after the first look."""
    remedy = f"restore them, or start again: give the file another profile, or remove {where}"
    if looked.looks != looks:
        was = ", ".join(map(str, looked.looks))
        raise DropnasError(f"seeds.looks were {was} when the first look ran", where=where, remedy=remedy)
    if looked.parameters != parameters:
        raise DropnasError("settings are not those of the first look", where=where, remedy=remedy)


def by_looks(looked: LooksFile | None, found: Sequence[CellVerdict]) -> list[CellVerdict]:
    """The verdicts on numbers according to the looks; unchanged if there are no looks."""
    if looked is None:
        return list(found)
    known = {(one.table, one.row, one.column): one for one in looked.numbers}
    return [_cell(one, known.get((one.table, one.row, one.column))) for one in found]


def _cell(one: CellVerdict, looked: LookedNumber | None) -> CellVerdict:
    if one.verdict in (Verdict.TOO_FEW, Verdict.NOT_COMPARABLE):
        return one
    if looked is None or one.kind != "mean":
        verdict, reason = (Verdict.UNDECIDED, WAITS) if one.kind == "mean" else (Verdict.NOT_COMPARABLE, BEST)
        return replace(one, verdict=verdict, reason=reason, interval=None, p_differs=None, p_agrees=None)
    unbiased = "" if looked.unbiased is None else f"; median-unbiased difference {looked.unbiased:+.2f}"
    return replace(
        one,
        verdict=Verdict(looked.verdict),
        reason=f"{looked.when.capitalize()}{unbiased}; the interval holds over all looks",
        interval=looked.interval,
        p_differs=looked.p_differs,
        p_agrees=looked.p_agrees,
    )


def claims_by_looks(looked: LooksFile | None, found: Sequence[ClaimResult]) -> list[ClaimResult]:
    """The claims, with the decisions of the looks; unchanged if there are no looks.

    A tested claim that the looks do not judge keeps its outcome, and its detail says so. A tested claim about the best
    seed (headline) becomes undecided.
    """
    if looked is None:
        return list(found)
    known = {one.id: one for one in looked.claims}
    return [_claim(one, known.get(one.id)) for one in found]


def _claim(one: ClaimResult, looked: LookedClaim | None) -> ClaimResult:
    if looked is None and one.outcome == ClaimOutcome.TOO_FEW:
        return one
    if one.id.startswith("headline"):
        return replace(one, outcome=ClaimOutcome.UNDECIDED, detail=BEST, comparisons=(), by_final_epoch=None)
    if looked is None:
        return replace(one, detail=f"{one.detail} {ONCE}")
    plain, unbiased, interval = _estimates(looked.weakest)
    weakest = f"the weakest is {looked.weakest.label}, {plain} (median-unbiased {unbiased}; over all looks {interval})"
    parts = {part.label: part for part in looked.comparisons}
    comparisons = tuple(_compared(part, parts[part.label]) for part in one.comparisons if part.label in parts)
    found, detail = ClaimOutcome(looked.outcome), f"{looked.when.capitalize()}; {weakest}."
    return replace(one, outcome=found, detail=detail, comparisons=comparisons, by_final_epoch=None)


def _compared(one: Compared, looked: LookedContrast) -> Compared:
    """Return a comparison with the estimates over all looks.

    The sign is changed, because a negative difference supports the claim in the looks, but a positive one does here.
    """
    interval = (-looked.interval[1], -looked.interval[0]) if looked.interval else None
    effect = one.effect if looked.difference is None else -looked.difference
    return replace(one, effect=effect, interval=interval, p=looked.p)
