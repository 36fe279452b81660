"""A cell of the supernet, computed state by state instead of edge by edge.

Design choices: edges that leave the same state share its ReLU, its grids (see `layout`), its poolings and the batch
norms of these poolings. Their other operations are computed side by side, by torch's kernels or by those of a backend.
The same cell of K supernets with the same structure is computed as one cell with K times as many channels, in which
each operation consists of K modules. A single supernet is the case K = 1.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from dropnas.search.engine.blocks import depthwise_of, normed, pointwise_of, pooled, reduced, shared_norm, side_by_side
from dropnas.search.engine.depthwise import depthwise
from dropnas.search.engine.edges import (
    LEAVING,
    Alike,
    AllChannels,
    CellState,
    EdgeOperation,
    LeavingEdges,
    Shared,
    Sum,
    steps,
)
from dropnas.search.engine.mixing_weights import MixingWeights
from dropnas.search.engine.parameter_free import mix_parameter_free
from dropnas.search.engine.running_statistics import RunningStatistics
from dropnas.search.engine.users_operations import called
from dropnas.search.supernet import SupernetCell
from dropnas.space.names import INPUTS
from dropnas.space.operations import DilConv, FactorizedReduce, Identity, PoolNorm, SepConv, Zero
from dropnas.space.spaces import NODES


def separable(
    maps: Tensor, layers: Sequence[list[Any]], rows: Sequence[Tensor], statistics: RunningStatistics
) -> Tensor:
    """Apply the layers that follow the first depthwise convolution, for separable convolutions of one kernel size."""
    maps = normed(pointwise_of(maps, layers[2]), layers[3], statistics, rectify=True)
    return normed(pointwise_of(depthwise_of(maps, layers[5], 1), layers[6]), layers[7], statistics, rows)


def dilated(maps: Tensor, layers: Sequence[list[Any]], rows: Sequence[Tensor], statistics: RunningStatistics) -> Tensor:
    """Apply the layers that follow the depthwise convolution, for dilated convolutions of one kernel size."""
    return normed(pointwise_of(maps, layers[2]), layers[3], statistics, rows)


Rest = Callable[[Tensor, Sequence[list[Any]], Sequence[Tensor], RunningStatistics], Tensor]
DEPTHWISE_FIRST: dict[type[nn.Module], Rest] = {SepConv: separable, DilConv: dilated}
Backend = Callable[[CellState, Sequence[Alike], Shared, MixingWeights, Sequence[Sum], RunningStatistics], None]
SAME_ON_ALL_EDGES = (PoolNorm, Identity)  # their output is the same on all edges from a state


def mixed_cell(
    cells: Sequence[SupernetCell],
    inputs: Sequence[Tensor],
    weights: MixingWeights,
    statistics: RunningStatistics,
    backend: Backend | None,
    channels: AllChannels,
) -> Tensor:
    """The concatenated nodes of a cell: (B, H, W, K * NODES * C).

    Args:
        cells: the same cell of each of K supernets.
        inputs: the two states after preprocessing: (B, H, W, K * C).
        backend: replaces torch's kernels for the convolutions on the edges that leave a state, and mixes the outputs
            that are the same on all these edges. It is used only if all operations on these edges are computed.
        channels: selects the channels of a state that go through the operations.
    """
    sums, states, stride = [Sum() for _ in range(NODES)], list(inputs), cells[0].input_stride
    for number, leaving in enumerate(LEAVING):
        state = CellState(channels.entering(number, states[number]), stride if number < INPUTS else 1, len(cells))
        if weights.paths is None:
            _leave(cells, leaving, state, weights, sums, statistics, backend)
        else:
            of_edges = [Sum() for _ in range(NODES)]
            _leave(cells, leaving, state, weights, of_edges, statistics, backend)
            for edge, node in leaving:
                sums[node].add_path(of_edges[node], edge, weights)
        if (node := number - INPUTS + 1) >= 0:  # all edges to this node are summed
            states.append(channels.node(node, sums[node].total(state.maps[:, :: state.stride, :: state.stride])))
    nodes = [node.view(*node.shape[:-1], len(cells), -1) for node in states[INPUTS:]]
    return torch.cat(nodes, dim=-1).flatten(-2)


def _leave(
    cells: Sequence[SupernetCell],
    leaving: LeavingEdges,
    state: CellState,
    weights: MixingWeights,
    sums: Sequence[Sum],
    statistics: RunningStatistics,
    backend: Backend | None,
) -> None:
    """Add the outputs of the edges that leave a state to the nodes that they lead to."""
    shared, others = _parted(_alike(cells, leaving, weights), SAME_ON_ALL_EDGES)
    answers = _shared(state, shared, cells[0].operations, weights, statistics)
    convolutions, rest = _parted(others, tuple(DEPTHWISE_FIRST))
    if backend and convolutions and all(all(weights.computed[edge]) for edge, _ in leaving):
        backend(state, convolutions, answers, weights, sums, statistics)
        others = rest
    elif shared:
        for node, maps in zip(answers.nodes, mix_parameter_free(answers.weights, answers.maps), strict=True):
            sums[node].add(maps)
    for alike in others:
        _add(state, alike, weights, sums, statistics)


def _alike(cells: Sequence[SupernetCell], leaving: LeavingEdges, weights: MixingWeights) -> list[Alike]:
    """Group the computed operations by name, on the edges that leave a state. `Zero` operations are left out."""
    names = cells[0].operations
    groups = {name: list[EdgeOperation]() for name in names}  # the order does not depend on what is computed
    for edge, node in leaving:
        operations = zip(*(cell.edges[edge].children() for cell in cells), strict=True)
        for index, modules in enumerate(operations):
            found = EdgeOperation(modules, node, edge * len(names) + index, names[index])
            if weights.computed[edge][index] and not found.is_a(Zero):
                groups[found.name].append(found)
    return [alike for alike in groups.values() if alike]


def _parted(operations: Sequence[Alike], kinds: tuple[type[nn.Module], ...]) -> tuple[list[Alike], list[Alike]]:
    """Split the operations into those of the given kinds and all others."""
    found = [alike for alike in operations if alike[0].is_a(*kinds)]
    return found, [alike for alike in operations if not alike[0].is_a(*kinds)]


def _add(
    state: CellState,
    alike: Sequence[EdgeOperation],
    weights: MixingWeights,
    sums: Sequence[Sum],
    statistics: RunningStatistics,
) -> None:
    """Add the outputs of operations of one name to the nodes that their edges lead to."""
    rows = [weights.scale(edge.slot) for edge in alike]
    if alike[0].is_opaque:
        answers = [
            called(edge.modules, state.maps, state.stride, edge.name) * row.to(state.maps.dtype)
            for edge, row in zip(alike, rows, strict=True)
        ]
    else:
        answers = list(_side_by_side(state, alike, rows, statistics).chunk(len(rows), dim=-1))
    on_grids = alike[0].is_a(DilConv) and state.on_grids
    for edge, maps in zip(alike, answers, strict=True):
        (sums[edge.node].add_grids if on_grids else sums[edge.node].add)(maps)


def _side_by_side(
    state: CellState, alike: Sequence[EdgeOperation], rows: Sequence[Tensor], statistics: RunningStatistics
) -> Tensor:
    """The weighted outputs of known operations with the same name, side by side in the channels."""
    if alike[0].is_a(FactorizedReduce):
        layers: Any = [edge.modules for edge in alike]
        return reduced(state.rectified, layers, statistics, rows)
    return DEPTHWISE_FIRST[type(alike[0].modules[0])](_begun(state, alike), steps(alike), rows, statistics)


def _begun(state: CellState, alike: Sequence[EdgeOperation]) -> Tensor:
    """The first depthwise convolutions of operations with the same name; dilated ones work on grids if possible."""
    kernels = side_by_side([layer.weight for layer in steps(alike)[1]]).to(state.maps.dtype)
    odd = alike[0].is_a(DilConv) and state.stride == 1 and not state.on_grids
    on_grids = alike[0].is_a(DilConv) and not odd
    maps = depthwise(state.grids if on_grids else state.rectified, kernels, 2 if odd else 1)
    return maps[:, ::2, ::2].contiguous() if alike[0].is_a(SepConv) and state.stride == 2 else maps


def _shared(
    state: CellState,
    shared: Sequence[Alike],
    names: Sequence[str],
    weights: MixingWeights,
    statistics: RunningStatistics,
) -> Shared:
    """The outputs of all operations without parameters, and their mixing weights on each edge."""
    nodes = {edge.node: edge.slot // len(names) for alike in shared for edge in alike}  # the edge to each node
    entries = [[_slots(names, alike[0].name, nodes[node]) for alike in shared] for node in sorted(nodes)]
    maps = [_answer(state, alike, statistics) for alike in shared]
    return Shared(sorted(nodes), weights.matrix(entries), maps)


def _slots(names: Sequence[str], name: str, edge: int) -> list[int]:
    """The slots of an operation on an edge; a space may contain the operation several times."""
    return [edge * len(names) + index for index, each in enumerate(names) if each == name]


def _answer(state: CellState, alike: Sequence[EdgeOperation], statistics: RunningStatistics) -> Tensor:
    """The common output of operations that have the same name and no parameters."""
    if alike[0].is_a(Identity):
        return state.maps
    pool, *_ = alike[0].modules[0].children()
    norms: Any = [[list(module.children())[1] for module in edge.modules] for edge in alike]
    return shared_norm(pooled(state.maps, pool), norms, statistics)
