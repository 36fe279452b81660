"""alphas.json, history.json and result.json of a search."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from dropnas.artifacts.genotype_file import GenotypeFile
from dropnas.artifacts.json_file import JsonFile, gathered

ALPHA_ROWS = 14  # edges of a cell: 2 + 3 + 4 + 5, one row of alphas each
AlphaRows = tuple[tuple[float, ...], ...]
Partial = tuple[tuple[float | None, ...], ...]  # None means a pruned operation
Numbers = float | tuple[float, ...] | AlphaRows


@dataclass(frozen=True)
class AlphasFile(JsonFile):
    """The alphas at the end of a search."""

    FILE: ClassVar[str] = "alphas.json"

    operations: tuple[str, ...]  # in the order of the columns
    # normal, reduce: a row for each edge (node, predecessor)
    normal: AlphaRows
    reduce: AlphaRows
    further: dict[str, Numbers] = field(default_factory=dict)  # a strategy's own architecture parameters, by name

    def __post_init__(self) -> None:
        _check_shapes(self.operations, self.normal, self.reduce)

    @classmethod
    def as_fields(cls, values: Any) -> Any:
        """Collect the unknown keys, which belong to the strategy."""
        return gathered(cls, values)


@dataclass(frozen=True)
class Epoch:
    """The state of a search after an epoch; epoch 0 is the start."""

    epoch: int
    # normal, reduce: the alphas, as in AlphasFile; None for pruned operations
    normal: Partial
    reduce: Partial
    further: dict[str, Numbers] = field(default_factory=dict)  # the strategy's own parameters, as in AlphasFile
    # the genotype derived by the method's own rule; None if it has no such rule, or until the rule yields a genotype
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
        """Collect the unknown keys of each epoch, which belong to the strategy."""
        if not isinstance(values, dict) or not isinstance(values.get("epochs"), list):
            return values
        return {**values, "epochs": [gathered(Epoch, epoch) for epoch in values["epochs"]]}


@dataclass(frozen=True)
class SearchResultFile(JsonFile):
    FILE: ClassVar[str] = "result.json"

    # train_loss, train_accuracy: training metrics of the last epoch; None if the strategy does not measure them
    train_loss: float | None
    train_accuracy: float | None
    epochs: int  # number of trained epochs
    # alpha_spread_start, alpha_spread_end: standard deviation of all alphas at the start and at the end
    alpha_spread_start: float
    alpha_spread_end: float
    parameters: int  # number of weights of the supernet
    further: dict[str, str | bool | int | float | None] = field(default_factory=dict)  # the strategy's own results

    @classmethod
    def as_fields(cls, values: Any) -> Any:
        """Collect the unknown keys, which belong to the strategy."""
        return gathered(cls, values)


def _check_shapes(operations: Sequence[str], *matrices: Partial) -> None:
    if any(len(matrix) != ALPHA_ROWS or any(len(row) != len(operations) for row in matrix) for matrix in matrices):
        raise ValueError(f"not {ALPHA_ROWS} rows of {len(operations)} alphas for each kind of cell")
