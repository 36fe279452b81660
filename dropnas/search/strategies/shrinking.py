"""Two-level searches that prune operations permanently until only one is left on each edge.

Design choices: a mask in the strategy's memory marks the remaining operations. A step therefore stays a function of
tensors. A static step (see `Engine`) still computes pruned operations; other steps skip them. The weights and alphas of
pruned operations still decay, without any effect. In the genotype, each edge has the best of its remaining operations
(zero excluded), and each node has its two best edges. An edge on which only zero is left ranks below all others. If a
node needs such an edge, the edge gets the best of its pruned operations.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from dropnas.search.architecture import kept_softmax
from dropnas.search.config import DeriveConfig
from dropnas.search.state import SearchState, SeedRun, Tensors
from dropnas.search.strategies.two_level import Level, Mixing, TwoLevel
from dropnas.search.strategy import Batch
from dropnas.space.derivation import genotype
from dropnas.space.genotype import Genotype
from dropnas.space.spaces import EDGES, SearchSpace

LEFT = "left"  # bool (2, edges, operations): which operations are left


class Shrinking(TwoLevel):
    """A search whose steps update w first, then the alphas."""

    alphas_first = False

    def memory(self, phase: int, before: Mapping[str, Tensor] | None) -> Tensors:
        """At the start, all operations are left."""
        return {LEFT: torch.ones(2, EDGES, len(self.space.operations), dtype=torch.bool)}

    def unpruned(self, memory: Mapping[str, Tensor]) -> Tensor:
        """The operations that were not pruned."""
        return memory[LEFT]

    def logits(self, state: SearchState, batch: Batch) -> Tensor:
        """The input of the softmax, (K, 2, edges, operations): here the alphas."""
        return state.alphas

    def mixing(self, state: SearchState, batch: Batch, level: Level) -> Mixing:
        """The softmax over the operations that are left."""
        left = state.of_cells(state.memory[LEFT])
        return Mixing(kept_softmax(state.of_cells(self.logits(state, batch)), left), left)

    def scores(self, run: SeedRun) -> Tensor:
        """The scores that rank operations and edges: the alphas, (2, edges, operations)."""
        return torch.stack(list(run.alphas))

    def derive(self, run: SeedRun) -> Genotype:
        """Derive the genotype from the operations that are left."""
        return best_left(self.space, self.scores(run), run.memory[LEFT])


def best_left(space: SearchSpace, scores: Tensor, left: Tensor) -> Genotype:
    """Derive a genotype from scores (2, edges, operations), with pruned operations ranked last.

    `left` is a bool mask of the same shape; it is False for pruned operations.
    """
    scores = scores.detach().double().cpu()
    below = scores - (scores.max() - scores.min() + 1)
    normal, reduce = torch.where(left.cpu(), scores, below).tolist()
    return genotype(space.operations, normal, reduce, DeriveConfig(score="alpha", skips="separate"))
