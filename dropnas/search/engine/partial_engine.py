"""Partial channel connections in the engine: the same result as with `PartialOperation`, but computed node by node.

Design choices: all edges shuffle their channels in the same way, so the shuffle is applied once, to the sum at a node.
Channels that bypass the operations are pooled once for each state. Each node then mixes them like the outputs of an
operation without parameters. The weight of an edge is the sum of its operations' weights.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from dropnas.search.engine.cell import Backend, mixed_cell
from dropnas.search.engine.edges import AllChannels
from dropnas.search.engine.engine import Engine
from dropnas.search.engine.mixing_weights import MixingWeights
from dropnas.search.engine.parameter_free import mix_parameter_free
from dropnas.search.engine.running_statistics import RunningStatistics
from dropnas.search.partial_channels import bypassed
from dropnas.search.supernet import Supernet, SupernetCell
from dropnas.space.names import INPUTS
from dropnas.space.spaces import EDGES, NODES


class PartialEngine(Engine):
    """Computes supernets whose edges are `PartialOperation`s, all with the same proportion."""

    def __init__(
        self, proportion: int, supernets: Sequence[Supernet], static: bool, backend: Backend | None = None
    ) -> None:
        super().__init__(supernets, static, backend)
        self.proportion = proportion

    def mix_cell(
        self,
        cells: Sequence[SupernetCell],
        inputs: Sequence[Tensor],
        weights: MixingWeights,
        statistics: RunningStatistics,
    ) -> Tensor:
        """Compute the same cell of all supernets; see `mixed_cell`."""
        of_edges = weights.weights.view(len(cells), EDGES, -1).sum(dim=2)
        channels = PartialChannels(self.proportion, of_edges, cells[0].input_stride)
        return mixed_cell(cells, inputs, weights, statistics, self.backend, channels)


class PartialChannels(AllChannels):
    """Passes only some channels through the operations. `of_edges` are the edge weights of K supernets, (K, edges)."""

    def __init__(self, proportion: int, of_edges: Tensor, input_stride: int) -> None:
        incoming = list(range(INPUTS, INPUTS + NODES))
        self.of_nodes = of_edges.split(incoming, dim=1)  # type: ignore[no-untyped-call]
        self.proportion, self.seeds, self.input_stride = proportion, len(of_edges), input_stride
        self.bypassed: list[Tensor] = []  # for each state: (B, H, W, K * C * (proportion - 1) / proportion)

    def entering(self, state: int, maps: Tensor) -> Tensor:
        """Select the first channels of each seed; the others are kept for the nodes that follow."""
        parts = maps.view(*maps.shape[:-1], self.seeds, self.proportion, -1)
        others = parts[..., 1:, :].flatten(-3).permute(0, 3, 1, 2)
        others = bypassed(others, self.input_stride if state < INPUTS else 1)
        self.bypassed.append(others.permute(0, 2, 3, 1))
        return parts[..., 0, :].flatten(-2)

    def node(self, node: int, maps: Tensor) -> Tensor:
        """The mixed channels and the channels that bypassed the operations, shuffled."""
        (others,) = mix_parameter_free(self.of_nodes[node][:, None], self.bypassed)
        parts = [
            each.reshape(*maps.shape[:-1], self.seeds, -1, maps.shape[-1] // self.seeds) for each in (maps, others)
        ]
        return torch.cat(parts, dim=-2).transpose(-1, -2).flatten(-3)
