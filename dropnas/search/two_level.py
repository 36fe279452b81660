"""DARTS' own two-level search (Liu et al., 2019): w on one half of the training images, alpha on the other.

Design choices: first alpha, then w, as published; every operation is mixed and nothing is dropped, decayed in part or
adjusted. Decay is ordinary L2, added to the gradients, of w after clipping. All settings but the split are those of the
search, so that strategies are compared like for like. The passes that serve alpha go through `functional_call` with
copies of the batch norms' running statistics, so that those of the supernet come from its training batches alone. The
finite difference moves w by a hundredth in all, which reduced precisions round away: its two passes are fp32 always.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional

from dropnas.errors import DropnasError
from dropnas.precision import Precision
from dropnas.search.architecture import Alphas, Mixture, mixtures
from dropnas.search.config import SECOND_ORDER, Scalar, SearchConfig
from dropnas.search.hypergradient import Descent, Gradient, first_order, gradient_of, second_order
from dropnas.search.state import SearchState, clip_gradients
from dropnas.space.spaces import SearchSpace
from dropnas.training import precision
from dropnas.training.precision import autocast


class TwoLevel:
    """DARTS, of first or second order.

    Attributes:
        weight_share: the share of the training images that trains w; the search stage gives batches of the rest as
            `SearchState.held_out`.
    """

    weight_share = 0.5

    def __init__(self, config: SearchConfig, space: SearchSpace, **options: Scalar) -> None:
        """Take the order from the strategy's name.

        Raises:
            DropnasError: an option, since there are none.
        """
        if options:
            name = next(iter(options))
            raise DropnasError(f"unknown option {name!r}", where=f"strategy {config.strategy!r}", remedy="it has none")
        self.config, self.space = config, space
        self.is_second_order = config.strategy == SECOND_ORDER

    def step(self, state: SearchState, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """One step of alpha on the held-out batch, then one of w on the batch; gives the latter's loss and logits."""
        for alpha, gradient in zip(state.alphas, self.alpha_gradient(state, images, labels), strict=True):
            alpha.grad = gradient + self.config.alpha_weight_decay * alpha.detach()
        state.alpha_optimiser.step()
        loss, logits = self.differentiate(state, images, labels)
        self.descend(state)
        return loss, logits

    def alpha_gradient(self, state: SearchState, images: Tensor, labels: Tensor) -> list[Tensor]:
        """The gradient of the held-out loss in the two alphas, at w or after a virtual step of w; no decay in it."""
        if state.held_out is None:
            raise DropnasError("no held-out batch", where=f"strategy {self.config.strategy!r}")
        weights = state.supernet.all_weights
        validation = _gradient(state, *state.held_out, state.precision)
        if not self.is_second_order:
            return first_order(validation, weights, state.alphas)
        training = _gradient(state, images, labels, state.precision)
        perturbed = _gradient(state, images, labels, "fp32")
        return second_order(
            training, validation, weights, state.alphas, _velocities(state), self.descent(state), perturbed
        )

    def descent(self, state: SearchState) -> Descent:
        """The virtual step: with the epoch's learning rate, momentum and decay of w."""
        rate: float = state.weight_optimiser.param_groups[0]["lr"]
        return Descent(rate, self.config.momentum, self.config.weight_decay)

    def differentiate(self, state: SearchState, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Leave the gradient of the loss in w; gives loss and logits."""
        state.weight_optimiser.zero_grad(set_to_none=True)
        fixed = [alpha.detach() for alpha in state.alphas]
        with autocast(state.precision, state.device):
            logits = state.supernet(images, _mixture(state, fixed))
            loss = functional.cross_entropy(logits, labels)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach(), logits.detach()

    @torch.no_grad()
    def descend(self, state: SearchState) -> None:
        """Clip the gradient of w, add L2, move w."""
        clip_gradients(state.supernet.all_weights, self.config.gradient_clip)
        for weight in state.supernet.all_weights:
            if weight.grad is not None:
                weight.grad.add_(weight, alpha=self.config.weight_decay)
        state.weight_optimiser.step()

    def state_dict(self) -> dict[str, Any]:
        """It remembers nothing."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing to take over."""


def _gradient(state: SearchState, images: Tensor, labels: Tensor, computed: Precision) -> Gradient:
    """The gradient of a batch's loss at any w and alpha; of the supernet it changes nothing."""
    names = [name for name, _ in state.supernet.named_parameters()]
    buffers = {name: buffer.clone() for name, buffer in state.supernet.named_buffers()}

    def loss(weights: Sequence[Tensor], alphas: Sequence[Tensor]) -> Tensor:
        replaced = {**dict(zip(names, weights, strict=True)), **buffers}
        with autocast(computed, state.device):
            logits = functional_call(state.supernet, replaced, (images, _mixture(state, alphas)))
            return functional.cross_entropy(logits, labels)

    def gradient(weights: Sequence[Tensor], alphas: Sequence[Tensor], variables: Sequence[Tensor]) -> list[Tensor]:
        precision.apply(computed)  # of the whole process, and so of the pass backward too
        try:
            return gradient_of(loss)(weights, alphas, variables)
        finally:
            precision.apply(state.precision)

    return gradient


def _mixture(state: SearchState, alphas: Sequence[Tensor]) -> list[Mixture]:
    """The weights of all operations on all edges of all cells."""
    kinds = state.supernet.kinds
    kept = torch.ones(len(kinds), *alphas[0].shape, dtype=torch.bool)
    return mixtures(Alphas(*alphas), kept, kinds)


def _velocities(state: SearchState) -> list[Tensor]:
    """The momentum buffers of w; zeros where there is no momentum."""
    states = state.weight_optimiser.state
    buffers = ((weight, states[weight].get("momentum_buffer")) for weight in state.supernet.all_weights)
    return [torch.zeros_like(weight) if buffer is None else buffer for weight, buffer in buffers]
