"""The states of a cell, the edges that leave them, and what the nodes add up.

Design choices: what the edges from a state have in common (its ReLU, its grids) is computed once, when it is first
asked for. Dilated convolutions work on the four grids of the maps, so a node has two sums: of maps and of grids, which
are added once.
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

Leaving = list[tuple[int, int]]  # the edges that leave a state: their numbers, and the nodes that they lead to, from 0
LEAVING: list[Leaving] = [
    [(edge, node - INPUTS) for edge, (node, start) in enumerate(edges()) if start == state]
    for state in range(INPUTS + NODES - 1)
]


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
        """Where a convolution of dilation 2 is undilated: on the even grid for stride 2, otherwise on all four."""
        return self.rectified[:, ::2, ::2].contiguous() if self.stride == 2 else to_grids(self.rectified)

    @property
    def on_grids(self) -> bool:
        """Whether dilated convolutions give their output on four grids."""
        return self.stride == 1 and divides(self.maps)


class AllChannels:
    """How states enter the operations of a cell, and what a node is: all channels go through the operations."""

    def entering(self, state: int, maps: Tensor) -> Tensor:
        """The channels (B, H, W, K * C') of a state (B, H, W, K * C) that go through the operations."""
        return maps

    def node(self, node: int, maps: Tensor) -> Tensor:
        """A node (B, H, W, K * C), counted from 0, of the sum of its operations (B, H, W, K * C')."""
        return maps


class Sum:
    """What a node adds up: maps, and grids of maps."""

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
        """Add what an edge gives, each image times its factor."""
        if edge.maps is not None:
            self.add(edge.maps * weights.path(number, edge.maps))
        if edge.grids is not None:
            self.add_grids(edge.grids * weights.path(number, edge.grids))

    def total(self, like: Tensor) -> Tensor:
        """All of it; zeros where only zero operations were kept."""
        if self.grids is not None:
            self.add(from_grids(self.grids))
        return torch.zeros_like(like) if self.maps is None else self.maps


def _added(total: Tensor | None, term: Tensor) -> Tensor:
    return term if total is None else total + term


class Edge(NamedTuple):
    """An operation on an edge.

    Attributes:
        modules: of K supernets.
        node: that it leads to, from 0.
        slot: its index among the mixing weights.
        name: in the search space.
    """

    modules: tuple[nn.Module, ...]
    node: int
    slot: int
    name: str

    def is_a(self, *kinds: type[nn.Module]) -> bool:
        """Whether it is an operation that the engine knows, of one of these kinds."""
        return not self.is_opaque and isinstance(self.modules[0], kinds)

    @property
    def is_opaque(self) -> bool:
        """Whether the engine calls its modules as they are, since it knows nothing of them."""
        return is_opaque(self.name, self.modules[0])


Alike = Sequence[Edge]  # the operations of one name


class Shared(NamedTuple):
    """What several operations without weights give, each the same for all edges from a state.

    Attributes:
        nodes: that the edges lead to, from 0.
        weights: (K, edges, operations).
        maps: of each operation, (B, H, W, K * C).
    """

    nodes: Sequence[int]
    weights: Tensor
    maps: Sequence[Tensor]


def steps(alike: Sequence[Edge]) -> list[list[Any]]:
    """The layers of equal edges, regrouped: for each layer, those of all operations and seeds."""
    modules = [module for edge in alike for module in edge.modules]
    return [list(step) for step in zip(*(module.children() for module in modules), strict=True)]
