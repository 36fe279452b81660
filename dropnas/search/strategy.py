"""What a batch does to the weights and the alphas: the strategies.

Design choices: a strategy is given the state of a search and a batch and trains on it, so any one-level method fits,
and any two-level one by its share of held-out images; it owns nothing but what it adds itself. `GroupedDropout` is
DropNAS with all its options, and the paper's other strategies are presets of it. Its step is a sequence of small
methods, each to be overridden alone: `drop_probabilities`, `sample`, `differentiate`, `descend`, `decay`, `adjust`.
Both optimisers are torch's but for the class; weight decay is not left to them, since only what was kept decays.
"""

import inspect
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional

from dropnas.errors import DropnasError
from dropnas.extension import is_reference, load
from dropnas.search.architecture import Alphas, alpha_adjust
from dropnas.search.config import PRESETS, TWO_LEVEL, DropoutOptions, Scalar, SearchConfig
from dropnas.search.dropout import Kept, drop_groups, drop_probabilities, sample_kept
from dropnas.search.optimisers import SGD, Adam
from dropnas.search.options import options_of, with_options
from dropnas.search.state import SearchState, clip_gradients
from dropnas.search.supernet import Supernet
from dropnas.search.two_level import TwoLevel
from dropnas.space.spaces import SearchSpace
from dropnas.training.precision import autocast

__all__ = ["GroupedDropout", "SearchState", "Strategy", "make_optimisers", "make_strategy"]


def make_optimisers(config: SearchConfig, supernet: Supernet, alphas: Alphas) -> tuple[SGD, Adam]:
    """SGD on w and Adam on the alphas, without weight decay, which is the strategy's business."""
    betas = (config.alpha_beta1, config.alpha_beta2)
    sgd = SGD(supernet.parameters(), config.learning_rate, config.momentum)
    return sgd, Adam(alphas, config.alpha_learning_rate, betas)


class Strategy(Protocol):
    """A search method. It is made by `factory(config: SearchConfig, space: SearchSpace, **options)`.

    It may have an attribute `weight_share`, the share of the training images that train w, above 0 and at most 1. An
    epoch passes over these, and each step gets a random batch of the others as `SearchState.held_out`. Without the
    attribute all images train w.
    """

    def step(self, state: SearchState, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Train on a batch of normalised images (B, 3, H, W) and labels (B,).

        Returns:
            the loss, a detached scalar, and the detached logits (B, classes); neither waits for the device.
        """

    def state_dict(self) -> dict[str, Any]:
        """What the strategy itself must remember over an interruption: tensors and plain values."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over such a state."""


class GroupedDropout:
    """DropNAS: one-level search with grouped operation dropout, alpha-adjust and partial decay (Section 2.3)."""

    def __init__(self, config: SearchConfig, space: SearchSpace, **options: Scalar) -> None:
        """Take the options of `DropoutOptions`; what is not given is DropNAS'.

        Raises:
            DropnasError: an unknown option, or a value that it does not take.
        """
        self.config, self.space = config, space
        self.options = with_options(DropoutOptions(), options, f"strategy {config.strategy!r}")
        self.groups = drop_groups(self.options, space)

    def step(self, state: SearchState, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """One batch: loss step, decay step, alpha-adjust."""
        kept = self.sample(state)
        old = Alphas(*(alpha.detach().clone() for alpha in state.alphas))
        loss, logits = self.differentiate(state, kept, images, labels)
        self.descend(state, kept)
        if self.options.decay == "released":
            self.decay(state, kept)
        self.adjust(state, kept, old)
        return loss, logits

    def drop_probabilities(self, state: SearchState) -> Tensor:
        """p_d of each operation of the space for this batch: double (operations,), on the CPU."""
        return drop_probabilities(self.options, self.space)

    def sample(self, state: SearchState) -> Kept:
        """Draw what this batch keeps."""
        probabilities = self.drop_probabilities(state)
        return sample_kept(self.options.masks, state.supernet.kinds, probabilities, self.groups, state.generator)

    def differentiate(self, state: SearchState, kept: Kept, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Leave the gradients of the loss in w and alpha; what was dropped has none. Gives loss and logits."""
        state.weight_optimiser.zero_grad(set_to_none=True)
        state.alpha_optimiser.zero_grad(set_to_none=True)
        with autocast(state.precision, state.device):
            logits = state.supernet.mix(images, state.alphas, kept.cells)
            loss = functional.cross_entropy(logits, labels)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach(), logits.detach()

    def descend(self, state: SearchState, kept: Kept) -> None:
        """The loss step: clip the gradient of w (never that of alpha), add L2 if decay is `l2`, move both."""
        self._clip(state)
        moving = kept
        if self.options.decay == "l2":
            moving = self._decaying(kept)
            self._add_decay(state, moving, factor=1)
        self._move(state, moving)

    def decay(self, state: SearchState, kept: Kept) -> None:
        """The decay step: the gradient of lambda * ||.||^2 over what was kept, clipped as well; move both again."""
        decaying = self._decaying(kept)
        state.weight_optimiser.zero_grad(set_to_none=True)
        state.alpha_optimiser.zero_grad(set_to_none=True)
        self._add_decay(state, decaying, factor=2)
        self._clip(state)
        self._move(state, decaying)

    @torch.no_grad()
    def adjust(self, state: SearchState, kept: Kept, old: Alphas) -> None:
        """Alpha-adjust (Eq. 2, 3), from the alphas before the batch to those after both steps."""
        for alpha, before, mask in zip(state.alphas, old, kept.kinds, strict=True):
            alpha.copy_(alpha_adjust(before, alpha, _beside(mask, alpha), self.options.alpha_adjust))

    def state_dict(self) -> dict[str, Any]:
        """Grouped dropout itself remembers nothing."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing to take over."""

    def _decaying(self, kept: Kept) -> Kept:
        """What decays: with partial decay what was kept, otherwise everything."""
        if self.options.decay_scope == "kept":
            return kept
        return Kept(torch.ones_like(kept.cells), torch.ones_like(kept.kinds))

    def _clip(self, state: SearchState) -> None:
        clip_gradients(state.supernet.all_weights, self.config.gradient_clip)

    @torch.no_grad()
    def _add_decay(self, state: SearchState, decaying: Kept, factor: int) -> None:
        """Add factor * lambda * w and factor * lambda * alpha to the gradients of what decays."""
        weights = state.supernet.weights(decaying.cells)
        decays = torch._foreach_mul([*weights], factor * self.config.weight_decay)
        for weight, decay in zip(weights, decays, strict=True):
            weight.grad = decay if weight.grad is None else weight.grad.add_(decay)
        for alpha, mask in zip(state.alphas, decaying.kinds, strict=True):
            decay = factor * self.config.alpha_weight_decay * alpha * _beside(mask, alpha)
            alpha.grad = decay if alpha.grad is None else alpha.grad.add_(decay)

    def _move(self, state: SearchState, moving: Kept) -> None:
        """A step of both optimisers.

        With `dropped="moved"` what has no gradient has a gradient of zero, so that momentum and Adam still move it.
        With "frozen" it stays where it is, and so do its momentum and Adam's two averages; only Adam's count of steps,
        one for a whole matrix, goes on.
        """
        for parameter in [*state.alphas, *(state.supernet.all_weights if self._moves_dropped else ())]:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        state.weight_optimiser.step()
        if self._moves_dropped:
            state.alpha_optimiser.step()
        else:
            step_only(state.alpha_optimiser, state.alphas, moving.kinds)

    @property
    def _moves_dropped(self) -> bool:
        return self.options.dropped == "moved"


@torch.no_grad()
def step_only(optimiser: Adam, alphas: Alphas, moving: Tensor) -> None:
    """A step of Adam that moves only some alphas, and only their averages; moving is bool (2, edges, operations)."""
    zero = torch.zeros(())
    before = [
        [alpha.clone(), *(optimiser.state[alpha].get(key, zero).clone() for key in ("exp_avg", "exp_avg_sq"))]
        for alpha in alphas
    ]
    optimiser.step()
    for alpha, saved, mask in zip(alphas, before, moving, strict=True):
        now = (alpha, optimiser.state[alpha]["exp_avg"], optimiser.state[alpha]["exp_avg_sq"])
        for value, old in zip(now, saved, strict=True):
            value.copy_(torch.where(_beside(mask, value), value, old.to(value)))


def _beside(mask: Tensor, values: Tensor) -> Tensor:
    return mask.to(values.device, non_blocking=True)


def make_strategy(config: SearchConfig, space: SearchSpace) -> Strategy:
    """The strategy that a configuration names: a preset, one of TWO_LEVEL, or `module:ATTRIBUTE` of a user's package.

    Raises:
        DropnasError: no such strategy, an unknown option, or something that is no strategy.
    """
    if config.strategy in TWO_LEVEL:
        return TwoLevel(config, space, **config.options)
    if config.strategy in PRESETS or not is_reference(config.strategy):
        return GroupedDropout(config, space, **vars(options_of(config)))
    factory = load(config.strategy)
    if not callable(factory):
        raise DropnasError(f"is a {type(factory).__name__}, not a strategy", where=config.strategy)
    try:
        inspect.signature(factory).bind(config, space, **config.options)
    except TypeError as error:
        raise DropnasError(
            f"cannot be made with options {sorted(config.options)} ({error})",
            where=config.strategy,
            remedy="it is called as ATTRIBUTE(config, space, **options)",
        ) from error
    strategy: Strategy = factory(config, space, **config.options)
    missing = [name for name in ("step", "state_dict", "load_state_dict") if not hasattr(strategy, name)]
    if missing:
        raise DropnasError(
            f"has no {missing[0]}()", where=config.strategy, remedy="see dropnas.search.strategy.Strategy"
        )
    return strategy
