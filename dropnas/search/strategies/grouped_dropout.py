"""DropNAS: one-level search with grouped operation dropout, alpha-adjust and partial decay (Section 2.3).

Each batch draws a mask that drops operations, separately in the groups O_p (with parameters) and O_np (without). One
pass over the kept operations, mixed by Eq. 1, gives the gradients of w and of the alphas. SGD updates w and Adam
updates the alphas. A second step applies the weight decay to the kept parameters only. Alpha-adjust then corrects the
kept alphas so that the dropped operations keep their probability mass (Eq. 2 and 3).

Design choices: several methods are presets of `DropoutOptions`: the paper's ablations, one-level DARTS, and SNAS and
ProxylessNAS, which the paper describes by their drop rates. A step is a sequence of small methods, and a subclass may
override any of them. Dropped operations have zero weight and zero gradient. Masks also select the parameters that decay
and those that are updated.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from dropnas.search.architecture import alpha_adjust, kept_softmax
from dropnas.search.config import Scalar, SearchConfig
from dropnas.search.dropout import Kept, check_probabilities, drop_groups, drop_probabilities, sample_kept
from dropnas.search.options import with_options
from dropnas.search.state import SearchState, Tensors, clipped
from dropnas.search.strategy import Batch, Strategy
from dropnas.search.supernet import cell_kinds
from dropnas.space.spaces import SearchSpace


class Gradients(NamedTuple):
    """The gradients with respect to w, (K, weights), and to the alphas, (K, 2, edges, operations)."""

    weights: Tensor
    alphas: Tensor


class GroupedDropout(Strategy):
    """DropNAS with the options of `DropoutOptions`."""

    def __init__(self, config: SearchConfig, space: SearchSpace, **options: Scalar) -> None:
        """Set the options that differ from DropNAS' defaults or, for a preset, from the preset's values.

        Raises:
            DropnasError: an option is unknown or has an invalid value.
        """
        super().__init__(config, space)
        assert config.preset is not None  # it is None only for methods without grouped dropout
        self.options = with_options(config.preset, options, f"strategy {config.strategy!r}")
        self.groups = drop_groups(self.options, space)

    def drop_probabilities(self, epoch: int) -> Tensor:
        """Return the drop probability p_d of each operation of the space in an epoch: double (operations,)."""
        return drop_probabilities(self.options, self.space)

    def draw(self, epoch: int, steps: int, generator: torch.Generator) -> Tensors:
        """Draw the masks: `cells` (steps, cells, edges, operations) and `kinds` (steps, 2, edges, operations)."""
        probabilities, kinds = self.drop_probabilities(epoch), cell_kinds(self.config.cells)
        check_probabilities(
            probabilities, self.groups, len(self.space.operations), f"strategy {self.config.strategy!r}"
        )
        kept = [sample_kept(self.options.masks, kinds, probabilities, self.groups, generator) for _ in range(steps)]
        return {
            "cells": torch.stack([each.cells for each in kept]),
            "kinds": torch.stack([each.kinds for each in kept]),
        }

    def step(self, state: SearchState, batch: Batch) -> tuple[Tensor, Tensor]:
        """Train on one batch: loss step, decay step, alpha-adjust."""
        kept = Kept(batch.drawn["cells"], batch.drawn["kinds"])
        before = state.alphas.detach().clone()
        losses, logits, gradients = self.differentiate(state, batch, kept)
        self.descend(state, kept, gradients)
        if self.options.decay == "released":
            self.decay(state, kept)
        self.adjust(state, kept, before)
        return losses, logits

    def differentiate(self, state: SearchState, batch: Batch, kept: Kept) -> tuple[Tensor, Tensor, Gradients]:
        """Return the losses, logits and gradients of a pass over the kept operations (Eq. 1).

        The gradients of dropped operations are zero.
        """
        mixing = kept_softmax(state.of_cells(state.alphas), kept.cells)
        losses, logits = state.losses(batch.images, batch.labels, mixing, kept.cells)
        gradients = Gradients(*state.gradients(losses, state.alphas))
        return losses.detach(), logits.detach(), gradients

    @torch.no_grad()
    def descend(self, state: SearchState, kept: Kept, gradients: Gradients) -> None:
        """The loss step: clip the gradient of w (not of alpha), add L2 if `decay` is `l2`, and move w and alpha."""
        gradients = gradients._replace(weights=clipped(gradients.weights, self.config.gradient_clip))
        moving = kept
        if self.options.decay == "l2":
            moving = self._decaying(kept)
            decay = self._decay_of(state, moving, factor=1)
            gradients = Gradients(gradients.weights + decay.weights, gradients.alphas + decay.alphas)
        self._move(state, moving, gradients)

    @torch.no_grad()
    def decay(self, state: SearchState, kept: Kept) -> None:
        """The decay step: move the parameters that `decay_scope` selects along the gradient of lambda * ||.||^2.

        For w, this gradient is clipped.
        """
        decaying = self._decaying(kept)
        decay = self._decay_of(state, decaying, factor=2)
        self._move(state, decaying, decay._replace(weights=clipped(decay.weights, self.config.gradient_clip)))

    @torch.no_grad()
    def adjust(self, state: SearchState, kept: Kept, before: Tensor) -> None:
        """Apply alpha-adjust (Eq. 2, 3) to the alphas after both steps; `before` are the alphas before the batch."""
        state.alphas.copy_(alpha_adjust(before, state.alphas, kept.kinds, self.options.alpha_adjust))

    def _decaying(self, kept: Kept) -> Kept:
        """Select the parameters that decay: the kept ones if `decay_scope` is `kept`, otherwise all."""
        if self.options.decay_scope == "kept":
            return kept
        return Kept(torch.ones_like(kept.cells), torch.ones_like(kept.kinds))

    def _decay_of(self, state: SearchState, decaying: Kept, factor: int) -> Gradients:
        """factor * lambda * w and factor * lambda * alpha for the parameters that decay, 0 for the others."""
        return Gradients(
            factor * self.config.weight_decay * state.weights * state.of_weights(decaying.cells),
            factor * self.config.alpha_weight_decay * state.alphas * decaying.kinds,
        )

    def _move(self, state: SearchState, moving: Kept, gradients: Gradients) -> None:
        """Take a step of both optimisers.

        With `dropped="moved"`, dropped parameters have a gradient of zero, so momentum and Adam still move them. With
        `dropped="frozen"`, dropped parameters, their momentum and Adam's averages stay unchanged; only Adam's step
        count rises.
        """
        weights, alphas = state.weight_optimiser, state.architecture_optimiser
        frozen = self.options.dropped == "frozen"
        of_weights = [state.weights, *weights.slots["momentum"]] if frozen else []
        of_alphas = [state.alphas, *alphas.slots["average"], *alphas.slots["squared_average"]] if frozen else []
        before = [tensor.clone() for tensor in (*of_weights, *of_alphas)]
        weights.step([gradients.weights])
        alphas.step([gradients.alphas])
        if frozen:
            masks = [state.of_weights(moving.cells)] * len(of_weights) + [moving.kinds] * len(of_alphas)
            _keep_where_not(masks, [*of_weights, *of_alphas], before)


def _keep_where_not(masks: Sequence[Tensor], tensors: Sequence[Tensor], before: Sequence[Tensor]) -> None:
    for mask, tensor, old in zip(masks, tensors, before, strict=True):
        tensor.copy_(torch.where(mask, tensor, old))
