"""P-DARTS' derivation: the edges with the largest p, with a limit on the skip-connects of the normal cell.

Design choices: this is plain Python on lists of numbers. The scores are p, the softmax of an edge's alphas; a pruned
operation has a score of minus infinity. As in the released code, ties between operations and between edges go to the
higher index. Skip-connects are forbidden one at a time until the limit holds, because a node that loses one may choose
another edge whose best operation is also a skip-connect.
"""

from collections.abc import Sequence
from math import inf
from typing import NamedTuple

from dropnas.artifacts.genotype_file import Edge
from dropnas.space.genotype import EDGES_PER_NODE, Genotype
from dropnas.space.names import SKIP, ZERO
from dropnas.space.spaces import NODES, edges

MOST = EDGES_PER_NODE * NODES  # maximum number of skip-connects in a cell
Scores = list[list[float]]  # a row for each edge, a column for each operation


class ChosenEdge(NamedTuple):
    """A chosen edge with its best operation and that operation's score; `edge` and `operation` are indices."""

    edge: int
    operation: int
    score: float


def genotype(operations: Sequence[str], normal: Scores, reduce: Scores, limit: int) -> Genotype:
    """Derive the genotype whose normal cell has at most `limit` skip-connects.

    Each edge must have an operation that is neither zero nor a skip-connect.

    Args:
        normal, reduce: p of each operation on each edge; minus infinity for pruned operations.
        limit: maximum number of skip-connects in the normal cell.
    """
    limited, best = _limited(operations, normal, limit), _best(operations, reduce)
    return Genotype.of_cells(_named(operations, limited), _named(operations, best))


def _limited(operations: Sequence[str], scores: Scores, limit: int) -> list[ChosenEdge]:
    """Choose the edges; while there are too many skip-connects, forbid the weakest one and choose again."""
    scores = [list(row) for row in scores]
    while True:
        cell = _best(operations, scores)
        skips = [chosen for chosen in cell if operations[chosen.operation] == SKIP]
        if len(skips) <= limit:
            return cell
        weakest = scores[min(skips, key=lambda chosen: chosen.score).edge]
        weakest[:] = [-inf if name == SKIP else score for name, score in zip(operations, weakest, strict=True)]


def _best(operations: Sequence[str], scores: Scores) -> list[ChosenEdge]:
    """For each node, choose the two edges whose best operations (zero excluded) score highest.

    The two edges are in the order of their predecessors.
    """
    of_node: dict[int, list[ChosenEdge]] = {}
    for edge, ((node, _), row) in enumerate(zip(edges(), scores, strict=True)):
        allowed = [-inf if name == ZERO else score for name, score in zip(operations, row, strict=True)]
        operation = max(range(len(row)), key=lambda index: (allowed[index], index))
        of_node.setdefault(node, []).append(ChosenEdge(edge, operation, allowed[operation]))
    ranked = (sorted(own, key=lambda chosen: (chosen.score, chosen.edge)) for own in of_node.values())
    return [chosen for own in ranked for chosen in sorted(own[-EDGES_PER_NODE:])]


def _named(operations: Sequence[str], cell: Sequence[ChosenEdge]) -> tuple[Edge, ...]:
    predecessors = [predecessor for _, predecessor in edges()]
    return tuple((operations[chosen.operation], predecessors[chosen.edge]) for chosen in cell)
