"""looks.json, next to the results of a profile: the decisions of the looks of a sequential plan."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from dropnas.artifacts.json_file import JsonFile

Interval = tuple[float, float]


@dataclass(frozen=True)
class LookedNumber:
    """A printed mean after the looks so far."""

    # table, row, column: of the number
    table: str
    row: str
    column: str
    verdict: str  # agrees, differs or undecided
    # look, seeds, when: the look that decided or stopped it, or the last one; its seeds; what happened, in words
    look: int
    seeds: int
    when: str
    difference: float | None  # ours minus the paper's at that look, as it is
    unbiased: float | None  # the same, too high as often as too low in spite of early stopping
    interval: Interval | None  # repeated 95 % confidence interval, which holds over all looks
    # p_differs, p_agrees: over all looks, corrected over the table
    p_differs: float
    p_agrees: float


@dataclass(frozen=True)
class LookedContrast:
    """One comparison of a claim; the fields are those of `LookedNumber`. By the claim, the difference is negative."""

    label: str
    seeds: int
    difference: float | None
    unbiased: float | None
    interval: Interval | None
    p: float


@dataclass(frozen=True)
class LookedClaim:
    """A claim after the looks so far; the fields are those of `LookedNumber`."""

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
    """The looks so far."""

    FILE: ClassVar[str] = "looks.json"

    profile: str  # name of the profile
    looks: tuple[int, ...]  # number of seeds at each look; the last one is the largest
    parameters: str  # checksum of the settings, which must not change after results were seen
    judged: int = 0  # number of judged looks
    # names of the folders behind the judged looks, by experiment, in the order of the seeds
    trainings: Mapping[str, tuple[str, ...]] | None = None
    # numbers, claims: the decisions
    numbers: tuple[LookedNumber, ...] = ()
    claims: tuple[LookedClaim, ...] = ()
