"""What a search writes beside its weights and its metrics: alphas.json, history.json and result.json."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from dropnas.artifacts.genotype_file import GenotypeFile
from dropnas.artifacts.json_file import JsonFile, gathered

EDGES = 14  # of a cell: 2 + 3 + 4 + 5, rows of alphas
Matrix = tuple[tuple[float, ...], ...]
Partial = tuple[tuple[float | None, ...], ...]  # None stands for what was pruned
Numbers = float | tuple[float, ...] | Matrix


@dataclass(frozen=True)
class AlphasFile(JsonFile):
    """The alphas that a search ended with.

    Attributes:
        operations: names in the order of the columns.
        normal, reduce: a row for each edge (node, predecessor).
        further: a strategy's own architecture parameters, by name.
    """

    FILE: ClassVar[str] = "alphas.json"

    operations: tuple[str, ...]
    normal: Matrix
    reduce: Matrix
    further: dict[str, Numbers] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_shapes(self.operations, self.normal, self.reduce)

    @classmethod
    def as_fields(cls, values: Any) -> Any:
        """The keys that are no fields are the strategy's."""
        return gathered(cls, values)


@dataclass(frozen=True)
class Epoch:
    """Where a search stands after an epoch; epoch 0 is the start.

    Attributes:
        normal, reduce: the alphas, as in AlphasFile; None for an operation that its edge no longer has.
        further: as in AlphasFile.
        genotype: what the method's own rule derives; None where it has no such rule, or none is chosen yet.
    """

    epoch: int
    normal: Partial
    reduce: Partial
    further: dict[str, Numbers] = field(default_factory=dict)
    genotype: GenotypeFile | None = None


@dataclass(frozen=True)
class HistoryFile(JsonFile):
    """The alphas of every epoch of a search."""

    FILE: ClassVar[str] = "history.json"

    operations: tuple[str, ...]
    epochs: tuple[Epoch, ...]

    def __post_init__(self) -> None:
        for epoch in self.epochs:
            _check_shapes(self.operations, epoch.normal, epoch.reduce)

    @classmethod
    def as_fields(cls, values: Any) -> Any:
        """In each epoch, the keys that are no fields are the strategy's."""
        if not isinstance(values, dict) or not isinstance(values.get("epochs"), list):
            return values
        return {**values, "epochs": [gathered(Epoch, epoch) for epoch in values["epochs"]]}


@dataclass(frozen=True)
class SearchResultFile(JsonFile):
    """What a search ended with.

    Attributes:
        train_loss, train_accuracy: of the last epoch; None where the strategy does not measure it.
        epochs: how many were trained.
        alpha_spread_start, alpha_spread_end: standard deviation over all alphas.
        parameters: weights of the supernet.
        further: what the strategy itself reports.
    """

    FILE: ClassVar[str] = "result.json"

    train_loss: float | None
    train_accuracy: float | None
    epochs: int
    alpha_spread_start: float
    alpha_spread_end: float
    parameters: int
    further: dict[str, str | bool | int | float | None] = field(default_factory=dict)

    @classmethod
    def as_fields(cls, values: Any) -> Any:
        """The keys that are no fields are the strategy's."""
        return gathered(cls, values)


def _check_shapes(operations: Sequence[str], *matrices: Partial) -> None:
    if any(len(matrix) != EDGES or any(len(row) != len(operations) for row in matrix) for matrix in matrices):
        raise ValueError(f"not {EDGES} rows of {len(operations)} alphas for each kind of cell")
