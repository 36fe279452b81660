"""What figures read of finished run folders beside receipts and errors: clusters, correlations and histories, checked.

Design choices: pydantic holds each file against a type, strictly and with finite numbers only, so that a picture is
never drawn from half a file. Runs that choose or compute on numbers alone tell nothing of the hardware; the hardware
and data of a figure are those of the trainings behind it, which their receipts lead to.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import FiniteFloat, TypeAdapter, ValidationError

from dropnas.analysis.finished_runs import RECEIPT, Run, read_run
from dropnas.errors import DropnasError
from dropnas.space.spaces import EDGES

TRAINED = ("search", "retrain", "transfer", "clusters")
Content = TypeVar("Content")
Matrix = tuple[tuple[FiniteFloat, ...], ...]


@dataclass(frozen=True)
class Receipt:
    """Of run.json: the names of the folders that the run read."""

    __pydantic_config__ = {"strict": True}

    inputs: tuple[str, ...]


@dataclass(frozen=True)
class ClustersCell:
    """The clusters of one cell, as the clusters stage writes them.

    Attributes:
        cell, kind: which cell of the supernet, `normal` or `reduction`.
        operations: all but zero.
        parameterised: those of the group O_p.
        points: on the two axes of PCA.
        labels: the K-means cluster of each.
        explained: share of the variance on each axis.
        silhouette: of each operation within its group.
        single_member: operations that are alone in their cluster.
    """

    __pydantic_config__ = {"extra": "forbid", "strict": True}

    cell: int
    kind: str
    operations: tuple[str, ...]
    parameterised: tuple[str, ...]
    points: tuple[tuple[FiniteFloat, FiniteFloat], ...]
    labels: tuple[int, ...]
    explained: tuple[FiniteFloat, FiniteFloat]
    silhouette: dict[str, FiniteFloat]
    single_member: tuple[str, ...]

    def __post_init__(self) -> None:
        names = set(self.operations)
        if not len(self.operations) == len(self.points) == len(self.labels) == len(names) == len(self.silhouette):
            raise ValueError("operations, points, labels and silhouettes do not fit each other")
        if not self.parameterised or not names.issuperset({*self.parameterised, *self.silhouette, *self.single_member}):
            raise ValueError("an operation is unknown, or none is parameterised")


@dataclass(frozen=True)
class Cells:
    """The first and the last cell."""

    __pydantic_config__ = {"extra": "forbid", "strict": True}

    first: ClustersCell
    last: ClustersCell


@dataclass(frozen=True)
class Clusters:
    """clusters.json: the edge (predecessor, node), how many images, the cells."""

    __pydantic_config__ = {"extra": "forbid", "strict": True}

    edge: tuple[int, int]
    images: int
    cells: Cells


@dataclass(frozen=True)
class Coefficient:
    """A correlation coefficient with its 95 % interval; all None where it is undefined."""

    __pydantic_config__ = {"extra": "forbid", "strict": True}

    value: FiniteFloat | None
    low: FiniteFloat | None
    high: FiniteFloat | None
    p_value: FiniteFloat | None


@dataclass(frozen=True)
class StandAlone:
    """One operation on the edge: alpha and p of the search, accuracies in percent of its retraining."""

    __pydantic_config__ = {"extra": "forbid", "strict": True}

    operation: str
    alpha: FiniteFloat
    p: FiniteFloat
    accuracy_best: FiniteFloat
    accuracy_final: FiniteFloat
    run: str


@dataclass(frozen=True)
class Correlation:
    """correlation.json, as the correlation stage writes it."""

    __pydantic_config__ = {"extra": "forbid", "strict": True}

    edge: tuple[int, int]
    search: str
    edge_was_there: bool
    n: int
    operations: tuple[StandAlone, ...]
    pearson: Coefficient
    spearman: Coefficient


@dataclass(frozen=True)
class Epoch:
    """The alphas of one epoch, a row for each edge."""

    __pydantic_config__ = {"extra": "forbid", "strict": True}

    epoch: int
    normal: Matrix
    reduce: Matrix


@dataclass(frozen=True)
class History:
    """history.json: the alphas of every epoch of a search; 0 is the start."""

    __pydantic_config__ = {"extra": "forbid", "strict": True}

    operations: tuple[str, ...]
    epochs: tuple[Epoch, ...]

    def __post_init__(self) -> None:
        columns = {len(row) for epoch in self.epochs for matrix in (epoch.normal, epoch.reduce) for row in matrix}
        rows = {len(matrix) for epoch in self.epochs for matrix in (epoch.normal, epoch.reduce)}
        if rows != {EDGES} or columns != {len(self.operations)}:
            raise ValueError(f"not {EDGES} rows of {len(self.operations)} alphas in each epoch")


def read_clusters(folder: Path) -> Clusters:
    """The clusters of a clusters run. Raises a DropnasError if they are missing or damaged."""
    return _read(folder / "clusters.json", Clusters)


def read_correlation(folder: Path) -> Correlation:
    """The correlation of a correlation run. Raises a DropnasError if it is missing or damaged."""
    return _read(folder / "correlation.json", Correlation)


def read_history(folder: Path) -> History:
    """The alphas of a search over its epochs. Raises a DropnasError if they are missing or damaged."""
    return _read(folder / "history.json", History)


def trainings_behind(runs: Iterable[Run]) -> list[Run]:
    """The runs that trained or looked into a network: those given, or of the others their inputs, and so on.

    An input that is no longer on disk tells nothing.
    """
    return list({run.folder: run for one in runs for run in _behind(one)}.values())


def _behind(run: Run) -> Iterator[Run]:
    if run.stage in TRAINED:
        yield run
        return
    for name in _read(run.folder / RECEIPT, Receipt).inputs:
        for folder in run.folder.parent.parent.glob(f"*/{name}"):
            if (folder / RECEIPT).is_file():
                yield from _behind(read_run(folder))


def _read(file: Path, kind: type[Content]) -> Content:
    try:
        return TypeAdapter(kind).validate_json(file.read_bytes())
    except FileNotFoundError as error:
        raise DropnasError("no such file", where=file, remedy="the run is not finished, or was damaged") from error
    except OSError as error:
        raise DropnasError(f"cannot be read ({error.strerror})", where=file) from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise DropnasError(f"{place}: {first['msg']}", where=file, remedy="run `verify`") from error
