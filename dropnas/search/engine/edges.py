"""The states of a cell, the edges that leave these states, and the sums that form the nodes.

Design choices: all edges that leave a state need its ReLU and its four grids (see `layout`), which are therefore
computed once, on first use. Dilated convolutions work on the grids, so a node has two sums, one over maps and one over
grids, which are combined at the end.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from dropnas.search.engine.layout import divides, from_grids, to_grids
from dropnas.search.engine.mixing_weights import MixingWeights
from dropnas.search.engine.users_operations import is_opaque
from dropnas.space.names import INPUTS
from dropnas.space.spaces import NODES, edges

LeavingEdges = list[tuple[int, int]]  # the edges that leave a state: (edge, node that it leads to, counted from 0)
LEAVING: list[LeavingEdges] = [
    [(edge, node - INPUTS) for edge, (node, start) in enumerate(edges()) if start == state]
    for state in range(INPUTS + NODES - 1)
]


class CellState:
    """A state of a cell, with everything that the edges from it share."""

    def __init__(self, maps: Tensor, stride: int, seeds: int) -> None:
        """Create a state from its maps (B, H, W, K * C) for K seeds."""
        self.maps, self.stride, self.seeds = maps, stride, seeds

    @cached_property
    def rectified(self) -> Tensor:
        """The maps after ReLU."""
        return functional.relu(self.maps)

    @cached_property
    def grids(self) -> Tensor:
        """The maps to which undilated convolutions are applied in place of convolutions with dilation 2.

        These are the even grid at stride 2, and all four grids otherwise.
        """
        return self.rectified[:, ::2, ::2].contiguous() if self.stride == 2 else to_grids(self.rectified)

    @property
    def on_grids(self) -> bool:
        """Whether the output of dilated convolutions is stored as four grids."""
        return self.stride == 1 and divides(self.maps)


class AllChannels:
    """Defines which channels of a state go through the operations, and how nodes are formed.

    In this class, all channels go through the operations.
    """

    def entering(self, state: int, maps: Tensor) -> Tensor:
        """The channels (B, H, W, K * C') of a state (B, H, W, K * C) that go through the operations."""
        return maps

    def node(self, node: int, maps: Tensor) -> Tensor:
        """Form a node (B, H, W, K * C) from the sum of its operations (B, H, W, K * C'). Nodes are counted from 0."""
        return maps


class Sum:
    """The sum that forms a node. Maps and grids are added up separately."""

    def __init__(self) -> None:
        self.maps: Tensor | None = None
        self.grids: Tensor | None = None

    def add(self, maps: Tensor) -> None:
        """Add an operation's output."""
        self.maps = _added(self.maps, maps)

    def add_grids(self, grids: Tensor) -> None:
        """Add an output that is stored as four grids."""
        self.grids = _added(self.grids, grids)

    def add_path(self, edge: "Sum", number: int, weights: MixingWeights) -> None:
        """Add the output of an edge, with each image multiplied by its factor."""
        if edge.maps is not None:
            self.add(edge.maps * weights.path(number, edge.maps))
        if edge.grids is not None:
            self.add_grids(edge.grids * weights.path(number, edge.grids))

    def total(self, like: Tensor) -> Tensor:
        """The total sum; zeros if nothing was added."""
        if self.grids is not None:
            self.add(from_grids(self.grids))
        return torch.zeros_like(like) if self.maps is None else self.maps


def _added(total: Tensor | None, term: Tensor) -> Tensor:
    return term if total is None else total + term


class EdgeOperation(NamedTuple):
    """An operation on an edge."""

    modules: tuple[nn.Module, ...]  # the operation's module in each of K supernets
    node: int  # the node that the edge leads to, counted from 0
    slot: int  # index of its weight among the mixing weights
    name: str  # name of the operation in the search space

    def is_a(self, *kinds: type[nn.Module]) -> bool:
        """Whether the engine knows the operation and the operation is an instance of one of these classes."""
        return not self.is_opaque and isinstance(self.modules[0], kinds)

    @property
    def is_opaque(self) -> bool:
        """Whether the operation is unknown to the engine, which then calls its modules unchanged."""
        return is_opaque(self.name, self.modules[0])


Alike = Sequence[EdgeOperation]  # operations of one name


class Shared(NamedTuple):
    """Outputs of operations without parameters; each output is the same for all edges from a state."""

    nodes: Sequence[int]  # the nodes that the edges lead to, counted from 0
    weights: Tensor  # mixing weights, (K, edges, operations)
    maps: Sequence[Tensor]  # the output of each operation, (B, H, W, K * C)


def steps(alike: Sequence[EdgeOperation]) -> list[list[Any]]:
    """Regroup the modules of operations with the same name: one list for each layer, over all operations and seeds."""
    modules = [module for edge in alike for module in edge.modules]
    return [list(step) for step in zip(*(module.children() for module in modules), strict=True)]
