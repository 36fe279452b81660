"""Two-level searches whose edges lose operations for good, until one is left on each.

Design choices: which operations are left is a mask in the memory, so that a pruned operation is computed no more and a
step stays a function of tensors. Its weights and alpha still decay, which changes nothing. The genotype has the best
operation that is left on each edge, zero left out, and of each node its two best edges. An edge on which only zero is
left comes after all others; where a node needs it, it takes its best operation among the pruned ones.
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
    """A step moves w, then the alphas."""

    alphas_first = False

    def memory(self, phase: int, before: Mapping[str, Tensor] | None) -> Tensors:
        """All operations are left."""
        return {LEFT: torch.ones(2, EDGES, len(self.space.operations), dtype=torch.bool)}

    def unpruned(self, memory: Mapping[str, Tensor]) -> Tensor:
        """What was not pruned."""
        return memory[LEFT]

    def logits(self, state: SearchState, batch: Batch) -> Tensor:
        """What the softmax takes, (K, 2, edges, operations): the alphas."""
        return state.alphas

    def mixing(self, state: SearchState, batch: Batch, level: Level) -> Mixing:
        """The softmax over what is left."""
        left = state.of_cells(state.memory[LEFT])
        return Mixing(kept_softmax(state.of_cells(self.logits(state, batch)), left), left)

    def scores(self, run: SeedRun) -> Tensor:
        """What ranks operations and edges: the alphas, (2, edges, operations)."""
        return torch.stack(list(run.alphas))

    def derive(self, run: SeedRun) -> Genotype:
        """The genotype of what is left."""
        return best_left(self.space, self.scores(run), run.memory[LEFT])


def best_left(space: SearchSpace, scores: Tensor, left: Tensor) -> Genotype:
    """The genotype by some scores, those of pruned operations below all others; both (2, edges, operations)."""
    scores = scores.detach().double().cpu()
    below = scores - (scores.max() - scores.min() + 1)
    normal, reduce = torch.where(left.cpu(), scores, below).tolist()
    return genotype(space.operations, normal, reduce, DeriveConfig(score="alpha", skips="separate"))
