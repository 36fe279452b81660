"""ASAP (Noy et al., 2020): the softmax cools down, and operations that fall behind are pruned during the search.

w learns from one half of the images, the alphas from the other, first w and then the alphas (Algorithm 1). With
temperature T the weights of an edge are Phi_o = exp(alpha_o / T) / sum over the operations that are left. T = 1.6 *
0.95^epoch. Until it is below the grace temperature 1, only w moves and nothing is pruned: epochs 0 to 9. From then on
an operation leaves its edge for good when its Phi falls below 0.4 / N, where N is the number of operations; at least
one stays. The search ends when each edge has one operation.

What is sure: the scheme. All constants come from a third party's code (cogsys-tuebingen/uninas), which agrees with the
paper as remembered; so do 50 epochs, batch 64 and the clip of the alphas' gradient. 8 cells, 16 channels and alphas
that start equal are remembered. That code's drop-path is left out. The published algorithm prunes and cools in each
step, that code once an epoch. Which edges a node keeps, and whether N shrinks with the edge, is uncertain. Here the
schedule is stretched to the epochs of the search, so that a short one cools as far as a long one.
"""

from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from dropnas.errors import DropnasError
from dropnas.search.architecture import kept_softmax
from dropnas.search.config import Scalar, SearchConfig
from dropnas.search.options import with_options
from dropnas.search.state import SearchState, SeedRun, Tensors
from dropnas.search.strategies.shrinking import LEFT, Shrinking
from dropnas.search.strategies.two_level import WEIGHTS_ONLY
from dropnas.search.strategy import Batch
from dropnas.space.spaces import SearchSpace

EPOCHS = 50  # for which the schedule was made


@dataclass(frozen=True)
class AsapOptions:
    """The schedule of the temperature, and when an operation leaves.

    Attributes:
        temperature: in epoch 0.
        cooling: what it is multiplied by from epoch to epoch.
        grace_temperature: below which the alphas move and operations are pruned.
        schedule: `scaled` stretches a schedule for 50 epochs to those of the search, `absolute` does not.
        interval: `step` cools and prunes with each step, `epoch` once an epoch, at its end.
        threshold: an operation leaves when its weight is below this number / N.
        count: N is the number of operations of the `space`, or of those left on the `edge`.
        alpha_gradient_clip: largest norm of the gradient over all alphas.
        score: what ranks the edges of the genotype: the `alpha` of their operation, or its `weight` Phi, which is 1
            where it is the only one.
    """

    temperature: float = field(default=1.6, metadata={"gt": 0})
    cooling: float = field(default=0.95, metadata={"gt": 0, "lt": 1})
    grace_temperature: float = field(default=1.0, metadata={"gt": 0})
    schedule: Literal["scaled", "absolute"] = "scaled"
    interval: Literal["step", "epoch"] = "step"
    threshold: float = field(default=0.4, metadata={"gt": 0, "lt": 1})
    count: Literal["space", "edge"] = "space"
    alpha_gradient_clip: float = field(default=5.0, metadata={"gt": 0})
    score: Literal["alpha", "weight"] = "alpha"


class Asap(Shrinking):
    """Annealing and pruning."""

    groups_seeds = False  # each seed ends in an epoch of its own

    def __init__(self, config: SearchConfig, space: SearchSpace, **options: Scalar) -> None:
        """Take options that differ from the defaults.

        Raises:
            DropnasError: an unknown option, a value that it does not take, or a temperature that stays too high.
        """
        super().__init__(config, space)
        where = f"strategy {config.strategy!r}"
        self.options = with_options(AsapOptions(), options, where)
        self.alpha_gradient_clip = self.options.alpha_gradient_clip
        warm = [self.temperature(epoch) >= self.options.grace_temperature for epoch in range(config.epochs)]
        if all(warm):
            raise DropnasError(
                f"the temperature never falls below {self.options.grace_temperature} in {config.epochs} epochs,"
                " so that the alphas never move",
                where=where,
                remedy="take more epochs, schedule: scaled, a lower cooling or a higher grace_temperature",
            )
        self.frozen_epochs = warm.index(False)

    def temperature(self, epoch: float) -> float:
        """T in an epoch, which is counted from 0; inside an epoch it is a fraction."""
        length = self.config.epochs if self.options.schedule == "scaled" else EPOCHS
        return float(self.options.temperature * self.options.cooling ** (epoch * EPOCHS / length))

    def draw(self, epoch: int, steps: int, generator: torch.Generator) -> Tensors:
        """The temperatures, (steps,)."""
        parts = [step / steps if self.options.interval == "step" else 0.0 for step in range(steps)]
        return {"temperature": torch.tensor([self.temperature(epoch + part) for part in parts])}

    def logits(self, state: SearchState, batch: Batch) -> Tensor:
        """The alphas by the temperature."""
        return state.alphas / batch.drawn["temperature"].view(-1, 1, 1, 1)

    def step(self, state: SearchState, batch: Batch) -> tuple[Tensor, Tensor]:
        """Move w, then the alphas, then prune."""
        found = super().step(state, batch)
        if self.options.interval == "step" and batch.variant != WEIGHTS_ONLY:
            self._prune(self.logits(state, batch), state.memory[LEFT])
        return found

    def end_epoch(self, epoch: int, run: SeedRun) -> bool:
        """Prune where that is done once an epoch; whether one operation is left on each edge."""
        if self.options.interval == "epoch" and epoch >= self.frozen_epochs:
            self._prune(torch.stack(list(run.alphas)) / self.temperature(epoch), run.memory[LEFT])
        return bool((run.memory[LEFT].sum(dim=-1) == 1).all())

    def scores(self, run: SeedRun) -> Tensor:
        """The alphas, or Phi at the temperature of the last epoch."""
        alphas = super().scores(run)
        if self.options.score == "alpha":
            return alphas
        return kept_softmax(alphas / self.temperature(len(run.history) - 2), run.memory[LEFT])  # the start is the first

    def results(self, run: SeedRun) -> dict[str, Scalar]:
        """Why the search ended, and how many operations are left on all edges of both kinds of cells."""
        left = run.memory[LEFT]
        settled = "one operation is left on each edge"
        reason = settled if int(left.sum(dim=-1).max()) == 1 else "the last epoch was reached"
        return {"stop_reason": reason, "operations_left": int(left.sum())}

    @torch.no_grad()
    def _prune(self, logits: Tensor, left: Tensor) -> None:
        """Take what falls below the threshold from what is left, in place; both (..., edges, operations)."""
        count = left.sum(dim=-1, keepdim=True) if self.options.count == "edge" else left.shape[-1]
        left &= kept_softmax(logits, left) >= self.options.threshold / count
