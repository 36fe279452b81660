"""Runs a training step for K seeds as a single program that can be recorded as a CUDA graph.

Design choices: the program reads the epoch's random draws and a step counter from tensors, and advances the counter
itself. It writes losses and hits to tables. No value therefore moves between host and device during a step. The
strategy's `step` does the training.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from dropnas.data import augment
from dropnas.data.arrays import ImageArrays
from dropnas.errors import DropnasError
from dropnas.search.config import SearchConfig
from dropnas.search.epoch_draws import HELD_OUT_PREFIX, STRATEGY_PREFIX, part
from dropnas.search.state import SearchState
from dropnas.search.strategy import Batch, Strategy


@dataclass(frozen=True)
class EpochTables:
    """The progress of an epoch and the results of its steps."""

    counter: Tensor  # int64 (1,), the index of the next step
    losses: Tensor  # (K, steps)
    hits: Tensor  # int64 (K, steps), the number of correctly classified images

    @classmethod
    def empty(cls, weights: Tensor, steps: int) -> "EpochTables":
        """Create empty tables for K seeds, with the dtype and device of `weights` (K, weights)."""
        losses = weights.new_zeros(len(weights), steps)
        return cls(losses.new_zeros(1, dtype=torch.int64), losses, torch.zeros_like(losses, dtype=torch.int64))

    def tensors(self) -> tuple[Tensor, Tensor, Tensor]:
        """All tensors of the tables."""
        return self.counter, self.losses, self.hits

    def note(self, losses: Tensor, hits: Tensor) -> None:
        """Write a step's losses and hits, each (K,), and advance the counter."""
        here = torch.arange(self.losses.shape[1], device=self.losses.device) == self.counter
        self.losses.copy_(torch.where(here, losses[:, None], self.losses))
        self.hits.copy_(torch.where(here, hits[:, None], self.hits))
        self.counter.add_(1)


@dataclass(frozen=True)
class Step:
    """A program that runs one variant of the training step; call it with the batch size."""

    config: SearchConfig
    strategy: Strategy
    state: SearchState
    tables: EpochTables
    draws: Mapping[str, Tensor]  # the epoch's draws, each (steps, K, ...), on the device
    images: ImageArrays  # all training images, on the device
    variant: str = ""

    def __call__(self, size: int) -> None:
        """Train each seed on its next batch of `size` images."""
        drawn = {name: values.index_select(0, self.tables.counter)[0] for name, values in self.draws.items()}
        images, labels = batch_of(self.images, self.config, drawn, size)
        others = part(drawn, HELD_OUT_PREFIX)
        held_out = batch_of(self.images, self.config, others) if others else None
        batch = Batch(images, labels, part(drawn, STRATEGY_PREFIX), held_out, self.variant)
        losses, logits = self._checked(self.strategy.step(self.state, batch), labels)
        self.tables.note(losses, (logits.argmax(dim=2) == labels).sum(dim=1))

    def _checked(self, found: Any, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Check losses (K,) and logits (K, B, classes) and detach them, so that autograd's graph is released."""
        parts = found if isinstance(found, tuple | list) else (found,)
        shapes = [tuple(each.shape) if isinstance(each, Tensor) else type(each).__name__ for each in parts]
        wanted = [(len(labels),), (*labels.shape, self.images.classes)]
        if shapes != wanted:
            raise DropnasError(
                f"step returns {', '.join(map(str, shapes))}",
                where=self.config.strategy,
                remedy=f"losses {wanted[0]} and logits {wanted[1]} are needed",
            )
        return parts[0].detach(), parts[1].detach()


def batch_of(
    images: ImageArrays, config: SearchConfig, drawn: Mapping[str, Tensor], size: int | None = None
) -> tuple[Tensor, Tensor]:
    """Return cropped, flipped and normalised images (K, B, 3, H, W), and their labels (K, B).

    Args:
        drawn: the tensors `order` (K, at least B), `corners` (K, 2, ...) and `flips` (K, ...), on the device.
        size: the batch size B; None means all images in `order`.
    """
    chosen = drawn["order"][:, :size]
    taken = images.batch(chosen.flatten())
    taken = augment.crop(taken, config.crop_padding, drawn["corners"][..., :size].transpose(0, 1).flatten(1))
    if config.flip:
        taken = augment.flip(taken, drawn["flips"][:, :size].flatten())
    taken = augment.normalise(taken, images.mean, images.std)
    return taken.view(*chosen.shape, *taken.shape[1:]), images.labels[chosen]
