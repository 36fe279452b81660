"""looks.json, in the results of a profile: what the interim looks of a sequential plan decided."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from dropnas.artifacts.json_file import JsonFile
from dropnas.artifacts.verdicts_file import Interval


@dataclass(frozen=True)
class LookedNumber:
    """The comparison with a printed mean, after the looks so far."""

    # table, row, column: keys of the cell
    table: str
    row: str
    column: str
    verdict: str  # agrees, differs or undecided
    look: int  # number of the look that decided or stopped the question, or else of the last look; 0 if none
    seeds: int  # number of seeds at that look
    when: str  # what happened at that look, in words
    difference: float | None  # ours minus the paper's at that look
    unbiased: float | None  # the median-unbiased estimate of the difference
    interval: Interval | None  # repeated 95 % confidence interval, valid over all looks
    # p_differs, p_agrees: p-values over all looks, Holm-corrected within the table
    p_differs: float
    p_agrees: float


@dataclass(frozen=True)
class LookedContrast:
    """One comparison of a claim; fields as in `LookedNumber`. If the claim is true, the difference is negative."""

    label: str
    seeds: int
    difference: float | None
    unbiased: float | None
    interval: Interval | None
    p: float  # one-sided p-value over all looks, in the direction of the claim


@dataclass(frozen=True)
class LookedClaim:
    """The decision on a claim after the looks so far; fields as in `LookedNumber`."""

    id: str
    claim: str
    outcome: str  # holds, contradicted or undecided
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
    FILE: ClassVar[str] = "looks.json"

    profile: str
    looks: tuple[int, ...]  # number of seeds at each look; the last one is the largest
    parameters: str  # checksum of the settings, which must not change once results have been seen
    judged: int = 0  # number of looks judged so far
    # for each experiment, the names of the training folders that the judged looks used, in the order of the seeds
    trainings: Mapping[str, tuple[str, ...]] | None = None
    numbers: tuple[LookedNumber, ...] = ()
    claims: tuple[LookedClaim, ...] = ()
