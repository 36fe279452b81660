"""Derive a genotype from alphas (the last two steps of Section 2.1).

Design choices: this is plain Python without torch, so that a workflow derives a genotype in a moment. The score of an
operation is its raw alpha, as in the release, or its probability p over all operations of the edge, as in the text.
Ties go to the lower index: first of the operation, then of the predecessor. Each node lists its stronger edge first, as
the release does. The module is not part of the search because the diagnostics and the figures of the alphas derive
genotypes too.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from dropnas.space.genotype import EDGES_PER_NODE, Genotype
from dropnas.space.names import INPUTS, ZERO
from dropnas.space.spaces import NODES, edges

Matrix = Sequence[Sequence[float]]


class Rule(Protocol):
    """How operations and edges are ranked; `dropnas.search.config.DeriveConfig` describes the values."""

    @property
    def score(self) -> str:
        """`alpha` or `probability`."""

    @property
    def skips(self) -> str:
        """`separate` or `summed`."""


class Choice(NamedTuple):
    """The best operation of an edge."""

    score: float
    operation: str
    predecessor: int


def genotype(operations: Sequence[str], normal: Matrix, reduce: Matrix, rule: Rule) -> Genotype:
    """Derive a genotype from the alphas of both kinds of cells.

    Args:
        operations: names of the operations, in the order of the columns.
        normal, reduce: alphas of the two kinds of cells; each row is an edge (node, predecessor).
    """
    concat = tuple(range(INPUTS, INPUTS + NODES))
    cells = [
        [(choice.operation, choice.predecessor) for choice in derive_cell(operations, alphas, rule)]
        for alphas in (normal, reduce)
    ]
    return Genotype(tuple(cells[0]), concat, tuple(cells[1]), concat)


def is_same(first: Genotype, second: Genotype) -> bool:
    """Return whether two derived genotypes are the same architecture; the order of a node's two edges is ignored."""
    return all(
        sorted(ours[start : start + EDGES_PER_NODE]) == sorted(theirs[start : start + EDGES_PER_NODE])
        for ours, theirs in ((first.normal, second.normal), (first.reduce, second.reduce))
        for start in range(0, len(ours), EDGES_PER_NODE)
    )


def derive_cell(operations: Sequence[str], alphas: Matrix, rule: Rule) -> list[Choice]:
    """Choose, for each node, the two edges whose best operation (zero excluded) has the highest scores."""
    of_node: dict[int, list[Choice]] = {}
    for (node, predecessor), row in zip(edges(), alphas, strict=True):
        score, operation = best_operation(operations, row, rule)
        of_node.setdefault(node, []).append(Choice(score, operation, predecessor))
    ranked = (sorted(choices, key=lambda choice: -choice.score) for choices in of_node.values())
    return [choice for choices in ranked for choice in choices[:EDGES_PER_NODE]]


def best_operation(operations: Sequence[str], alphas: Sequence[float], rule: Rule) -> tuple[float, str]:
    """Return the score and the name of an edge's best operation, zero excluded.

    With `skips="summed"`, the probabilities of operations with the same name (3-skip) are added. In terms of raw
    alphas, the sum is ln sum exp(alpha): the alpha of one operation that has the summed probability.
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
    """ln sum exp(alpha). For a single alpha it returns exactly that alpha."""
    if len(alphas) == 1:
        return alphas[0]
    top = max(alphas)
    return top + math.log(math.fsum(math.exp(alpha - top) for alpha in alphas))
