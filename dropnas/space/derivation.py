"""Derive a genotype from alphas (the last two steps of Section 2.1).

Design choices: this is plain Python without torch, so that the derive stage starts quickly. The score of an operation
is its raw alpha, as in the release, or its probability p over all operations of the edge, as in the paper.
Ties go to the lower index: first of the operation, then of the predecessor. Each node lists its stronger edge first, as
the release does. The module is not part of the search because diagnostics and figures derive genotypes, too.
"""

import math
from collections.abc import Sequence
from operator import itemgetter
from typing import Protocol

from dropnas.artifacts.genotype_file import Edge
from dropnas.space.genotype import EDGES_PER_NODE, Genotype
from dropnas.space.names import ZERO
from dropnas.space.spaces import edges

AlphaMatrix = Sequence[Sequence[float]]


class Rule(Protocol):
    """How to rank operations and edges; `dropnas.search.config.DeriveConfig` explains the values."""

    @property
    def score(self) -> str:
        """`alpha` or `probability`."""

    @property
    def skips(self) -> str:
        """`separate` or `summed`."""


def genotype(operations: Sequence[str], normal: AlphaMatrix, reduce: AlphaMatrix, rule: Rule) -> Genotype:
    """Derive a genotype from the alphas of both kinds of cells.

    Args:
        operations: names of the operations, in the order of the columns.
        normal, reduce: alphas of the two kinds of cells; each row is an edge (node, predecessor).
    """
    return Genotype.of_cells(_cell(operations, normal, rule), _cell(operations, reduce, rule))


def is_same(first: Genotype, second: Genotype) -> bool:
    """Return whether two derived genotypes are the same architecture; the order of a node's two edges is ignored."""
    return all(
        sorted(ours[start : start + EDGES_PER_NODE]) == sorted(theirs[start : start + EDGES_PER_NODE])
        for ours, theirs in ((first.normal, second.normal), (first.reduce, second.reduce))
        for start in range(0, len(ours), EDGES_PER_NODE)
    )


def _cell(operations: Sequence[str], alphas: AlphaMatrix, rule: Rule) -> tuple[Edge, ...]:
    """For each node, choose the two edges whose best operations (zero excluded) have the highest scores."""
    of_node: dict[int, list[tuple[float, Edge]]] = {}
    for (node, predecessor), row in zip(edges(), alphas, strict=True):
        score, operation = best_operation(operations, row, rule)
        of_node.setdefault(node, []).append((score, (operation, predecessor)))
    ranked = (sorted(choices, key=itemgetter(0), reverse=True) for choices in of_node.values())
    return tuple(edge for choices in ranked for _, edge in choices[:EDGES_PER_NODE])


def best_operation(operations: Sequence[str], alphas: Sequence[float], rule: Rule) -> tuple[float, str]:
    """Return the score and the name of an edge's best operation, zero excluded.

    With `skips="summed"`, operations with the same name (3-skip) count as one operation. Its probability is the sum of
    theirs, and its raw alpha is ln sum exp(alpha), which corresponds to this probability.
    """
    names: list[str] = list(operations)
    if rule.skips == "summed":
        names = list(dict.fromkeys(operations))
        alphas = [_log_sum([a for a, o in zip(alphas, operations, strict=True) if o == name]) for name in names]
    scores = list(alphas)
    if rule.score == "probability":
        total = _log_sum(alphas)
        scores = [math.exp(alpha - total) for alpha in alphas]
    best = max((i for i, name in enumerate(names) if name != ZERO), key=scores.__getitem__)
    return scores[best], names[best]


def _log_sum(alphas: Sequence[float]) -> float:
    """Return ln sum exp(alpha), which is exactly the alpha if there is only one."""
    if len(alphas) == 1:
        return alphas[0]
    top = max(alphas)
    return top + math.log(math.fsum(math.exp(alpha - top) for alpha in alphas))
