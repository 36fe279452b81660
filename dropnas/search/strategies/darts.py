"""DARTS' own two-level search (Liu et al., 2019, Algorithm 1).

w learns from one half of the training images, the alphas from the other half. Each step updates the alphas, then w. The
second-order variant differentiates the held-out loss through one virtual step of w (Eq. 7) and approximates the second
derivative by a finite difference (Eq. 8).

Design choices: all operations are mixed in each pass. Dropout, partial decay and alpha-adjust are not used. All
settings except the split into halves are those of the parameter file, so that strategies are compared under the same
conditions. The finite difference moves w by only 0.01 in norm, which reduced precision would round away. Its two passes
therefore always use fp32.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from dropnas.search.config import SECOND_ORDER, Scalar, SearchConfig
from dropnas.search.options import with_options
from dropnas.search.state import SearchState
from dropnas.search.strategies.hypergradient import VirtualStep, second_order
from dropnas.search.strategies.two_level import TwoLevel
from dropnas.search.strategy import Batch
from dropnas.space.spaces import SearchSpace
from dropnas.training import precision
from dropnas.training.config import Precision


@dataclass(frozen=True)
class NoOptions:
    """DARTS has no options; the name of the strategy selects the first-order or the second-order variant."""


class Darts(TwoLevel):
    """DARTS, first or second order."""

    def __init__(self, config: SearchConfig, space: SearchSpace, **options: Scalar) -> None:
        """Read the order from the strategy's name.

        Raises:
            DropnasError: an option is given; this strategy has none.
        """
        super().__init__(config, space)
        with_options(NoOptions(), options, f"strategy {config.strategy!r}")
        self.is_second_order = config.strategy == SECOND_ORDER

    def architecture_gradients(self, state: SearchState, batch: Batch) -> list[Tensor]:
        """The gradient of the held-out loss with respect to the alphas, without weight decay.

        The first-order variant evaluates it at w. The second-order variant differentiates through a virtual step of w.
        """
        if not self.is_second_order:
            return super().architecture_gradients(state, batch)
        assert batch.held_out is not None  # weight_share is below 1
        validation = Loss(state, *batch.held_out, state.precision)
        training = Loss(state, batch.images, batch.labels, state.precision)
        exact = Loss(state, batch.images, batch.labels, "fp32")
        (momentum,) = state.weight_optimiser.slots["momentum"]
        step = VirtualStep(state.weight_optimiser.rate, self.config.momentum, self.config.weight_decay)
        return [second_order(training.in_weights, validation.in_both, exact.in_alphas, state.weights, momentum, step)]


@dataclass(frozen=True)
class Loss:
    """The loss of a batch as a function of w. Computing a gradient leaves the state unchanged."""

    state: SearchState
    images: Tensor
    labels: Tensor
    precision: Precision

    def in_weights(self, weights: Tensor) -> Tensor:
        """The gradient with respect to w at the given w: (K, weights)."""
        with self._at(weights) as losses:
            return self.state.gradients(losses)[0]

    def in_alphas(self, weights: Tensor) -> Tensor:
        """The gradient with respect to the alphas at the given w."""
        with self._at(weights) as losses:
            return torch.autograd.grad(losses.sum(), [self.state.alphas])[0]

    def in_both(self, weights: Tensor) -> tuple[Tensor, Tensor]:
        """The gradients with respect to w and to the alphas at the given w."""
        with self._at(weights) as losses:
            of_weights, of_alphas = self.state.gradients(losses, self.state.alphas)
            return of_weights, of_alphas

    @contextmanager
    def _at(self, weights: Tensor) -> Iterator[Tensor]:
        """Compute the losses at the given w, and restore the state afterwards."""
        state, before = self.state, self.state.weights.clone()
        precision.apply(self.precision)  # for the whole process, including the backward pass
        try:
            state.weights.copy_(weights)
            losses, _ = state.losses(
                self.images, self.labels, mixing_of(state), precision=self.precision, update_statistics=False
            )
            yield losses
        finally:
            state.weights.copy_(before)
            precision.apply(state.precision)


def mixing_of(state: SearchState) -> Tensor:
    """The softmax over all operations of each edge: (K, cells, edges, operations)."""
    return state.of_cells(state.alphas).softmax(dim=-1)
