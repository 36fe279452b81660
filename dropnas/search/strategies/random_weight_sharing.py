"""Random search with weight sharing (Li and Talwalkar, 2019): only w is trained; the best random architecture wins.

One half of the images is used for training, and each of its batches trains a random architecture. For both kinds of
cells, each node gets two different predecessors, and each of these two edges gets one operation. All choices are
uniform, and the operation may be zero. The drawn operations have weight 1, all others weight 0. SGD updates w; its
momentum and weight decay also change the weights of operations that were not drawn. The training is followed by a
selection: random architectures are scored by their error on the other half of the images, with the shared weights. Each
round of the selection scores 1,000 architectures on 10 batches each, then scores its ten best on the entire half. Batch
norms use their running statistics. The best architecture of all rounds is the genotype. There is one round per 10,000
training batches.

Sources: the paper and the authors' code. The authors tried five settings; the fifth, for which they report results, is
used here. One detail of their code comes from memory alone: the images used in the selection are augmented like the
training images.

What differs here: if there are fewer than 10,000 training batches, proportionally fewer architectures are scored. The
running statistics of operations that were not drawn do not change, so a CPU need not compute these operations. The
alphas stay 0 and have no meaning; the options `alpha_…` and `derive` have no effect.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from dropnas.data import batches
from dropnas.errors import DropnasError
from dropnas.search.architecture import ALPHAS
from dropnas.search.config import Scalar, SearchConfig
from dropnas.search.epoch_draws import augmentation
from dropnas.search.options import with_options
from dropnas.search.state import SearchState, SeedRun, Tensors
from dropnas.search.strategies.drawn_architecture import draw_architecture, error_of, genotype_of
from dropnas.search.strategies.two_level import Level, Mixing, TwoLevel
from dropnas.search.strategy import Batch
from dropnas.space.genotype import Genotype
from dropnas.space.names import ZERO
from dropnas.space.spaces import EDGES, SearchSpace
from dropnas.training.seeding import generator

PER_ROUND = 10_000  # training batches per round


@dataclass(frozen=True)
class RandomWeightSharingOptions:
    """Options of the search: how architectures are drawn, and how many are scored.

    Attributes:
        rounds: number of rounds of the selection; 0 means one per 10,000 training batches, but at least one.
        architectures: number of architectures that a round scores.
        batches: number of batches of held-out images on which each architecture is scored.
        finalists: number of best architectures of a round that are scored on all held-out images.
        short: if there are fewer than 10,000 training batches, `share` scores proportionally fewer architectures and
            `all` scores all of them.
        images: whether the images used in the selection are `augmented` or `plain`.
        zero: whether the zero operation can be drawn.
        statistics: whether a batch updates the running statistics of the `drawn` operations or of `all` operations. The
            authors' code computes all operations, and so updates all of them.
    """

    rounds: int = field(default=0, metadata={"ge": 0})
    architectures: int = field(default=1000, metadata={"ge": 1})
    batches: int = field(default=10, metadata={"ge": 1})
    finalists: int = field(default=10, metadata={"ge": 1})
    short: Literal["share", "all"] = "share"
    images: Literal["augmented", "plain"] = "augmented"
    zero: bool = True
    statistics: Literal["drawn", "all"] = "drawn"


class SelectionSize(NamedTuple):
    """The size of the selection: the number of rounds, and the architectures and finalists of each round."""

    rounds: int
    architectures: int
    finalists: int


class RandomWeightSharing(TwoLevel):
    """Random search with weight sharing."""

    def __init__(self, config: SearchConfig, space: SearchSpace, **options: Scalar) -> None:
        """Set the options that differ from the defaults.

        Raises:
            DropnasError: an option is unknown or has an invalid value, or there are more finalists than architectures.
        """
        super().__init__(config, space)
        where = f"strategy {config.strategy!r}"
        self.options = with_options(RandomWeightSharingOptions(), options, where)
        if self.options.finalists > self.options.architectures:
            what = f"{self.options.finalists} finalists of {self.options.architectures} architectures"
            raise DropnasError(what, where=where, remedy="take fewer finalists, or more architectures")
        names = space.operations
        self.drawable = [index for index, name in enumerate(names) if self.options.zero or name != ZERO]

    def architecture(self, phase: int, generator: torch.Generator) -> Tensors:
        """Alphas that stay 0."""
        return {ALPHAS: torch.zeros(2, EDGES, len(self.space.operations))}

    def memory(self, phase: int, before: Mapping[str, Tensor] | None) -> Tensors:
        """The results of the selection so far.

        These are the indices and errors of the best architectures of the current round, and the round, index and error
        of the best architecture of all rounds.
        """
        count = self.options.finalists
        return {
            "finalists": torch.full((count,), -1),
            "finalist_errors": torch.full((count,), math.inf, dtype=torch.float64),
            "chosen": torch.full((2,), -1),
            "chosen_error": torch.tensor(math.inf, dtype=torch.float64),
        }

    def draw(self, epoch: int, steps: int, generator: torch.Generator) -> Tensors:
        """Draw one architecture for each step: bool (steps, 2, edges, operations)."""
        drawn = [draw_architecture(self.drawable, len(self.space.operations), generator) for _ in range(steps)]
        return {"architecture": torch.stack(drawn)}

    def step(self, state: SearchState, batch: Batch) -> tuple[Tensor, Tensor]:
        """Update w only."""
        return self.weight_step(state, batch)

    def mixing(self, state: SearchState, batch: Batch, level: Level) -> Mixing:
        """The operations of the drawn architecture, each with weight 1."""
        drawn = state.of_cells(batch.drawn["architecture"])
        return Mixing(drawn.to(state.weights.dtype), drawn if self.options.statistics == "drawn" else None)

    # ---- the selection

    def selection(self, run: SeedRun) -> SelectionSize:
        """Return the size of the selection, which depends on the number of training batches."""
        options, config = self.options, self.config
        steps = config.epochs * len(batches.sizes(len(run.trained), config.batch_size))
        count = options.architectures
        if options.short == "share":
            count = min(count, math.ceil(count * steps / PER_ROUND))
        return SelectionSize(options.rounds or max(1, steps // PER_ROUND), count, min(count, options.finalists))

    def closing_steps(self, run: SeedRun) -> int:
        """The number of steps of the selection: in each round, one for each architecture and one for each finalist."""
        rounds, architectures, finalists = self.selection(run)
        return rounds * (architectures + finalists)

    def close(self, run: SeedRun, step: int) -> float:
        """Score an architecture on some held-out images, or a finalist on all of them; return its error, 0 to 1."""
        _, architectures, finalists = self.selection(run)
        number, index = divmod(step, architectures + finalists)
        if index < architectures:
            first = (number * architectures + index) * self.options.batches
            scored = [self.batch(run, first + offset) for offset in range(self.options.batches)]
            error = error_of(run, self.candidate(run, number, index), scored)
            _enter(run.memory, index, error)
            return error
        candidate = int(run.memory["finalists"][index - architectures])
        error = error_of(run, self.candidate(run, number, candidate), self.all_batches(run, number, candidate))
        if error < run.memory["chosen_error"]:
            run.memory["chosen_error"].fill_(error)
            run.memory["chosen"].copy_(torch.tensor([number, candidate]))
        return error

    def candidate(self, run: SeedRun, number: int, index: int) -> Tensor:
        """Draw the architecture with this index in round `number`: bool (2, edges, operations)."""
        random = generator(run.config.seed, "candidates", number, index)
        return draw_architecture(self.drawable, len(self.space.operations), random)

    def batch(self, run: SeedRun, number: int) -> Tensors:
        """Return a batch of held-out images as `batch_of` expects it; each pass over the images has a new order."""
        size = run.config.batch_size
        passes, index = divmod(number, math.ceil(len(run.held_out) / size))
        order = torch.randperm(len(run.held_out), generator=generator(run.config.seed, "selection", passes))
        chosen = run.held_out[order[index * size : (index + 1) * size]]
        return self._prepared(chosen, generator(run.config.seed, "selection augmentation", number))

    def all_batches(self, run: SeedRun, number: int, candidate: int) -> Iterator[Tensors]:
        """Yield all held-out images in batches, to score a finalist."""
        random = generator(run.config.seed, "finalist augmentation", number, candidate)
        for chosen in run.held_out.split(run.config.batch_size):  # type: ignore[no-untyped-call]
            yield self._prepared(chosen, random)

    def _prepared(self, chosen: Tensor, random: torch.Generator) -> Tensors:
        """Return indices of images with their crop corners and flips; plain images are centred and not flipped."""
        drawn = augmentation(self.config, len(chosen), random)
        if self.options.images == "plain":
            drawn["corners"].fill_(self.config.crop_padding)
            drawn["flips"].fill_(False)
        return {"order": chosen, **drawn}

    def derive(self, run: SeedRun) -> Genotype | None:
        """Return the selected architecture; None before the selection has ended."""
        number, candidate = run.memory["chosen"].tolist()
        if candidate < 0:
            return None
        return genotype_of(self.space, self.candidate(run, number, candidate))

    def results(self, run: SeedRun) -> dict[str, Scalar]:
        """Report the error of the selected architecture on all held-out images (percent), and how many were scored."""
        rounds, architectures, _ = self.selection(run)
        return {"selection_error": 100 * run.memory["chosen_error"].item(), "selection_scored": rounds * architectures}


def _enter(memory: Tensors, index: int, error: float) -> None:
    """Store an architecture if it is among the best of its round; ties go to the earlier one."""
    numbers, errors = memory["finalists"], memory["finalist_errors"]
    if not index:
        errors.fill_(math.inf)
    every = torch.cat([errors, errors.new_tensor([error])])
    best = every.argsort(stable=True)[: len(errors)]
    numbers.copy_(torch.cat([numbers, numbers.new_tensor([index])])[best])
    errors.copy_(every[best])
