"""The base class of ProxylessNAS and GDAS, which train w on one sampled operation of each edge.

Design choices: a sample is a mask that the device computes from the alphas and from noise that the host draws, so a
step can be recorded as a CUDA graph. On a CPU, the engine computes only the sampled operations. A step updates w first,
then the alphas. The learning rate of w changes from step to step, as in the code of both methods. A recorded step
cannot read the step number, so the learning rates are passed to it in the same way as the random numbers, as part of
the epoch's draws.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from dropnas.search.config import SearchConfig
from dropnas.search.state import SearchState, Tensors, clipped
from dropnas.search.strategies.two_level import TwoLevel
from dropnas.search.strategy import Batch
from dropnas.space.spaces import SearchSpace
from dropnas.training.optimisers import SGD, Adam
from dropnas.training.schedule import cosine


@dataclass(frozen=True)
class SgdOptions:
    """Options of the SGD optimiser of w.

    Attributes:
        nesterov: whether to use Nesterov momentum.
        schedule: whether the learning rate of w changes at each `step` or only at each `epoch`.
    """

    nesterov: bool = True
    schedule: Literal["step", "epoch"] = "step"


class SinglePath(TwoLevel):
    """A two-level search that trains w on one operation of each edge.

    Attributes:
        moves_unsampled: whether momentum and decay move the weights that were not sampled; if not, these weights and
            their momentum stay unchanged.
    """

    alphas_first = False
    moves_unsampled = False

    def __init__(self, config: SearchConfig, space: SearchSpace, sgd: SgdOptions) -> None:
        """Set the options of the SGD optimiser of w."""
        super().__init__(config, space)
        self.sgd = sgd

    def optimisers(self, weights: Tensor, architecture: Tensors) -> tuple[SGD, SGD | Adam]:
        """SGD for w, by default with Nesterov momentum; Adam for the alphas."""
        config = self.config
        _, of_alphas = super().optimisers(weights, architecture)
        return SGD([weights], config.learning_rate, config.momentum, nesterov=self.sgd.nesterov), of_alphas

    def rate(self, epoch: float) -> float:
        """The learning rate of w. A fractional `epoch` is a point within an epoch."""
        return cosine(self.config.learning_rate, self.config.learning_rate_min, epoch, self.config.epochs)

    def learning_rate(self, phase: int, epoch: int) -> float:
        """The learning rate of w at the start of an epoch."""
        return self.rate(epoch)

    def draw(self, epoch: int, steps: int, generator: torch.Generator) -> Tensors:
        """The learning rates of the epoch's steps."""
        by_step = self.sgd.schedule == "step"
        rates = [self.rate(epoch + step / steps if by_step else epoch) for step in range(steps)]
        return {"rate": torch.tensor(rates, dtype=torch.float64)}

    def weight_step(self, state: SearchState, batch: Batch) -> tuple[Tensor, Tensor]:
        """Update w to reduce the loss of the sampled network on the batch; return the losses (K,) and the logits."""
        mixing, kept = self.mixing(state, batch, "weights")
        losses, logits = state.losses(batch.images, batch.labels, mixing, kept)
        (gradient,) = state.gradients(losses)
        state.weight_optimiser.rate.copy_(batch.drawn["rate"][0])
        with torch.no_grad():
            gradient = clipped(gradient, self.config.gradient_clip) + self.config.weight_decay * state.weights
            if self.moves_unsampled or kept is None:
                state.weight_optimiser.step([gradient])
            else:
                self._move_where(state, gradient, state.of_weights(kept))
        return losses.detach(), logits.detach()

    def _move_where(self, state: SearchState, gradient: Tensor, moving: Tensor) -> None:
        """Take a step of SGD that changes only the `moving` weights, bool (K, weights), and their momentum."""
        changed = [state.weights, *state.weight_optimiser.slots["momentum"]]
        before = [tensor.clone() for tensor in changed]
        state.weight_optimiser.step([gradient])
        for tensor, old in zip(changed, before, strict=True):
            tensor.copy_(torch.where(moving, tensor, old))


def one_of(indices: Tensor, count: int) -> Tensor:
    """One-hot masks over `count` operations: bool (..., count) for indices (...)."""
    return indices[..., None] == torch.arange(count, device=indices.device)
