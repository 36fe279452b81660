"""DARTS+ in plain torch, written from a description of the method: first-order DARTS that stops by itself."""

import math
from collections.abc import Sequence

from plain_pass import Batch, Rows, World, best_two, softmax
from torch import Tensor

Matrix = Sequence[Sequence[float]]


def rows_of(alphas: dict[str, Tensor]) -> Rows:
    """Every operation of every edge, with its probability."""
    return {kind: [list(enumerate(softmax(list(row)))) for row in matrix] for kind, matrix in alphas.items()}


def step(world: World, training: Batch, held_out: Batch) -> float:
    """Train the alphas first, then w."""
    world.alpha_step(held_out, rows_of(world.alphas))
    return world.weight_step(training, rows_of({kind: alpha.detach() for kind, alpha in world.alphas.items()}))


def probabilities(matrix: Matrix) -> list[list[float]]:
    rows = []
    for row in matrix:
        total = sum(math.exp(value) for value in row)
        rows.append([math.exp(value) / total for value in row])
    return rows


def cell(matrix: Matrix, operations: Sequence[str], by: str) -> list[tuple[str, int]]:
    """DARTS' derivation without `none`."""
    scores = probabilities(matrix) if by == "probability" else matrix
    return best_two(scores, operations, [[name != "none" for name in operations]] * len(matrix))


def stops_by_skips(normal: Matrix, operations: Sequence[str], limit: int, by: str) -> bool:
    """Criterion 1."""
    return sum(name == "skip_connect" for name, _ in cell(normal, operations, by)) >= limit


def stops_by_ranking(history: Sequence[Matrix], learnable: Sequence[int], reading: str, patience: int, by: str) -> bool:
    """Criterion 2: the ranking did not change in any of the last epochs. `history` starts before the first epoch."""
    unchanged = 0
    for before, after in zip(history[-2::-1], history[:0:-1], strict=True):
        if ranking(before, learnable, reading, by) != ranking(after, learnable, reading, by):
            break
        unchanged += 1
    return unchanged >= patience


def ranking(normal: Matrix, learnable: Sequence[int], reading: str, by: str) -> list[list[int]]:
    """The ranking that must not change."""
    scores = probabilities(normal) if by == "probability" else normal
    if reading == "edges":
        best = [max(row[index] for index in learnable) for row in scores]
        return [sorted(range(len(best)), key=lambda edge: -best[edge])]
    orders = [sorted(learnable, key=lambda index, row=row: -row[index]) for row in scores]  # type: ignore[misc]
    return orders if reading == "operations" else [order[:1] for order in orders]
