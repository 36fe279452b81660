"""Searches that differ in their seed alone, trained as one: each step is one program for all of them.

Design choices: everything of a search but its place in the tensors is its own (draws, weights, alphas, both optimisers,
history), so it gets the numbers that it gets alone, but for rounding, and its state continues it in any company.
Everything random of an epoch is drawn when the epoch starts, so a state holds no generator: an epoch entered again
draws the same, and the count of steps says how far it has come.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from dropnas.data import batches
from dropnas.data.arrays import ImageArrays
from dropnas.errors import DropnasError
from dropnas.search.architecture import Alphas
from dropnas.search.config import PRESETS, SearchConfig
from dropnas.search.course import Matrices, describe, matrices, not_finite
from dropnas.search.engine.supernet import FastSupernet, is_known
from dropnas.search.options import options_of
from dropnas.search.program.draws import blank, drawn
from dropnas.search.program.step import Moving, Step, start
from dropnas.search.start import first_alphas, first_supernet
from dropnas.space.spaces import SearchSpace
from dropnas.training.captured import Captured
from dropnas.training.metrics import Row
from dropnas.training.schedule import cosine


def is_static(config: SearchConfig, space: SearchSpace) -> bool:
    """Whether a step of this search is a static program: a preset of grouped dropout on the fast supernet.

    A user's own strategy or operation may do anything, and two-level searches make several passes.
    """
    return config.strategy in PRESETS and config.asks_for_fast and is_known(space)


AXES = {"losses": 1, "hits": 1}  # where the searches stand in the tensors of `Moving`; in all others they are first


@dataclass
class Member:
    """One search of a company.

    Attributes:
        alphas: views of the company's, so they move with it.
        history: the alphas after each epoch, the first before all.
    """

    config: SearchConfig
    space: SearchSpace
    supernet: FastSupernet
    alphas: Alphas
    history: list[Matrices] = field(default_factory=list)


class SearchesTogether:
    """K searches that differ in their seed alone, trained as one.

    Attributes:
        searches: in the order of the configurations.
        images_seen: since this start, by all of them.
    """

    def __init__(self, configs: Sequence[SearchConfig], space: SearchSpace, images: ImageArrays, device: str) -> None:
        """Make everything of the searches; nothing is trained yet.

        Raises:
            DropnasError: the configurations differ in more than the seed, or have no static step.
        """
        _check(configs, space)
        self.config, self.images, self.device = configs[0], images, device
        self.sizes = batches.sizes(len(images), self.config.batch_size)
        supernets = [first_supernet(FastSupernet, config, space, images.classes).to(device) for config in configs]
        self.moving = start(supernets, [first_alphas(config, space) for config in configs], len(self.sizes))
        pairs = [Alphas(*of_one.unbind()) for of_one in self.moving.alphas.detach()]
        self.searches = [
            Member(config, space, supernet, alphas, [matrices(alphas)])
            for config, supernet, alphas in zip(configs, supernets, pairs, strict=True)
        ]
        shape = (len(self.sizes), len(configs), self.sizes[0], self.config.cells, len(space.operations))
        self.draws = blank(*shape, device)
        self.program = Step(self.config, options_of(self.config), supernets, self.moving, self.draws, images)
        self.captured = self._captured()
        self.images_seen = 0

    @property
    def steps_per_epoch(self) -> int:
        """Batches of an epoch."""
        return len(self.sizes)

    def start_epoch(self, epoch: int) -> None:
        """Draw all of the epoch, set its learning rate, empty its tables."""
        of_each = [drawn(search.config, search.space, len(self.images), epoch) for search in self.searches]
        self.draws.take_over(of_each)
        self.program.rate.fill_(self._learning_rate(epoch))
        for table in (self.moving.counter, self.moving.losses, self.moving.hits):
            table.zero_()

    def step(self, epoch: int, step: int) -> Tensor:
        """Train each search on its next batch, the one of this step.

        Returns:
            losses (K,), detached; they stand until the next epoch starts.
        """
        size = self.sizes[step]
        self.captured[size]()
        self.images_seen += size * len(self.searches)
        return self.moving.losses[step]

    def finish_epoch(self, epoch: int) -> list[Row | DropnasError]:
        """The epoch's row of each search: what was learned, and where the alphas stand; or that one is not finite."""
        count, sizes = sum(self.sizes), torch.tensor(self.sizes, dtype=torch.float64)
        losses = (self.moving.losses.cpu().double() * sizes[:, None]).sum(dim=0) / count
        accuracies = 100 * self.moving.hits.cpu().sum(dim=0) / count
        rows: list[Row | DropnasError] = []
        for search, loss, accuracy in zip(self.searches, losses.tolist(), accuracies.tolist(), strict=True):
            search.history.append(matrices(search.alphas))
            learned = {"train_loss": loss, "train_accuracy": accuracy, "learning_rate": self._learning_rate(epoch)}
            fault = not_finite(search.alphas, epoch)
            rows.append(fault or {**learned, **describe(search.space, search.alphas)})
        return rows

    def state_dicts(self) -> list[dict[str, Any]]:
        """All that moved, of each search by itself."""
        return [self._state_of(place) for place in range(len(self.searches))]

    def load_state_dicts(self, states: Sequence[dict[str, Any]]) -> None:
        """Take over one state for each search, from whatever company.

        Raises:
            DropnasError: they have not come equally far.
        """
        if len({int(state["counter"]) for state in states}) > 1:
            raise DropnasError("searches trained together must have come equally far")
        for search, state in zip(self.searches, states, strict=True):
            search.supernet.load_state_dict(state["supernet"])
            search.history = list(state["history"])
        with torch.no_grad():
            for name, values in _of_searches(self.moving).items():
                for place, state in enumerate(states):
                    values.select(AXES.get(name, 0), place).copy_(state[name])
            self.moving.counter.fill_(int(states[0]["counter"]))

    def _learning_rate(self, epoch: int) -> float:
        config = self.config
        return cosine(config.learning_rate, config.learning_rate_min, epoch, config.epochs)

    def _captured(self) -> dict[int, Captured]:
        """The program for whole batches, and beside it the one for a smaller last batch."""
        buffers = [buffer for search in self.searches for buffer in search.supernet.buffers()]
        found: dict[int, Captured] = {}
        for size in dict.fromkeys(self.sizes):
            beside = next(iter(found.values()), None)
            moving = [*self.moving.tensors(), *buffers]
            prepare = _compiled if self.program.fused else None
            found[size] = Captured(partial(self.program, size), moving, self.device, beside, prepare)
        return found

    def _state_of(self, place: int) -> dict[str, Any]:
        search = self.searches[place]
        state: dict[str, Any] = {
            name: values.detach().select(AXES.get(name, 0), place).clone()
            for name, values in _of_searches(self.moving).items()
        }
        state["counter"] = int(self.moving.counter)
        state["supernet"] = {name: value.clone() for name, value in search.supernet.state_dict().items()}
        state["history"] = list(search.history)
        return state


class SearchAlone:
    """One such search by itself, as the training loop takes it; see `Search` for its attributes."""

    def __init__(self, config: SearchConfig, space: SearchSpace, images: ImageArrays, device: str) -> None:
        """As a company of one."""
        self.together = SearchesTogether([config], space, images, device)
        (member,) = self.together.searches
        self.config, self.space, self.supernet, self.alphas = config, space, member.supernet, member.alphas

    @property
    def history(self) -> list[Matrices]:
        """The alphas after each epoch, the first before all."""
        return self.together.searches[0].history

    @property
    def images_seen(self) -> int:
        """Since this start."""
        return self.together.images_seen

    @property
    def steps_per_epoch(self) -> int:
        """Batches of an epoch."""
        return self.together.steps_per_epoch

    def start_epoch(self, epoch: int) -> None:
        """Draw all of the epoch."""
        self.together.start_epoch(epoch)

    def step(self, epoch: int, step: int) -> Tensor:
        """Train on one batch; gives its loss."""
        return self.together.step(epoch, step)[0]

    def finish_epoch(self, epoch: int) -> Row:
        """The epoch's row.

        Raises:
            DropnasError: an alpha is not finite.
        """
        (row,) = self.together.finish_epoch(epoch)
        if isinstance(row, DropnasError):
            raise row
        return row

    def state_dict(self) -> dict[str, Any]:
        """All that moved."""
        return self.together.state_dicts()[0]

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over such a state."""
        self.together.load_state_dicts([state])


def _compiled(program: Callable[[], None]) -> None:
    """Compile the kernels that a step launches; Triton is imported only where there are any."""
    from dropnas.search.triton.precompile import compile_ahead

    compile_ahead(program)


def _of_searches(moving: Moving) -> dict[str, Tensor]:
    """What has a part for each search; the weights are in the supernets."""
    averages = {f"average_{name}": values for name, values in moving.averages._asdict().items()}
    names = ("velocity", "alphas", "losses", "hits")
    return {**{name: getattr(moving, name) for name in names}, **averages}


def _check(configs: Sequence[SearchConfig], space: SearchSpace) -> None:
    first = configs[0]
    for config in configs:
        if replace(config, seed=first.seed) != first:
            raise DropnasError(
                "searches trained together differ in more than the seed",
                where=f"seeds {first.seed} and {config.seed}",
                remedy="train them apart",
            )
    if not is_static(first, space):
        raise DropnasError(
            "this search has no static step",
            where=f"strategy {first.strategy!r}, space {first.space!r}",
            remedy="train each seed by itself",
        )
