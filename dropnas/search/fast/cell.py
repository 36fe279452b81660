"""A cell of the supernet, state by state instead of edge by edge.

Design choices: edges that leave the same state share its ReLU, its grids, its poolings and their batch norms, and
what is left of their operations is computed side by side where maps are small, one by one where they are large (they
would not fit into a CPU's cache). Dilated convolutions work on the four grids of the maps, so each node has two sums:
of maps and of grids, which come together once. The same cell of K supernets of equal shape is one cell of K times as
many channels, in which an operation is K modules; one supernet is the case of K = 1.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from dropnas.search.fast.blocks import (
    depthwise_of,
    normed,
    pointwise_of,
    pooled,
    reduced,
    shared_norm,
    side_by_side,
)
from dropnas.search.fast.depthwise import depthwise
from dropnas.search.fast.layout import divides, phases, together
from dropnas.search.fast.mixing import Weights
from dropnas.search.fast.spread import spread
from dropnas.search.fast.tally import Tally
from dropnas.search.supernet import Cell
from dropnas.space.names import INPUTS
from dropnas.space.operations import DilConv, FactorizedReduce, Identity, PoolNorm, SepConv, Zero
from dropnas.space.spaces import NODES, edges

SIDE_BY_SIDE = 2**16  # values of a seed's state up to which the operations on it are computed side by side on a CPU


@dataclass(frozen=True)
class Leaving:
    """The edges that leave a state: their numbers, and the nodes that they lead to, from 0."""

    edges: tuple[int, ...]
    nodes: tuple[int, ...]


def _leaving(state: int) -> Leaving:
    found = [(edge, node - INPUTS) for edge, (node, start) in enumerate(edges()) if start == state]
    return Leaving(tuple(edge for edge, _ in found), tuple(node for _, node in found))


LEAVING = tuple(_leaving(state) for state in range(INPUTS + NODES - 1))


class State:
    """A state of a cell and what all edges that leave it have in common."""

    def __init__(self, maps: Tensor, stride: int, seeds: int) -> None:
        """Take the maps (B, H, W, K * C) of K seeds."""
        self.maps, self.stride, self.seeds = maps, stride, seeds

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
        return self.maps.device.type == "cpu" and self.maps.numel() > SIDE_BY_SIDE * self.seeds


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
    maps = normed(pointwise_of(maps, at[2]), at[3], tally, rectify=True)
    return normed(pointwise_of(depthwise_of(maps, at[5], 1), at[6]), at[7], tally, rows)


def dilated(maps: Tensor, at: Sequence[list[Any]], rows: Sequence[Tensor], tally: Tally) -> Tensor:
    """Dilated convolutions of one kernel size, side by side, after the depthwise one."""
    return normed(pointwise_of(maps, at[2]), at[3], tally, rows)


Rest = Callable[[Tensor, Sequence[list[Any]], Sequence[Tensor], Tally], Tensor]
DEPTHWISE_FIRST: dict[type[nn.Module], Rest] = {SepConv: separable, DilConv: dilated}
SHARED = (PoolNorm, Identity)  # an edge's answer is the same for all edges from a state


class Edge(NamedTuple):
    """An operation on an edge: its modules in K supernets, the node it leads to, its place among the mixing weights."""

    modules: tuple[nn.Module, ...]
    node: int
    place: int

    def is_a(self, *kinds: type[nn.Module]) -> bool:
        """Whether it is an operation of one of these kinds."""
        return isinstance(self.modules[0], kinds)


def mixed_cell(cells: Sequence[Cell], inputs: Sequence[Tensor], weights: Weights, tally: Tally) -> Tensor:
    """The concatenated nodes: (B, H, W, K * NODES * C).

    Args:
        cells: the same one of each of K supernets.
        inputs: the two states after preprocessing: (B, H, W, K * C).
    """
    sums, states, stride = [Sum() for _ in range(NODES)], list(inputs), cells[0].input_stride
    for number, leaving in enumerate(LEAVING):
        if number >= INPUTS:
            states.append(sums[number - INPUTS].total(states[0][:, ::stride, ::stride]))
        state = State(states[number], stride if number < INPUTS else 1, len(cells))
        alike = _alike(cells, leaving, weights)
        _add_shared(state, [equal for equal in alike if equal[0].is_a(*SHARED)], weights, sums, tally)
        for equal in alike:
            if not equal[0].is_a(*SHARED):
                _add(state, equal, weights, sums, tally)
    states.append(sums[-1].total(states[-1]))
    nodes = [node.view(*node.shape[:-1], len(cells), -1) for node in states[INPUTS:]]
    return torch.cat(nodes, dim=-1).flatten(-2)


def _alike(cells: Sequence[Cell], leaving: Leaving, weights: Weights) -> list[list[Edge]]:
    """The computed operations on edges that leave a state, those of one name together; zeros left out."""
    names = cells[0].operations
    groups = {name: list[Edge]() for name in names}  # in one order, whatever is computed
    for edge, node in zip(leaving.edges, leaving.nodes, strict=True):
        operations = zip(*(cell.edges[edge].children() for cell in cells), strict=True)
        for index, modules in enumerate(operations):
            if weights.computed[edge][index] and not isinstance(modules[0], Zero):
                groups[names[index]].append(Edge(modules, node, edge * len(names) + index))
    return [alike for alike in groups.values() if alike]


def _add(state: State, alike: Sequence[Edge], weights: Weights, sums: Sequence[Sum], tally: Tally) -> None:
    """Add operations of one kind, that have weights, to the nodes that they lead to."""
    rows = [weights.rows[edge.place] for edge in alike]
    if alike[0].is_a(FactorizedReduce):
        layers: Any = [edge.modules for edge in alike]
        answers = list(reduced(state.rectified, layers, tally, rows).chunk(len(rows), dim=-1))
    else:
        answers = _convolved(state, alike, rows, tally)
    on_grids = alike[0].is_a(DilConv) and state.on_grids
    for edge, maps in zip(alike, answers, strict=True):
        (sums[edge.node].add_grids if on_grids else sums[edge.node].add)(maps)


def _convolved(state: State, alike: Sequence[Edge], rows: Sequence[Tensor], tally: Tally) -> list[Tensor]:
    """What equal convolutions give, weighted."""
    rest, answers = DEPTHWISE_FIRST[type(alike[0].modules[0])], list[Tensor]()
    parts = [slice(place, place + 1) for place in range(len(alike))] if state.is_large else [slice(None)]
    for part, maps in zip(parts, _begun(state, alike), strict=True):
        answers.extend(rest(maps, _steps(alike[part]), rows[part], tally).chunk(len(rows[part]), dim=-1))
    return answers


def _begun(state: State, alike: Sequence[Edge]) -> list[Tensor]:
    """The first depthwise convolution of equal operations, on what they all read; dilated ones on grids if possible.

    Returns:
        maps of each operation where these are large, else of all side by side.
    """
    dtype = state.maps.dtype
    kernels = [side_by_side([layer.weight for layer in _steps([edge])[1]]).to(dtype) for edge in alike]
    odd = alike[0].is_a(DilConv) and state.stride == 1 and not state.on_grids
    on_grids = alike[0].is_a(DilConv) and not odd
    maps, dilation = state.grids if on_grids else state.rectified, 2 if odd else 1
    found = depthwise(maps, kernels if state.is_large else [side_by_side(kernels)], dilation)
    if alike[0].is_a(SepConv) and state.stride == 2:
        return [maps[:, ::2, ::2].contiguous() for maps in found]
    return list(found)


def _steps(alike: Sequence[Edge]) -> list[list[Any]]:
    """Equal sequences of layers, of operations and in these of seeds, regrouped by place."""
    modules = [module for edge in alike for module in edge.modules]
    return [list(step) for step in zip(*(module.children() for module in modules), strict=True)]


def _add_shared(
    state: State, shared: Sequence[Sequence[Edge]], weights: Weights, sums: Sequence[Sum], tally: Tally
) -> None:
    """Add all operations without weights to the nodes that they lead to."""
    if not shared:
        return
    nodes = sorted({edge.node for alike in shared for edge in alike})
    matrix = []
    for alike in shared:
        column = dict.fromkeys(nodes, weights.zero)
        for edge in alike:  # a space may have an operation several times
            column[edge.node] = column[edge.node] + weights.scalars[edge.place]
        matrix.append(torch.stack(list(column.values()), dim=-1))  # (K, nodes)
    maps = [_answer(state, alike, tally) for alike in shared]
    for node, mixed in zip(nodes, spread(torch.stack(matrix, dim=-1), maps), strict=True):
        sums[node].add(mixed)


def _answer(state: State, alike: Sequence[Edge], tally: Tally) -> Tensor:
    """What equal operations without weights all give."""
    if alike[0].is_a(Identity):
        return state.maps
    pool, *_ = alike[0].modules[0].children()
    norms: Any = [[list(module.children())[1] for module in edge.modules] for edge in alike]
    return shared_norm(pooled(state.maps, pool), norms, tally)
