"""Random search with weight sharing (Li and Talwalkar, 2019): nothing but w is learned, and the best draw wins.

Each batch of one half of the images trains an architecture drawn at random: for each node of each kind of cell two
different predecessors and on each of these edges an operation, all uniformly, zero included. Its operations have weight
1, all others 0, and plain SGD moves w; momentum and decay also move what was not drawn. After the last batch the shared
weights choose, on the other half: in each round 1,000 random architectures are scored on 10 batches each, the ten best
of them on the entire half, with the running statistics of the batch norms. The best of all rounds is the genotype.
There is a round for each 10,000 batches of the training.

What is sure: all of it, from paper and code; the settings are the fifth of five that the authors tried, the one they
report. That the images of the selection are augmented, like all others of the search, is remembered from their code.
Here a training shorter than 10,000 batches scores fewer architectures, in proportion. Running statistics of operations
that were not drawn stay, so that a CPU need not compute them. The alphas stay 0 and say nothing; `alpha_` options and
`derive` have no effect.
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

PER_ROUND = 10_000  # batches of the training


@dataclass(frozen=True)
class RandomWeightSharingOptions:
    """What is drawn, and how much is scored.

    Attributes:
        rounds: of the selection; 0 makes one for each 10,000 batches of the training, at least one.
        architectures: that a round scores.
        batches: of held-out images that each of them is scored on.
        finalists: of each round, that are scored on all held-out images.
        short: a training of fewer than 10,000 batches scores its `share` of the architectures, or `all`.
        images: of the selection, `augmented` or `plain`.
        zero: whether zero is drawn too.
        statistics: whose running statistics a batch moves: those of the operations that were `drawn`, or of `all`, as
            in the authors' code, which computes all of them.
    """

    rounds: int = field(default=0, metadata={"ge": 0})
    architectures: int = field(default=1000, metadata={"ge": 1})
    batches: int = field(default=10, metadata={"ge": 1})
    finalists: int = field(default=10, metadata={"ge": 1})
    short: Literal["share", "all"] = "share"
    images: Literal["augmented", "plain"] = "augmented"
    zero: bool = True
    statistics: Literal["drawn", "all"] = "drawn"


class Selection(NamedTuple):
    """How much is scored: rounds, and of each the architectures and the finalists."""

    rounds: int
    architectures: int
    finalists: int


class RandomWeightSharing(TwoLevel):
    """Random search with weight sharing."""

    def __init__(self, config: SearchConfig, space: SearchSpace, **options: Scalar) -> None:
        """Take options that differ from the defaults.

        Raises:
            DropnasError: an unknown option, a value that it does not take, or more finalists than architectures.
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
        """The best of a round so far, by their numbers, and the chosen one, by round and number."""
        count = self.options.finalists
        return {
            "finalists": torch.full((count,), -1),
            "finalist_errors": torch.full((count,), math.inf, dtype=torch.float64),
            "chosen": torch.full((2,), -1),
            "chosen_error": torch.tensor(math.inf, dtype=torch.float64),
        }

    def draw(self, epoch: int, steps: int, generator: torch.Generator) -> Tensors:
        """An architecture a step: bool (steps, 2, edges, operations)."""
        drawn = [draw_architecture(self.drawable, len(self.space.operations), generator) for _ in range(steps)]
        return {"architecture": torch.stack(drawn)}

    def step(self, state: SearchState, batch: Batch) -> tuple[Tensor, Tensor]:
        """Move w."""
        return self.weight_step(state, batch)

    def mixing(self, state: SearchState, batch: Batch, level: Level) -> Mixing:
        """The operations of the architecture, each with weight 1."""
        drawn = state.of_cells(batch.drawn["architecture"])
        return Mixing(drawn.to(state.weights.dtype), drawn if self.options.statistics == "drawn" else None)

    # ---- the selection

    def selection(self, run: SeedRun) -> Selection:
        """How much is scored after a training of this length."""
        options, config = self.options, self.config
        steps = config.epochs * batches.steps_per_epoch(len(run.trained), config.batch_size)
        count = options.architectures
        if options.short == "share":
            count = min(count, math.ceil(count * steps / PER_ROUND))
        return Selection(options.rounds or max(1, steps // PER_ROUND), count, min(count, options.finalists))

    def closing_steps(self, run: SeedRun) -> int:
        """One for each architecture of each round, and then one for each finalist."""
        rounds, architectures, finalists = self.selection(run)
        return rounds * (architectures + finalists)

    def close(self, run: SeedRun, step: int) -> float:
        """Score an architecture, or a finalist on all held-out images; gives its error, 0 to 1."""
        _, architectures, finalists = self.selection(run)
        number, place = divmod(step, architectures + finalists)
        if place < architectures:
            first = (number * architectures + place) * self.options.batches
            scored = [self.batch(run, first + index) for index in range(self.options.batches)]
            error = error_of(run, self.candidate(run, number, place), scored)
            _enter(run.memory, place, error)
            return error
        candidate = int(run.memory["finalists"][place - architectures])
        error = error_of(run, self.candidate(run, number, candidate), self.all_batches(run, number, candidate))
        if error < run.memory["chosen_error"]:
            run.memory["chosen_error"].fill_(error)
            run.memory["chosen"].copy_(torch.tensor([number, candidate]))
        return error

    def candidate(self, run: SeedRun, number: int, place: int) -> Tensor:
        """An architecture of a round: bool (2, edges, operations)."""
        random = generator(run.config.seed, "candidates", number, place)
        return draw_architecture(self.drawable, len(self.space.operations), random)

    def batch(self, run: SeedRun, number: int) -> Tensors:
        """A batch of held-out images, in passes over all of them, each in another order: what `batch_of` takes."""
        size = run.config.batch_size
        passes, place = divmod(number, math.ceil(len(run.held_out) / size))
        order = torch.randperm(len(run.held_out), generator=generator(run.config.seed, "selection", passes))
        chosen = run.held_out[order[place * size : (place + 1) * size]]
        return self._prepared(chosen, generator(run.config.seed, "selection augmentation", number))

    def all_batches(self, run: SeedRun, number: int, candidate: int) -> Iterator[Tensors]:
        """Batches of all held-out images, for a finalist."""
        random = generator(run.config.seed, "finalist augmentation", number, candidate)
        for chosen in run.held_out.split(run.config.batch_size):  # type: ignore[no-untyped-call]
            yield self._prepared(chosen, random)

    def _prepared(self, chosen: Tensor, random: torch.Generator) -> Tensors:
        """Images with their corners and flips; in the middle and unflipped where they are plain."""
        drawn = augmentation(self.config, len(chosen), random)
        if self.options.images == "plain":
            drawn["corners"].fill_(self.config.crop_padding)
            drawn["flips"].fill_(False)
        return {"order": chosen, **drawn}

    def derive(self, run: SeedRun) -> Genotype | None:
        """The chosen architecture; None before the selection has ended."""
        number, candidate = run.memory["chosen"].tolist()
        if candidate < 0:
            return None
        return genotype_of(self.space, self.candidate(run, number, candidate))

    def results(self, run: SeedRun) -> dict[str, Scalar]:
        """The error of the chosen architecture on all held-out images, in percent, and how many were scored."""
        rounds, architectures, _ = self.selection(run)
        return {"selection_error": 100 * run.memory["chosen_error"].item(), "selection_scored": rounds * architectures}


def _enter(memory: Tensors, place: int, error: float) -> None:
    """Keep an architecture of a round if it is among the best so far; of equal ones the first."""
    numbers, errors = memory["finalists"], memory["finalist_errors"]
    if not place:
        errors.fill_(math.inf)
    every = torch.cat([errors, errors.new_tensor([error])])
    best = every.argsort(stable=True)[: len(errors)]
    numbers.copy_(torch.cat([numbers, numbers.new_tensor([place])])[best])
    errors.copy_(every[best])
