"""correlation.json: p of each operation on an edge, its accuracy on its own, and how the two correlate (Figure 5)."""

from dataclasses import dataclass
from typing import ClassVar

from dropnas.artifacts.json_file import JsonFile


@dataclass(frozen=True)
class Coefficient:
    """A correlation coefficient, its 95 % interval (None at ±1) and its p-value; all None if it is undefined."""

    value: float | None
    low: float | None
    high: float | None
    p_value: float | None

    def __post_init__(self) -> None:
        if self.value is not None and not -1 <= self.value <= 1:
            raise ValueError(f"value is {self.value}, not a correlation")


@dataclass(frozen=True)
class StandAlone:
    """One operation on the edge: its alpha and p in the search, and the accuracies of its retraining in percent."""

    operation: str
    alpha: float
    p: float
    accuracy_best: float
    accuracy_final: float
    run: str


@dataclass(frozen=True)
class CorrelationFile(JsonFile):
    FILE: ClassVar[str] = "correlation.json"

    edge: tuple[int, int]  # (predecessor, node)
    search: str  # name of the search's folder
    edge_was_there: bool  # whether the chosen normal cell has the edge
    n: int  # number of operations
    operations: tuple[StandAlone, ...]
    pearson: Coefficient
    spearman: Coefficient
