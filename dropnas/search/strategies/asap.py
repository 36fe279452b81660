"""ASAP (Noy et al., 2020): a temperature sharpens the softmax, and weak operations are pruned during the search.

w learns from one half of the images, the alphas from the other half. Each step updates w first, then the alphas
(Algorithm 1). The weight Phi_o of an operation is exp(alpha_o / T), divided by the sum of exp(alpha / T) over the
operations that are left on the edge. The temperature is T = 1.6 * 0.95^epoch. While T is at or above the grace
temperature of 1 (epochs 0 to 9), only w is trained and nothing is pruned. After that, an operation is pruned for good
when its Phi falls below 0.4 / N, where N is the number of operations. At least one operation stays on each edge. The
search ends when each edge has one operation.

Sources: we are sure of the algorithm, but all constants come from third-party code (cogsys-tuebingen/uninas). These
constants, the 50 epochs, the batch size of 64 and the clipping of the alphas' gradient agree with the paper as we
remember it. The 8 cells, the 16 channels and the equal initial alphas come from memory alone. It is uncertain which
edges a node keeps, and whether N shrinks when operations leave an edge.

What differs here: the schedule is stretched to the epochs of the search, so that a short search reaches the same final
temperature. As in the published algorithm, each step prunes and cools; the third-party code does both once an epoch.
The drop-path of that code is left out.
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

EPOCHS = 50  # the schedule was made for this number of epochs


@dataclass(frozen=True)
class AsapOptions:
    """Options of ASAP: the temperature schedule and the pruning rule.

    Attributes:
        temperature: temperature of the softmax in epoch 0.
        cooling: factor by which the temperature is multiplied in each epoch.
        grace_temperature: the alphas are trained and operations are pruned once the temperature is below this value.
        schedule: `scaled` stretches the schedule, which was made for 50 epochs, to the epochs of the search; `absolute`
            does not.
        interval: `step` cools and prunes in each step; `epoch` does both once, at the end of each epoch.
        threshold: an operation is pruned when its weight is below this number / N.
        count: N is the number of operations of the `space`, or the number of operations left on the `edge`.
        alpha_gradient_clip: the gradient of all alphas together is clipped to this norm.
        score: whether the edges of the genotype are ranked by the `alpha` of their operation or by its `weight` Phi.
            Phi is 1 if only one operation is left on the edge.
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

    groups_seeds = False  # seeds may end in different epochs

    def __init__(self, config: SearchConfig, space: SearchSpace, **options: Scalar) -> None:
        """Set the options that differ from the defaults.

        Raises:
            DropnasError: an option is unknown or has an invalid value, or the temperature never falls below the grace
                temperature.
        """
        super().__init__(config, space)
        where = f"strategy {config.strategy!r}"
        self.options = with_options(AsapOptions(), options, where)
        self.alpha_gradient_clip = self.options.alpha_gradient_clip
        above_grace = [self.temperature(epoch) >= self.options.grace_temperature for epoch in range(config.epochs)]
        if all(above_grace):
            raise DropnasError(
                f"the temperature never falls below {self.options.grace_temperature} in {config.epochs} epochs,"
                " so that the alphas never move",
                where=where,
                remedy="take more epochs, schedule: scaled, a lower cooling or a higher grace_temperature",
            )
        self.frozen_epochs = above_grace.index(False)

    def temperature(self, epoch: float) -> float:
        """T at an epoch, counted from 0; a fractional value is a point within an epoch."""
        length = self.config.epochs if self.options.schedule == "scaled" else EPOCHS
        return float(self.options.temperature * self.options.cooling ** (epoch * EPOCHS / length))

    def draw(self, epoch: int, steps: int, generator: torch.Generator) -> Tensors:
        """The temperatures, (steps,)."""
        parts = [step / steps if self.options.interval == "step" else 0.0 for step in range(steps)]
        return {"temperature": torch.tensor([self.temperature(epoch + part) for part in parts])}

    def logits(self, state: SearchState, batch: Batch) -> Tensor:
        """The alphas divided by the temperature."""
        return state.alphas / batch.drawn["temperature"].view(-1, 1, 1, 1)

    def step(self, state: SearchState, batch: Batch) -> tuple[Tensor, Tensor]:
        """Update w, then the alphas, then prune."""
        found = super().step(state, batch)
        if self.options.interval == "step" and batch.variant != WEIGHTS_ONLY:
            self._prune(self.logits(state, batch), state.memory[LEFT])
        return found

    def end_epoch(self, epoch: int, run: SeedRun) -> bool:
        """Prune if pruning is done once an epoch; return whether every edge has one operation left."""
        if self.options.interval == "epoch" and epoch >= self.frozen_epochs:
            self._prune(torch.stack(list(run.alphas)) / self.temperature(epoch), run.memory[LEFT])
        return bool((run.memory[LEFT].sum(dim=-1) == 1).all())

    def scores(self, run: SeedRun) -> Tensor:
        """The alphas, or Phi at the temperature of the last epoch."""
        alphas = super().scores(run)
        if self.options.score == "alpha":
            return alphas
        return kept_softmax(alphas / self.temperature(len(run.history) - 2), run.memory[LEFT])  # history[0]: the start

    def results(self, run: SeedRun) -> dict[str, Scalar]:
        """Report why the search ended, and how many operations are left on all edges of both kinds of cells."""
        left = run.memory[LEFT]
        settled = "one operation is left on each edge"
        reason = settled if int(left.sum(dim=-1).max()) == 1 else "the last epoch was reached"
        return {"stop_reason": reason, "operations_left": int(left.sum())}

    @torch.no_grad()
    def _prune(self, logits: Tensor, left: Tensor) -> None:
        """Remove operations below the threshold from `left`, in place; both tensors are (..., edges, operations)."""
        count = left.sum(dim=-1, keepdim=True) if self.options.count == "edge" else left.shape[-1]
        left &= kept_softmax(logits, left) >= self.options.threshold / count
