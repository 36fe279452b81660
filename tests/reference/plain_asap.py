"""ASAP in plain torch, written from a description of the method. `World.left` is kind -> edge -> operation -> bool."""

from collections.abc import Sequence

from plain_pass import KINDS, Batch, Rows, World, best_two, softmax
from torch import Tensor

Left = dict[str, list[list[bool]]]


def temperature(epoch: float, first: float = 1.6, factor: float = 0.95) -> float:
    return first * factor**epoch


def all_left(operations: int) -> Left:
    return {kind: [[True] * operations for _ in range(14)] for kind in KINDS}


def phi(alphas: Tensor, left: Sequence[bool], temp: float) -> list[tuple[int, Tensor]]:
    """The remaining operations of an edge, with their weights."""
    chosen = [index for index, stays in enumerate(left) if stays]
    return list(zip(chosen, softmax([alphas[index] / temp for index in chosen]), strict=True))


def rows_of(alphas: dict[str, Tensor], left: Left, temp: float) -> Rows:
    return {kind: [phi(matrix[edge], left[kind][edge], temp) for edge in range(14)] for kind, matrix in alphas.items()}


def step(world: World, left: Left, temp: float, grace: float, training: Batch, held_out: Batch) -> float:
    """Train w first, and the alphas only below the grace temperature."""
    loss = world.weight_step(training, rows_of({k: a.detach() for k, a in world.alphas.items()}, left, temp))
    if temp < grace:
        world.alpha_step(held_out, rows_of(world.alphas, left, temp))
    return loss


def prune(world: World, left: Left, temp: float, threshold: float = 0.4, shrinks: bool = False) -> None:
    """Remove all operations of an edge with a weight below threshold / N, all at the same time."""
    for kind, matrix in world.alphas.items():
        for edge in range(14):
            weights = phi(matrix[edge].detach(), left[kind][edge], temp)
            count = len(weights) if shrinks else matrix.shape[1]
            for index, weight in weights:
                if weight.item() < threshold / count:
                    left[kind][edge][index] = False


def ends(left: Left) -> bool:
    return all(sum(edge) == 1 for kind in KINDS for edge in left[kind])


def cell(
    matrix: Sequence[Sequence[float]], left: Sequence[Sequence[bool]], operations: Sequence[str]
) -> list[tuple[str, int]]:
    """Apply DARTS' rule to the remaining operations; every edge must have more than `none`."""
    allowed = [[stays and name != "none" for stays, name in zip(e, operations, strict=True)] for e in left]
    assert all(any(edge) for edge in allowed)
    return best_two(matrix, operations, allowed)
