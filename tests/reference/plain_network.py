"""A supernet as a plain function of a flat list of weights, for references whose edges differ from DropNAS'.

It shares nothing with the package. The caller provides the function that computes an edge, so each method writes out
its own. The order of the weights is stem; in each cell the two preprocessing operations, then the edges (node,
predecessor), on each edge the operations in the order of the space; classifier.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence

import torch
from plain_dropnas import EDGE_LIST, halve, parameters_of, whiten
from torch import Tensor
from torch.nn import functional

KINDS = ("normal", "reduce")
Weights = list[list[Tensor]]  # of an edge: the weights of each of its operations
Edge = Callable[[int, int, Tensor, int, Weights], Tensor]  # (cell, edge, state, stride, weights)


def kind_of(cell: int, cells: int) -> str:
    """The kind of a cell; reductions are at one third and two thirds of the depth."""
    return "reduce" if cell in (cells // 3, 2 * cells // 3) else "normal"


def logits_of(
    weights: Sequence[Tensor], operations: Sequence[str], cells: int, images: Tensor, edge_of: Edge
) -> Tensor:
    """Logits (B, classes) of images (B, 3, H, W)."""
    stream: Iterator[Tensor] = iter(weights)

    def take(count: int) -> list[Tensor]:
        return list(itertools.islice(stream, count))

    convolution, scale, shift = take(3)
    stem = whiten(functional.conv2d(images, convolution, padding=1)) * scale.view(1, -1, 1, 1) + shift.view(1, -1, 1, 1)
    before = last = stem
    for cell in range(cells):
        halved = cell > 0 and kind_of(cell - 1, cells) == "reduce"
        first = halve(before, *take(2)) if halved else whiten(functional.conv2d(before.clamp(min=0), take(1)[0]))
        nodes = [first, whiten(functional.conv2d(last.clamp(min=0), take(1)[0]))]
        for node in (2, 3, 4, 5):
            incoming = []
            for source in range(node):
                stride = 2 if kind_of(cell, cells) == "reduce" and source < 2 else 1
                mine = [take(parameters_of(name, stride)) for name in operations]
                incoming.append(edge_of(cell, EDGE_LIST.index((node, source)), nodes[source], stride, mine))
            nodes.append(torch.stack(incoming).sum(dim=0))
        before, last = last, torch.cat(nodes[2:], dim=1)
    matrix, bias = take(2)
    assert next(stream, None) is None, "weights are left over"
    return last.mean(dim=(2, 3)) @ matrix.T + bias


def softmax_over(row: Tensor, kept: Sequence[bool]) -> list[Tensor | None]:
    """The softmax over the kept operations of an edge; None for the others."""
    exponentials = {index: torch.exp(row[index]) for index in range(len(row)) if kept[index]}
    total = torch.stack(list(exponentials.values())).sum()
    return [exponentials[index] / total if kept[index] else None for index in range(len(row))]
