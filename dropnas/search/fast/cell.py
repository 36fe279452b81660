"""A cell of the supernet, state by state instead of edge by edge.

Design choices: edges that leave the same state share its ReLU, its grids, its poolings and their batch norms, and
what is left of their operations is computed side by side where maps are small, one by one where they are large (they
would not fit into a CPU's cache). Dilated convolutions work on the four grids of the maps, so each node has two sums:
of maps and of grids, which come together once.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from dropnas.search.fast.blocks import (
    Tally,
    depthwise_of,
    normed,
    pointwise,
    pooled,
    reduced,
    repeated,
    shared_norm,
    side_by_side,
)
from dropnas.search.fast.depthwise import depthwise
from dropnas.search.fast.layout import divides, phases, together
from dropnas.search.fast.spread import spread
from dropnas.search.supernet import Cell
from dropnas.space.names import INPUTS
from dropnas.space.operations import DilConv, FactorizedReduce, Identity, PoolNorm, SepConv, Zero
from dropnas.space.spaces import NODES, edges

SIDE_BY_SIDE = 2**16  # values of a state up to which the operations on it are computed side by side on a CPU


@dataclass(frozen=True)
class Leaving:
    """The edges that leave a state: their numbers, and the nodes that they lead to, from 0."""

    edges: tuple[int, ...]
    nodes: tuple[int, ...]


def _leaving(state: int) -> Leaving:
    found = [(edge, node - INPUTS) for edge, (node, start) in enumerate(edges()) if start == state]
    return Leaving(tuple(edge for edge, _ in found), tuple(node for _, node in found))


LEAVING = tuple(_leaving(state) for state in range(INPUTS + NODES - 1))


@dataclass(frozen=True)
class Weights:
    """The mixing weights of a cell.

    Attributes:
        scalars: of each edge and operation, flat.
        rows: the same, each repeated for C channels: (C,).
        computed: for each edge, which operations are computed.
    """

    scalars: Sequence[Tensor] | dict[int, Tensor]
    rows: Sequence[Tensor] | dict[int, Tensor]
    computed: Sequence[Sequence[bool]]

    @property
    def zero(self) -> Tensor:
        """A weight of nothing."""
        return next(iter(self.rows.values() if isinstance(self.rows, dict) else self.rows)).new_zeros(())


class State:
    """A state of a cell and what all edges that leave it have in common."""

    def __init__(self, maps: Tensor, stride: int) -> None:
        self.maps, self.stride = maps, stride

    @cached_property
    def rectified(self) -> Tensor:
        """After ReLU."""
        return functional.relu(self.maps)

    @cached_property
    def grids(self) -> Tensor:
        """Where a convolution of dilation 2 is an undilated one: the even grid for stride 2, else all four."""
        return self.rectified[:, ::2, ::2].contiguous() if self.stride == 2 else phases(self.rectified)

    @property
    def on_grids(self) -> bool:
        """Whether dilated convolutions give their answer on four grids."""
        return self.stride == 1 and divides(self.maps)

    @property
    def is_large(self) -> bool:
        """Whether operations are computed one by one rather than side by side."""
        return self.maps.device.type == "cpu" and self.maps.numel() > SIDE_BY_SIDE


class Sum:
    """What a node adds up: maps, and grids of maps."""

    def __init__(self) -> None:
        self.maps: Tensor | None = None
        self.grids: Tensor | None = None

    def add(self, maps: Tensor) -> None:
        """Add an operation's answer."""
        self.maps = _added(self.maps, maps)

    def add_grids(self, grids: Tensor) -> None:
        """Add one that lies on four grids."""
        self.grids = _added(self.grids, grids)

    def total(self, like: Tensor) -> Tensor:
        """All of it; zeros where only zero operations were kept."""
        if self.grids is not None:
            self.add(together(self.grids))
        return torch.zeros_like(like) if self.maps is None else self.maps


def _added(total: Tensor | None, term: Tensor) -> Tensor:
    return term if total is None else total + term


def separable(maps: Tensor, at: Sequence[list[Any]], rows: Sequence[Tensor], tally: Tally) -> Tensor:
    """Separable convolutions of one kernel size, side by side, after the first depthwise one."""
    maps = normed(pointwise(maps, at[2]), at[3], tally, rectify=True)
    return normed(pointwise(depthwise_of(maps, at[5], 1), at[6]), at[7], tally, rows)


def dilated(maps: Tensor, at: Sequence[list[Any]], rows: Sequence[Tensor], tally: Tally) -> Tensor:
    """Dilated convolutions of one kernel size, side by side, after the depthwise one."""
    return normed(pointwise(maps, at[2]), at[3], tally, rows)


Rest = Callable[[Tensor, Sequence[list[Any]], Sequence[Tensor], Tally], Tensor]
DEPTHWISE_FIRST: dict[type[nn.Module], Rest] = {SepConv: separable, DilConv: dilated}
SHARED = (PoolNorm, Identity)  # an edge's answer is the same for all edges from a state


def begun(state: State, layers: Sequence[nn.Module]) -> list[Tensor]:
    """The first depthwise convolution of equal operations, on what they all read; dilated ones on grids if possible.

    Returns:
        maps of each operation where these are large, else of all side by side.
    """
    kernels: list[Any] = [list(layer.children())[1].weight for layer in layers]
    odd = isinstance(layers[0], DilConv) and state.stride == 1 and not state.on_grids
    on_grids = isinstance(layers[0], DilConv) and not odd
    maps, dilation = state.grids if on_grids else state.rectified, 2 if odd else 1
    if state.is_large:
        found = depthwise(maps, kernels, dilation)
    else:
        found = depthwise(repeated(maps, len(layers)), [side_by_side(kernels)], dilation)
    if isinstance(layers[0], SepConv) and state.stride == 2:
        return [maps[:, ::2, ::2].contiguous() for maps in found]
    return list(found)


def _steps(layers: Sequence[nn.Module]) -> list[list[Any]]:
    """Equal sequences of layers, regrouped by place."""
    return [list(step) for step in zip(*(layer.children() for layer in layers), strict=True)]


class Edge(NamedTuple):
    """An operation on an edge: its module, the node it leads to, its place among the mixing weights."""

    operation: nn.Module
    node: int
    place: int


def mixed_cell(cell: Cell, inputs: Sequence[Tensor], weights: Weights, tally: Tally) -> Tensor:
    """The concatenated nodes: (B, H, W, NODES * C); `inputs` are the two states after preprocessing."""
    sums, states = [Sum() for _ in range(NODES)], list(inputs)
    for number, leaving in enumerate(LEAVING):
        if number >= INPUTS:
            states.append(sums[number - INPUTS].total(states[0][:, :: cell.input_stride, :: cell.input_stride]))
        state = State(states[number], cell.input_stride if number < INPUTS else 1)
        alike = _alike(cell, leaving, weights)
        shared = [equal for equal in alike if isinstance(equal[0].operation, SHARED)]
        _add_shared(state, shared, weights, sums, tally)
        for equal in alike:
            if not isinstance(equal[0].operation, SHARED):
                _add(state, equal, weights, sums, tally)
    states.append(sums[-1].total(states[-1]))
    return torch.cat(states[INPUTS:], dim=-1)


def _alike(cell: Cell, leaving: Leaving, weights: Weights) -> list[list[Edge]]:
    """The computed operations on edges that leave a state, those of one name together; zeros left out."""
    groups: dict[str, list[Edge]] = {}
    for edge, node in zip(leaving.edges, leaving.nodes, strict=True):
        for index, operation in enumerate(cell.edges[edge].children()):
            if weights.computed[edge][index] and not isinstance(operation, Zero):
                place = edge * len(cell.operations) + index
                groups.setdefault(cell.operations[index], []).append(Edge(operation, node, place))
    return list(groups.values())


def _add(state: State, alike: Sequence[Edge], weights: Weights, sums: Sequence[Sum], tally: Tally) -> None:
    """Add operations of one kind, that have weights, to the nodes that they lead to."""
    layers: list[Any] = [edge.operation for edge in alike]
    rows = [weights.rows[edge.place] for edge in alike]
    if isinstance(layers[0], FactorizedReduce):
        answers = list(reduced(state.rectified, layers, tally, rows).chunk(len(rows), dim=-1))
    else:
        answers = _convolved(state, layers, rows, tally)
    on_grids = isinstance(layers[0], DilConv) and state.on_grids
    for edge, maps in zip(alike, answers, strict=True):
        (sums[edge.node].add_grids if on_grids else sums[edge.node].add)(maps)


def _convolved(state: State, layers: Sequence[nn.Module], rows: Sequence[Tensor], tally: Tally) -> list[Tensor]:
    """What equal convolutions give, weighted."""
    rest, answers = DEPTHWISE_FIRST[type(layers[0])], list[Tensor]()
    parts = [slice(place, place + 1) for place in range(len(layers))] if state.is_large else [slice(None)]
    for part, maps in zip(parts, begun(state, layers), strict=True):
        answers.extend(rest(maps, _steps(layers[part]), rows[part], tally).chunk(len(rows[part]), dim=-1))
    return answers


def _add_shared(
    state: State, shared: Sequence[Sequence[Edge]], weights: Weights, sums: Sequence[Sum], tally: Tally
) -> None:
    """Add all operations without weights to the nodes that they lead to."""
    if not shared:
        return
    nodes = sorted({edge.node for alike in shared for edge in alike})
    zero = weights.zero
    matrix = []
    for alike in shared:
        column = dict.fromkeys(nodes, zero)
        for edge in alike:  # a space may have an operation several times
            column[edge.node] = column[edge.node] + weights.scalars[edge.place]
        matrix.append(torch.stack(list(column.values())))
    maps = [_answer(state, [edge.operation for edge in alike], tally) for alike in shared]
    for node, mixed in zip(nodes, spread(torch.stack(matrix, dim=1), maps), strict=True):
        sums[node].add(mixed)


def _answer(state: State, operations: Sequence[nn.Module], tally: Tally) -> Tensor:
    """What equal operations without weights all give."""
    if isinstance(operations[0], Identity):
        return state.maps
    pool, *norms = zip(*(operation.children() for operation in operations), strict=True)
    return shared_norm(pooled(state.maps, pool[0]), norms[0], tally)
