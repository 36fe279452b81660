"""verdicts.json, in the results of a profile: the outcome for each printed number and claim."""

from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal

from dropnas.artifacts.json_file import JsonFile

NumberKind = Literal["mean", "best", "single"]
Interval = tuple[float, float]


@dataclass(frozen=True)
class CellVerdict:
    """The verdict on one printed number."""

    # table, row, column: keys of the cell, as in `printed.yaml`
    table: str
    row: str
    column: str
    # row_label, column_label: the labels in the table
    row_label: str
    column_label: str
    quantity: str  # name of the quantity that we compare
    kind: NumberKind  # a `mean` over seeds, the `best` of eight, or a `single` training
    # ours_text, paper_text: the compared numbers, as text with the number of digits that the table uses
    ours_text: str
    paper_text: str
    n: int  # number of our trainings
    n_paper: int | None  # number of the paper's trainings; None for a row that the paper quotes
    # mean, std: our mean and standard deviation (n - 1) in full precision; std is None for a single run
    mean: float
    std: float | None
    difference: float | None  # ours minus the paper's in percentage points; None if it would be meaningless
    interval: Interval | None  # its 95 % confidence interval
    # p_differs, p_agrees: p-values of a difference and of equivalence, Holm-corrected within the table
    p_differs: float | None
    p_agrees: float | None
    verdict: str
    reason: str  # the reason for the verdict, in one sentence
    runs: tuple[str, ...]  # names of the runs behind our number

    def __post_init__(self) -> None:
        if self.n < 1 or (self.std is None) != (self.n == 1) or (self.std or 0) < 0:
            raise ValueError(f"n = {self.n} with the deviation {self.std}")


@dataclass(frozen=True)
class Compared:
    """One comparison of a claim."""

    label: str
    effect: float  # the effect in the direction of the claim, in points of test error; negative means the opposite
    interval: Interval | None  # 95 % interval of the effect; None if no sample has any spread
    smallest: float  # the smallest effect that these runs detect with a power of 80 %
    p: float  # p-value in the claim's direction


@dataclass(frozen=True)
class Decided:
    """The decision on a claim, based on one set of numbers."""

    outcome: str
    detail: str  # the numbers behind the outcome, in one line
    comparisons: tuple[Compared, ...] = ()  # only for claims about mean errors


@dataclass(frozen=True)
class ClaimResult:
    """A claim of the paper with its decisions."""

    id: str  # a short name that never changes
    claim: str  # the claim in one line
    where: str  # where the paper makes the claim
    test: str  # the test that decides it, in words
    # outcome, detail, comparisons: the decision based on the lowest test errors of our runs, as in the paper
    outcome: str
    detail: str
    comparisons: tuple[Compared, ...]
    comparable: bool  # whether our runs may be compared with the paper; False if their data or sizes differ
    by_final_epoch: Decided | None = None  # the decision based on our final test errors; None if they are not tested
    by_paper: Decided | None = None  # the decision based on the paper's printed numbers; None if it prints none


@dataclass(frozen=True)
class VerdictsFile(JsonFile):
    """The verdicts and claims of a profile; keys of other versions of the file are ignored."""

    __pydantic_config__: ClassVar[Any] = {**JsonFile.__pydantic_config__, "extra": "ignore"}
    FILE: ClassVar[str] = "verdicts.json"

    profile: str
    reproduction: bool  # whether the runs may be compared with the paper
    claims: tuple[ClaimResult, ...]  # in the paper's order
    numbers: tuple[CellVerdict, ...]  # table by table

    def values(self) -> dict[str, Any]:
        """The content of the file; missing values are null."""
        return asdict(self)
