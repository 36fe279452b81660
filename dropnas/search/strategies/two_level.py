"""The base class of DARTS and its successors: one half of the images trains w, the other half trains the alphas.

Design choices: the search is first-order. Passes for the alphas do not update the running statistics, so the statistics
come from training batches only. Weight decay is ordinary L2; for w it is added after clipping. A method overrides what
it does differently, such as the mixture, the order of the two steps, or the epochs in which only w is trained.
"""

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from dropnas.search.state import SearchState, clipped
from dropnas.search.strategy import Batch, Strategy

Level = Literal["weights", "alphas"]
WEIGHTS_ONLY = "weights only"  # the variant of a step that does not update the alphas


class Mixing(NamedTuple):
    """How a pass mixes the operations; both tensors are (K, cells, edges, operations).

    Attributes:
        weights: weights of the operations.
        kept: bool, the operations that take part; None means all.
    """

    weights: Tensor
    kept: Tensor | None = None


class TwoLevel(Strategy):
    """A first-order two-level search.

    Attributes:
        frozen_epochs: number of epochs at the start of each phase in which only w is trained.
        alphas_first: whether a step updates the alphas before w.
        alpha_gradient_clip: the gradient of all architecture parameters of a seed together is clipped to this norm;
            None means no clipping.
    """

    weight_share = 0.5
    needs_held_out = True
    frozen_epochs: int = 0
    alphas_first: bool = True
    alpha_gradient_clip: float | None = None

    def variant(self, epoch: int) -> str:
        """Return WEIGHTS_ONLY while the alphas are frozen."""
        return WEIGHTS_ONLY if self.position(epoch)[1] < self.frozen_epochs else ""

    def step(self, state: SearchState, batch: Batch) -> tuple[Tensor, Tensor]:
        """Update the alphas on the held-out batch and w on the training batch; return w's losses and logits."""
        moves_alphas = batch.variant != WEIGHTS_ONLY
        if moves_alphas and self.alphas_first:
            self.architecture_step(state, batch)
        found = self.weight_step(state, batch)
        if moves_alphas and not self.alphas_first:
            self.architecture_step(state, batch)
        return found

    def mixing(self, state: SearchState, batch: Batch, level: Level) -> Mixing:
        """Mix the operations in a pass that updates w or the alphas, by a softmax over all operations of each edge."""
        return Mixing(state.of_cells(state.alphas).softmax(dim=-1))

    def weight_step(self, state: SearchState, batch: Batch) -> tuple[Tensor, Tensor]:
        """Update w to reduce the loss of the training batch; return the losses (K,) and the logits."""
        losses, logits = state.losses(batch.images, batch.labels, *self.mixing(state, batch, "weights"))
        (gradient,) = state.gradients(losses)
        with torch.no_grad():
            decay = self.config.weight_decay * state.weights
            state.weight_optimiser.step([clipped(gradient, self.config.gradient_clip) + decay])
        return losses.detach(), logits.detach()

    def architecture_step(self, state: SearchState, batch: Batch) -> None:
        """Update the architecture parameters to reduce the loss of the held-out batch."""
        gradients = self.architecture_gradients(state, batch)
        with torch.no_grad():
            if self.alpha_gradient_clip is not None:
                gradients = clipped_together(gradients, self.alpha_gradient_clip)
            decay, parameters = self.config.alpha_weight_decay, state.architecture.values()
            decayed = [gradient + decay * values for gradient, values in zip(gradients, parameters, strict=True)]
            state.architecture_optimiser.step(decayed)

    def architecture_gradients(self, state: SearchState, batch: Batch) -> list[Tensor]:
        """The gradient of the held-out loss for each tensor of architecture parameters, without weight decay."""
        assert batch.held_out is not None  # weight_share is below 1
        mixing = self.mixing(state, batch, "alphas")
        losses, _ = state.losses(*batch.held_out, *mixing, update_statistics=False)
        parameters = list(state.architecture.values())
        return list(torch.autograd.grad(losses.sum(), parameters, materialize_grads=True))


def frozen_epochs(part: float, epochs: int) -> int:
    """The number of epochs at the start of a phase that train only w; the last epoch always trains the alphas."""
    return min(round(part * epochs), epochs - 1)


def clipped_together(gradients: list[Tensor], limit: float) -> list[Tensor]:
    """Scale the gradients (K, ...) of each seed so that the norm over all of them is at most `limit`."""
    flat = clipped(torch.cat([gradient.flatten(1) for gradient in gradients], dim=1), limit)
    parts = flat.split([gradient[0].numel() for gradient in gradients], dim=1)  # type: ignore[no-untyped-call]
    return [part.view_as(gradient) for part, gradient in zip(parts, gradients, strict=True)]
