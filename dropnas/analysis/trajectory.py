"""The trajectory of a search: what its alphas did over the epochs, from history.json. Pure, and without torch.

The paper shows where searches end; how one-level DARTS gets there (its skip-connects, Section 4.2) shows over the
epochs. Genotypes are derived by the raw alpha, as the search itself logs them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.special import entr, softmax

from dropnas.analysis.naming import numbered
from dropnas.artifacts.genotype_file import Edge
from dropnas.space.derivation import Matrix, genotype
from dropnas.space.genotype import EDGES_PER_NODE, Genotype
from dropnas.space.names import SKIP

KINDS = ("normal", "reduce")
Epoch = tuple[Matrix, Matrix]  # the alphas of the normal and of the reduction cell


@dataclass(frozen=True)
class ByAlpha:
    """The rule by which genotypes are derived here: by the raw alpha, equal operations one by one."""

    score: str = "alpha"
    skips: str = "separate"


@dataclass(frozen=True)
class CellTrajectory:
    """One kind of cell over the epochs; all sequences have an entry for each epoch.

    Attributes:
        p: the weights of Eq. 1 over all operations: (epochs, edges, operations).
        entropy: of p, in nats, mean over the edges.
        skips: how many of the genotype's edges are skip-connects.
        changes: how many of the genotype's edges were not in that of the epoch before; 0 at the start.
    """

    p: NDArray[np.float64]
    entropy: list[float]
    skips: list[int]
    changes: list[int]

    @property
    def mean_p(self) -> NDArray[np.float64]:
        """p of each operation, mean over the edges: (epochs, operations)."""
        mean: NDArray[np.float64] = self.p.mean(axis=1)
        return mean


@dataclass(frozen=True)
class Trajectory:
    """A search over its epochs.

    Attributes:
        operations: their names in the order of the space, equal ones numbered.
        normal, reduce: the two kinds of cells.
    """

    operations: list[str]
    normal: CellTrajectory
    reduce: CellTrajectory


def trajectory(operations: Sequence[str], epochs: Sequence[Epoch]) -> Trajectory:
    """The trajectory that a search's alphas took.

    Args:
        operations: names in the order of the columns.
        epochs: the alphas of each epoch, 0 is the start, with a row for each edge.
    """
    genotypes = [genotype(operations, *alphas, ByAlpha()) for alphas in epochs]
    kinds = []
    for kind, name in enumerate(KINDS):
        p = softmax(np.array([alphas[kind] for alphas in epochs], dtype=np.float64), axis=-1)
        cells = [_edges(found, name) for found in genotypes]
        kinds.append(
            CellTrajectory(
                p=p,
                entropy=entr(p).sum(axis=-1).mean(axis=-1).tolist(),
                skips=[sum(operation == SKIP for _, operation, _ in cell) for cell in cells],
                changes=[0, *(len(after - before) for before, after in pairwise(cells))],
            )
        )
    return Trajectory(numbered(operations), *kinds)


def _edges(found: Genotype, kind: str) -> set[tuple[int, str, int]]:
    """The edges of a cell as (node, operation, predecessor): a node's two have no order."""
    cell: tuple[Edge, ...] = getattr(found, kind)
    return {(place // EDGES_PER_NODE, *edge) for place, edge in enumerate(cell)}
