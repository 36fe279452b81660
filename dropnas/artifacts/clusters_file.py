"""clusters.json: the feature clusters of the operations on one edge, in the first and the last cell (Figures 1, 4)."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from dropnas.artifacts.json_file import JsonFile


@dataclass(frozen=True)
class ClustersCell:
    """The clusters of one cell.

    Attributes:
        cell, kind: index and kind of the cell.
        operations: all operations except zero.
        parameterised: those of the group O_p.
        points: coordinates of the operations on the two axes of PCA.
        labels: the K-means cluster of each operation.
        explained: share of the variance on each axis.
        silhouette: silhouette of each operation within its group.
        single_member: operations that form a cluster of their own.
    """

    cell: int
    kind: Literal["normal", "reduction"]
    operations: tuple[str, ...]
    parameterised: tuple[str, ...]
    points: tuple[tuple[float, float], ...]
    labels: tuple[int, ...]
    explained: tuple[float, float]
    silhouette: dict[str, float]
    single_member: tuple[str, ...]

    def __post_init__(self) -> None:
        names = set(self.operations)
        if not len(self.operations) == len(self.points) == len(self.labels) == len(names) == len(self.silhouette):
            raise ValueError("operations, points, labels and silhouettes do not fit each other")
        if not self.parameterised or not names.issuperset({*self.parameterised, *self.silhouette, *self.single_member}):
            raise ValueError("an operation is unknown, or none is parameterised")


@dataclass(frozen=True)
class ClustersCells:
    """The first and the last cell."""

    first: ClustersCell
    last: ClustersCell


@dataclass(frozen=True)
class ClustersFile(JsonFile):
    """The edge (predecessor, node), the number of images, and the clusters of two cells."""

    FILE: ClassVar[str] = "clusters.json"

    edge: tuple[int, int]
    images: int
    cells: ClustersCells
