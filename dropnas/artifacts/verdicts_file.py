"""verdicts.json, next to the results of a profile: the outcome for each printed number and claim."""

from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal

from dropnas.artifacts.json_file import JsonFile

Kind = Literal["mean", "best", "single"]
Interval = tuple[float, float]


@dataclass(frozen=True)
class CellVerdict:
    """The verdict on one printed number."""

    # table, row, column: keys of the cell, as in `printed.yaml`
    table: str
    row: str
    column: str
    # row_label, column_label: as the table shows them
    row_label: str
    column_label: str
    quantity: str  # our quantity in the comparison
    kind: Kind  # a `mean` over seeds, the `best` of eight, or a `single` training
    # ours_text, paper_text: the compared numbers, in the digits of the table
    ours_text: str
    paper_text: str
    # n, n_paper: trainings behind either; None for a row that the paper quotes
    n: int
    n_paper: int | None
    # mean, std: of ours, in full precision; the deviation with n - 1, None of a single run
    mean: float
    std: float | None
    difference: float | None  # ours minus the paper's in percentage points; None if a difference would have no meaning
    interval: Interval | None  # its 95 % confidence interval
    # p_differs, p_agrees: p-values of a difference and of equivalence, corrected over the table
    p_differs: float | None
    p_agrees: float | None
    # verdict, reason: what follows, and why in one sentence
    verdict: str
    reason: str
    runs: tuple[str, ...]  # names of the runs behind ours

    def __post_init__(self) -> None:
        if self.n < 1 or (self.std is None) != (self.n == 1) or (self.std or 0) < 0:
            raise ValueError(f"n = {self.n} with the deviation {self.std}")


@dataclass(frozen=True)
class Compared:
    """One comparison of a claim."""

    label: str  # name of the comparison
    effect: float  # the effect in the direction of the claim, in points of test error; negative means the opposite
    interval: Interval | None  # its 95 % interval; None if there was no spread
    smallest: float  # the smallest effect that these runs would have shown four times in five
    p: float  # p-value in the claim's direction


@dataclass(frozen=True)
class Decided:
    """An outcome, the numbers behind it in one line, and its comparisons, where these are of mean errors."""

    outcome: str
    detail: str
    comparisons: tuple[Compared, ...] = ()


@dataclass(frozen=True)
class ClaimResult:
    """A claim of the paper and what becomes of it."""

    id: str  # a short name that stays
    # claim, where, test: one line each: its text, its place in the paper, and its criterion
    claim: str
    where: str
    test: str
    # outcome, detail, comparisons: the decision by our runs, at the best epoch on test, as in the paper
    outcome: str
    detail: str
    comparisons: tuple[Compared, ...]
    comparable: bool  # whether our runs may be compared with the paper at all; False for smoke, mini and other data
    by_final_epoch: Decided | None = None  # the decision by our runs at the final epoch; None if it is unknown
    by_paper: Decided | None = None  # the decision by the paper's printed numbers; None if it prints none


@dataclass(frozen=True)
class VerdictsFile(JsonFile):
    """All that was decided for a profile; a file of another version may hold more."""

    __pydantic_config__: ClassVar[Any] = {**JsonFile.__pydantic_config__, "extra": "ignore"}
    FILE: ClassVar[str] = "verdicts.json"

    # profile, reproduction: whose runs, and whether they may be compared with the paper
    profile: str
    reproduction: bool
    claims: tuple[ClaimResult, ...]  # of the paper, in its order
    numbers: tuple[CellVerdict, ...]  # a verdict on each printed number, table by table

    def values(self) -> dict[str, Any]:
        """With null for what does not exist."""
        return asdict(self)
