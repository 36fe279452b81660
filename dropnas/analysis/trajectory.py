"""The trajectory of a search: how its alphas changed over the epochs, from history.json. Pure functions without torch.

The paper shows only the end of a search. The epochs show how one-level DARTS ends up with many skip-connects (Section
4.2). Genotypes are derived by the method's own rule if it has one, and from the raw alphas otherwise, as in the log of
the search.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise, starmap
from math import inf

import numpy as np
from numpy.typing import NDArray
from scipy.special import entr, softmax

from dropnas.analysis.naming import numbered
from dropnas.artifacts.genotype_file import Edge, GenotypeFile
from dropnas.artifacts.search_files import Epoch, Partial
from dropnas.space.derivation import AlphaMatrix, genotype
from dropnas.space.genotype import EDGES_PER_NODE
from dropnas.space.names import SKIP

CELL_KINDS = ("normal", "reduce")
CellEdge = tuple[int, str, int]  # an edge as (node, operation, predecessor)


@dataclass(frozen=True)
class ByAlpha:
    """The derivation rule used here: it ranks by raw alpha, and ranks operations of the same name separately."""

    score: str = "alpha"
    skips: str = "separate"


@dataclass(frozen=True)
class CellTrajectory:
    """The development of the normal or the reduction cell; every sequence has one entry for each epoch."""

    # the weights of Eq. 1, shape (epochs, edges, operations); the weight of a pruned operation is 0
    p: NDArray[np.float64]
    entropy: list[float]  # entropy of p in nats, averaged over the edges
    skips: list[int | None]  # number of skip-connects in the genotype; None until there is a genotype
    # number of edges that the previous genotype did not have; 0 at the start, None if either genotype is missing
    changes: list[int | None]

    @property
    def mean_p(self) -> NDArray[np.float64]:
        """p of each operation, averaged over the edges, shape (epochs, operations)."""
        mean: NDArray[np.float64] = self.p.mean(axis=1)
        return mean


@dataclass(frozen=True)
class Trajectory:
    """How the two cells of a search change over the epochs."""

    operations: list[str]  # names in the order of the space; repeated names are numbered
    normal: CellTrajectory
    reduce: CellTrajectory


def trajectory(operations: Sequence[str], epochs: Sequence[Epoch]) -> Trajectory:
    """Compute the trajectory of a search's alphas.

    Args:
        epochs: the history; epoch 0 is the start.
    """
    has_own_rule = any(epoch.genotype for epoch in epochs)
    genotypes = [epoch.genotype if has_own_rule else _by_alpha(operations, epoch) for epoch in epochs]
    kinds = []
    for kind in CELL_KINDS:
        p = softmax(np.array([_filled(getattr(epoch, kind)) for epoch in epochs], dtype=np.float64), axis=-1)
        cells = [_edges(found, kind) if found else None for found in genotypes]
        kinds.append(
            CellTrajectory(
                p=p,
                entropy=entr(p).sum(axis=-1).mean(axis=-1).tolist(),
                skips=[None if cell is None else sum(name == SKIP for _, name, _ in cell) for cell in cells],
                changes=[None if cells[0] is None else 0, *starmap(_changes, pairwise(cells))],
            )
        )
    return Trajectory(numbered(operations), *kinds)


def _by_alpha(operations: Sequence[str], epoch: Epoch) -> GenotypeFile:
    return genotype(operations, _filled(epoch.normal), _filled(epoch.reduce), ByAlpha())


def _filled(alphas: Partial) -> AlphaMatrix:
    """The alphas, with minus infinity for pruned operations."""
    return [[-inf if alpha is None else alpha for alpha in row] for row in alphas]


def _changes(before: set[CellEdge] | None, after: set[CellEdge] | None) -> int | None:
    return None if before is None or after is None else len(after - before)


def _edges(found: GenotypeFile, kind: str) -> set[CellEdge]:
    """Return the edges of a cell as a set, because the order of a node's two edges does not matter."""
    cell: tuple[Edge, ...] = getattr(found, kind)
    return {(index // EDGES_PER_NODE, *edge) for index, edge in enumerate(cell)}
