"""Random search with weight sharing in plain torch, written from a description of the method.

An architecture is (normal, reduce), each a dictionary edge -> operation with eight edges, two for each node.
"""

from collections.abc import Sequence

import torch
from plain_pass import EDGE_LIST, KINDS, Batch, Rows, World

Architecture = tuple[dict[int, int], dict[int, int]]


def check(architecture: Architecture) -> None:
    """Check that each node has two different predecessors."""
    for cell in architecture:
        assert [sum(EDGE_LIST[edge][0] == node for edge in cell) for node in (2, 3, 4, 5)] == [2] * 4


def rows_of(architecture: Architecture, operations: int, zero: int, everything: bool = False) -> Rows:
    """The operation of each edge with weight 1; edges that are left out get zero.

    With `everything` all operations are computed and multiplied by 1 or 0, as in the authors' code.
    """
    rows: Rows = {}
    for kind, cell in zip(KINDS, architecture, strict=True):
        rows[kind] = []
        for edge in range(14):
            if everything:
                chosen = [(index, torch.tensor(float(cell.get(edge) == index))) for index in range(operations)]
            else:
                chosen = [(cell.get(edge, zero), torch.tensor(1.0))]
            rows[kind].append(chosen)
    return rows


def error(world: World, architecture: Architecture, batches: Sequence[Batch], operations: int, zero: int) -> float:
    """The error in evaluation mode, with the running statistics of the shared batch norms."""
    world.supernet.eval()
    wrong = total = 0
    with torch.no_grad():
        for images, labels in batches:
            logits = world.supernet(images, world.of_cells(rows_of(architecture, operations, zero)))
            wrong += sum(int(row.argmax()) != int(label) for row, label in zip(logits, labels, strict=True))
            total += len(labels)
    world.supernet.train()
    return wrong / total


def select(
    scores: Sequence[Sequence[float]], finals: Sequence[Sequence[float]], finalists: int
) -> tuple[int, int, float]:
    """The round, the index and the error of the best architecture.

    Args:
        scores: for each round, the errors of its architectures on a few batches.
        finals: for each round, the errors of its architectures on all held-out images.
    """
    best: tuple[float, int, int, int] | None = None
    for number, of_round in enumerate(scores):
        ranked = sorted(range(len(of_round)), key=lambda index, errors=of_round: errors[index])[:finalists]  # type: ignore[misc]
        for rank, index in enumerate(ranked):
            found = (finals[number][index], number, rank, index)
            if best is None or found[0] < best[0]:
                best = found
    assert best is not None
    return best[1], best[3], best[0]
