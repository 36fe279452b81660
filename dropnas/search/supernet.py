"""The plain supernet (Sections 2.1 and 4.2), written to be read alongside the paper.

Design choices: the modules, and therefore `parameters()`, are in this order: the stem, the cells, the classifier. Each
cell begins with its two preprocessing operations, followed by its edges, ordered by node and predecessor. The
operations on an edge are in the order of the space. Dropped operations are not computed. The alphas are not part of the
supernet: a forward pass takes the mixing weights. Batch norms in operations, after poolings and in the preprocessing
have no affine parameters. As in DARTS, the stem's batch norm does have affine parameters.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from dropnas.search.architecture import Alphas, Mixture, mixtures
from dropnas.space.names import INPUTS
from dropnas.space.operations import FactorizedReduce, ReLUConvBN, make_operation
from dropnas.space.spaces import NODES, SearchSpace, edges

SUPERNET_STEM_MULTIPLIER = 3
NORMAL, REDUCE = 0, 1


def cell_kinds(cells: int) -> tuple[int, ...]:
    """The kind of each cell, NORMAL or REDUCE; reduction cells are at one third and two thirds of the depth."""
    return tuple(REDUCE if cell in (cells // 3, 2 * cells // 3) else NORMAL for cell in range(cells))


class MixedOperation(nn.ModuleList):
    """An edge with all candidate operations, in the order of the search space."""

    def __init__(self, space: SearchSpace, channels: int, stride: int) -> None:
        super().__init__(
            make_operation(name, channels, stride, affine=False, pool_norm=True) for name in space.operations
        )
        self.channels = channels

    def forward(self, state: Tensor, kept: Sequence[tuple[int, Tensor]]) -> Tensor:
        """Eq. 1: the sum of p_o * o(x) over the kept operations, given as pairs (index, p_o)."""
        return sum_of([weight * self[index](state) for index, weight in kept])


EdgeFactory = Callable[[SearchSpace, int, int], MixedOperation]  # (space, channels of a node, stride)


class SupernetCell(nn.Module):
    """A cell with all candidate operations on all of its edges."""

    def __init__(
        self,
        space: SearchSpace,
        before: int,
        last: int,
        channels: int,
        kind: int,
        halved_before: bool,
        edge: EdgeFactory,
    ) -> None:
        """Build a cell.

        Args:
            before: number of channels in the output of the cell before the previous one.
            last: number of channels in the output of the previous cell.
            channels: number of channels of each node; the output has NODES times as many channels.
            kind: NORMAL or REDUCE. In a reduction cell, the edges from the inputs have stride 2.
            halved_before: whether the previous cell is a reduction cell. Its output then has half the height and width
                of the output of the cell before it.
        """
        super().__init__()
        self.preprocess0: nn.Module = (
            FactorizedReduce(before, channels, affine=False)
            if halved_before
            else ReLUConvBN(before, channels, 1, 1, 0, affine=False)
        )
        self.preprocess1 = ReLUConvBN(last, channels, 1, 1, 0, affine=False)
        self.operations, self.input_stride = space.operations, 2 if kind == REDUCE else 1
        strides = [self.input_stride if predecessor < INPUTS else 1 for _, predecessor in edges()]
        self.edges = nn.ModuleList(edge(space, channels, stride) for stride in strides)

    def forward(self, before: Tensor, last: Tensor, mixture: Mixture) -> Tensor:
        """The concatenated nodes: (B, NODES * channels, H, W); a reduction halves H and W."""
        states = [self.preprocess0(before), self.preprocess1(last)]
        mixed = zip(self.edges, mixture, strict=True)
        for _ in range(NODES):
            incoming = [(state, *next(mixed)) for state in states]
            states.append(sum_of([edge(state, kept) for state, edge, kept in incoming]))
        return torch.cat(states[INPUTS:], dim=1)


def sum_of(terms: Sequence[Tensor]) -> Tensor:
    """Add the terms from left to right."""
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


class Supernet(nn.Module):
    """The one-shot model: all candidate operations on all edges of all cells."""

    def __init__(
        self, space: SearchSpace, channels: int, cells: int, classes: int, edge: EdgeFactory = MixedOperation
    ) -> None:
        """Build the supernet; `channels` is C, the initial number of channels of a node. Each reduction doubles it."""
        super().__init__()
        self.kinds = cell_kinds(cells)
        width = SUPERNET_STEM_MULTIPLIER * channels
        self.stem = nn.Sequential(nn.Conv2d(3, width, 3, padding=1, bias=False), nn.BatchNorm2d(width))
        stack: list[SupernetCell] = []
        before, last, halved_before = width, width, False
        for kind in self.kinds:
            channels *= 2 if kind == REDUCE else 1
            stack.append(SupernetCell(space, before, last, channels, kind, halved_before, edge))
            before, last, halved_before = last, NODES * channels, kind == REDUCE
        self.cells = nn.ModuleList(stack)
        self.classifier = nn.Linear(last, classes)

    def forward(self, images: Tensor, mixture: Sequence[Mixture]) -> Tensor:
        """Logits (B, classes) of images (B, 3, H, W); one mixture for each cell."""
        before = last = self.stem(images)
        for cell, of_cell in zip(self.cells, mixture, strict=True):
            before, last = last, cell(before, last, of_cell)
        logits: Tensor = self.classifier(last.mean(dim=(2, 3)))
        return logits

    def mix(self, images: Tensor, alphas: Alphas, kept: Tensor) -> Tensor:
        """Logits (B, classes) of images (B, 3, H, W); the alphas weight the kept operations.

        `kept` is a bool mask (cells, edges, operations).
        """
        logits: Tensor = self(images, mixtures(alphas, kept, self.kinds))
        return logits

    @property
    def edges_and_operations(self) -> tuple[int, int]:
        """The number of edges in a cell, and the number of operations on an edge."""
        first: Any = self.cells[0]
        return len(first.edges), len(first.operations)

    def operations(self) -> Iterator[tuple[str, nn.Module]]:
        """All operations with their names, in the order (cell, edge, operation)."""
        cells: Any = self.cells
        for cell in cells:
            for edge in cell.edges:
                yield from zip(cell.operations, edge, strict=True)

    @property
    def slots(self) -> list[int | None]:
        """The flat index (cell, edge, operation) of each weight's operation, in the order of `parameters()`.

        It is None for weights that are not on an edge.
        """
        operations = enumerate(operation for _, operation in self.operations())
        slot_of = {id(weight): slot for slot, operation in operations for weight in operation.parameters()}
        return [slot_of.get(id(weight)) for weight in self.parameters()]
