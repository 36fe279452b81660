"""looks.json, beside the results of a profile: what the looks of a sequential plan have decided."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from dropnas.artifacts.json_file import JsonFile

Interval = tuple[float, float]


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
    interval: Interval | None
    p_differs: float
    p_agrees: float


@dataclass(frozen=True)
class LookedContrast:
    """One comparison of a claim; as `LookedNumber`, with the difference that the claim says is negative."""

    label: str
    seeds: int
    difference: float | None
    unbiased: float | None
    interval: Interval | None
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

    @property
    def weakest(self) -> LookedContrast:
        """The comparison with the least support."""
        return max(self.comparisons, key=lambda part: part.p)


@dataclass(frozen=True)
class LooksFile(JsonFile):
    """The looks so far.

    Attributes:
        profile: whose.
        looks: seeds at each look, the last one with the most.
        parameters: checksum of the settings; a design is not changed by what was seen.
        judged: how many looks have been judged.
        trainings: what the judged looks rest on, by experiment: the folders' names, in the order of the seeds.
        numbers, claims: what is decided.
    """

    FILE: ClassVar[str] = "looks.json"

    profile: str
    looks: tuple[int, ...]
    parameters: str
    judged: int = 0
    trainings: Mapping[str, tuple[str, ...]] | None = None
    numbers: tuple[LookedNumber, ...] = ()
    claims: tuple[LookedClaim, ...] = ()
