"""What the looks of a sequential plan have decided, as `results/<profile>/looks.json` and `looks.md` hold it.

The verdicts of such a plan are these: a test at the level of one look would be wrong too often, since the number of
seeds depends on what was seen.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from dropnas.errors import DropnasError
from dropnas.parsing import parse
from dropnas.runs.files import read_json, write_text

LOOKS = "looks.json"
DESIGN = "Lan-DeMets alpha spending, O'Brien-Fleming-like, two-sided 5 % over all looks"


@dataclass(frozen=True)
class LookedNumber:
    """A printed mean after the looks so far.

    Attributes:
        table, row, column: of the number.
        verdict: agrees, differs or undecided.
        look, seeds, when: the look that decided or stopped it, or the last one; its seeds; what happened, in words.
        difference: ours minus the paper's at that look, as it is.
        unbiased: the same, too high as often as too low in spite of early stopping.
        interval: repeated 95 % confidence interval, which holds over all looks.
        p_differs, p_agrees: over all looks, corrected over the table.
    """

    table: str
    row: str
    column: str
    verdict: str
    look: int
    seeds: int
    when: str
    difference: float | None
    unbiased: float | None
    interval: tuple[float, float] | None
    p_differs: float
    p_agrees: float


@dataclass(frozen=True)
class LookedContrast:
    """One comparison of a claim; as `LookedNumber`, with the difference that the claim says is negative."""

    label: str
    seeds: int
    difference: float | None
    unbiased: float | None
    interval: tuple[float, float] | None
    p: float


@dataclass(frozen=True)
class LookedClaim:
    """A claim after the looks so far; as `LookedNumber`."""

    id: str
    claim: str
    outcome: str
    look: int
    seeds: int
    when: str
    comparisons: tuple[LookedContrast, ...]


@dataclass(frozen=True)
class Looked:
    """The looks so far.

    Attributes:
        profile: whose.
        looks: seeds at each look, the last one with the most.
        parameters: checksum of the settings; a design is not changed by what was seen.
        judged: how many looks have been judged.
        trainings: what the judged looks rest on, by experiment: the folders' names, in the order of the seeds.
        numbers, claims: what is decided.
    """

    profile: str
    looks: tuple[int, ...]
    parameters: str
    judged: int = 0
    trainings: Mapping[str, tuple[str, ...]] | None = None
    numbers: tuple[LookedNumber, ...] = ()
    claims: tuple[LookedClaim, ...] = ()


def read_looked(folder: Path) -> Looked | None:
    """The record beside the results of a profile; None if it has no looks.

    Raises:
        DropnasError: it is damaged.
    """
    file = folder / LOOKS
    if not file.is_file():
        return None
    looked: Looked = parse(Looked, read_json(file), file)
    return looked


def looked_of(profile: str, looks: tuple[int, ...], root: Path) -> Looked | None:
    """The record of a plan with these looks; one with nothing judged where there is none, None without looks."""
    return (read_looked(root / "results" / profile) or Looked(profile, looks, "")) if looks else None


def write_looked(looked: Looked, folder: Path) -> None:
    """Write record and text; the same looks give the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "looks.md", text(looked))
    write_text(folder / LOOKS, json.dumps(asdict(looked), indent=2, sort_keys=True) + "\n")


def text(looked: Looked) -> str:
    """All looks, for a person to read."""
    seeds = ", ".join(map(str, looked.looks))
    head = f"# Looks (profile: {looked.profile})\n\nLooks at {seeds} seeds; {DESIGN}. Judged: {looked.judged}.\n"
    note = (
        "Estimates after early stopping are too extreme on average: beside the plain difference stand the "
        "median-unbiased one and the 95 % interval that holds over all looks.\n"
    )
    claims = [(one.claim, one.outcome, one.when, *weakest(one)) for one in looked.claims]
    numbers = [
        (f"{one.table}, {one.row}, {one.column}", one.verdict, one.when, *_numbers_text(one)) for one in looked.numbers
    ]
    heads = ("verdict", "when", "difference", "median-unbiased", "interval over all looks")
    return "\n".join(
        [head, note, _table(("claim (weakest comparison)", *heads), claims), _table(("number", *heads), numbers)]
    )


def weakest(one: LookedClaim) -> tuple[str, str, str]:
    return _numbers_text(max(one.comparisons, key=lambda part: part.p))


def _numbers_text(one: LookedNumber | LookedContrast) -> tuple[str, str, str]:
    plain, unbiased = ("" if value is None else f"{value:+.2f}" for value in (one.difference, one.unbiased))
    return plain, unbiased, "" if one.interval is None else f"{one.interval[0]:+.2f} to {one.interval[1]:+.2f}"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def require_same(looked: Looked, looks: tuple[int, ...], parameters: str, where: object) -> None:
    """A design is not changed by what was seen.

    Raises:
        DropnasError: looks or settings are others than when the first look ran.
    """
    remedy = f"restore them, or begin anew: give the file another profile, or remove {where}"
    if looked.looks != looks:
        was = ", ".join(map(str, looked.looks))
        raise DropnasError(f"seeds.looks were {was} when the first look ran", where=where, remedy=remedy)
    if looked.parameters != parameters:
        raise DropnasError("settings are not those of the first look", where=where, remedy=remedy)
