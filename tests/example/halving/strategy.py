"""A user's method with two phases and its own supernet: between the phases, half of the operations are removed."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from dropnas.search.architecture import ALPHAS, kept_softmax
from dropnas.search.config import DeriveConfig, SearchConfig
from dropnas.search.state import SearchState, SeedRun, Tensors
from dropnas.search.strategy import Batch, Phase, Strategy
from dropnas.search.supernet import Supernet
from dropnas.space import derivation
from dropnas.space.genotype import Genotype
from dropnas.space.operations import Identity
from dropnas.space.spaces import EDGES, SearchSpace

KEPT = "kept"  # bool (2, edges, operations)


class HalfSkip(nn.Module):
    """A skip-connect that outputs half of its input."""

    def forward(self, states: Tensor) -> Tensor:
        return states / 2


class Halving(Strategy):
    """One-level search. The first phase weakens skip-connects; the second keeps the better half of each edge."""

    def __init__(self, config: SearchConfig, space: SearchSpace, added_cells: int = 0) -> None:
        super().__init__(config, space)
        self.added_cells = added_cells

    @property
    def phases(self) -> Sequence[Phase]:
        cells, epochs = self.config.cells, self.config.epochs
        return Phase(cells, epochs), Phase(cells + self.added_cells, epochs)

    def make_supernet(self, phase: int, classes: int) -> Supernet:
        supernet = super().make_supernet(phase, classes)
        edges = [edge for cell in supernet.cells for edge in cell.edges] if phase == 0 else []  # type: ignore[union-attr]
        for edge in edges:
            for index, operation in enumerate(edge):
                if isinstance(operation, Identity):
                    edge[index] = HalfSkip()
        return supernet

    def memory(self, phase: int, before: Mapping[str, Tensor] | None) -> Tensors:
        count = len(self.space.operations)
        kept = torch.ones(2, EDGES, count, dtype=torch.bool)
        if phase:  # without earlier alphas, a checkpoint will replace the mask; only the number matters here
            alphas = torch.arange(count).expand_as(kept) if before is None else before[ALPHAS]
            kept = torch.zeros_like(kept).scatter(-1, alphas.cpu().topk((count + 1) // 2).indices, True)
        return {KEPT: kept}

    def candidates(self, memory: Mapping[str, Tensor]) -> Tensor:
        return memory[KEPT]

    def step(self, state: SearchState, batch: Batch) -> tuple[Tensor, Tensor]:
        kept = state.memory[KEPT]
        mixing = state.of_cells(kept_softmax(state.alphas, kept))
        losses, logits = state.losses(batch.images, batch.labels, mixing, state.of_cells(kept))
        weights, alphas = state.gradients(losses, state.alphas)
        state.weight_optimiser.step([weights])
        state.architecture_optimiser.step([alphas])
        return losses, logits

    def derive(self, run: SeedRun) -> Genotype:
        normal, reduce = run.architecture[ALPHAS].masked_fill(~run.memory[KEPT], -torch.inf).tolist()
        return derivation.genotype(self.space.operations, normal, reduce, DeriveConfig())
