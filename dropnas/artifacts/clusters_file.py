"""clusters.json: the feature clusters of the operations on one edge, in the first and the last cell (Figures 1, 4)."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from dropnas.artifacts.json_file import JsonFile


@dataclass(frozen=True)
class ClustersCell:
    """The clusters of one cell."""

    cell: int  # index of the cell
    kind: Literal["normal", "reduction"]
    operations: tuple[str, ...]  # all operations except zero
    parameterised: tuple[str, ...]  # the operations in the group O_p
    points: tuple[tuple[float, float], ...]  # coordinates of the operations on the two axes of PCA
    labels: tuple[int, ...]  # the K-means cluster of each operation
    explained: tuple[float, float]  # share of the variance on each axis
    silhouette: dict[str, float]  # silhouette of each operation within its group
    single_member: tuple[str, ...]  # operations that are alone in their cluster

    def __post_init__(self) -> None:
        names = set(self.operations)
        if not len(self.operations) == len(self.points) == len(self.labels) == len(names) == len(self.silhouette):
            raise ValueError("operations, points, labels and silhouettes do not fit each other")
        if not self.parameterised or not names.issuperset({*self.parameterised, *self.silhouette, *self.single_member}):
            raise ValueError("an operation is unknown, or none is parameterised")


@dataclass(frozen=True)
class ClustersCells:
    first: ClustersCell
    last: ClustersCell


@dataclass(frozen=True)
class ClustersFile(JsonFile):
    """The edge (predecessor, node), the number of images, and the clusters of two cells."""

    FILE: ClassVar[str] = "clusters.json"

    edge: tuple[int, int]
    images: int
    cells: ClustersCells
