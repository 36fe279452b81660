"""The interface of a search method: what an epoch draws, and what a batch does to the weights and the alphas.

Design choices: all methods, ours and a user's, use this interface. The host draws whatever is random in an epoch
before the epoch starts, from a generator that (seed, epoch) names. A batch is then a function of tensors alone, for K
seeds together, so that it can be recorded as a CUDA graph and replayed. What changes from epoch to epoch therefore
enters as something drawn, or as another variant of the step, never as a number that Python holds.
"""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from dropnas.errors import DropnasError
from dropnas.extension import is_reference, load
from dropnas.search.architecture import ALPHAS, initial_alphas
from dropnas.search.config import STRATEGIES, Scalar, SearchConfig
from dropnas.search.engine.cell import Backend
from dropnas.search.engine.engine import Engine
from dropnas.search.state import SearchState, SeedRun, Tensors
from dropnas.search.supernet import Supernet
from dropnas.space.genotype import Genotype
from dropnas.space.spaces import SearchSpace
from dropnas.training.optimisers import SGD, Adam
from dropnas.training.schedule import cosine


class Phase(NamedTuple):
    """A part of a search with a supernet, alphas and optimisers of its own."""

    cells: int
    epochs: int


@dataclass(frozen=True)
class Batch:
    """What a step of K seeds sees.

    Attributes:
        images, labels: normalised (K, B, 3, H, W), and int64 (K, B).
        drawn: what `Strategy.draw` drew for this step, each (K, ...).
        held_out: images and labels of a batch that does not train w; None where all images train w.
        variant: which form of the step this is, as `Strategy.variant` says.
    """

    images: Tensor
    labels: Tensor
    drawn: Mapping[str, Tensor]
    held_out: tuple[Tensor, Tensor] | None
    variant: str


class Strategy:
    """A search method. It is made by `factory(config, space, **options)`; every method but `step` has a default.

    Attributes:
        space: what is searched; a method may add operations to the space that it is given.
        weight_share: the share of the training images that trains w, above 0 and at most 1. An epoch passes over these,
            and each step also gets a random batch of the others.
        needs_held_out: whether its steps need images that do not train w.
        groups_seeds: whether several seeds may train as one group.
        records: whether its step can be recorded as a CUDA graph; if not, a run says so as it starts.
    """

    weight_share: float = 1.0
    needs_held_out: bool = False
    groups_seeds: bool = True
    records: bool = True

    def __init__(self, config: SearchConfig, space: SearchSpace) -> None:
        self.config, self.space = config, space

    # ---- what is trained

    @property
    def phases(self) -> Sequence[Phase]:
        """One after another; each begins with a new supernet, new alphas and new optimisers."""
        return (Phase(self.config.cells, self.config.epochs),)

    def make_supernet(self, phase: int, classes: int) -> Supernet:
        """The supernet of a phase; its weights are drawn afterwards."""
        return Supernet(self.space, self.config.channels, self.phases[phase].cells, classes)

    def make_engine(self, supernets: Sequence[Supernet], static: bool, backend: Backend | None) -> Engine:
        """What computes K such supernets as one network; see there for the arguments."""
        return Engine(supernets, static, backend)

    def architecture(self, phase: int, generator: torch.Generator) -> Tensors:
        """The architecture parameters of one seed at their start: `alphas` (2, edges, operations), and any others."""
        return {ALPHAS: torch.stack(list(initial_alphas(self.space, self.config.alpha_scale, generator)))}

    def memory(self, phase: int, before: Mapping[str, Tensor] | None) -> Tensors:
        """What the strategy itself remembers of one seed, as tensors that its steps may change.

        Args:
            before: architecture parameters and memory at the end of the phase before; None in the first phase, and
                where a checkpoint will replace what is returned.
        """
        return {}

    def optimisers(self, weights: Tensor, architecture: Tensors) -> tuple[SGD, SGD | Adam]:
        """Of w and of the architecture parameters, without weight decay, which is the strategy's business."""
        config = self.config
        betas = (config.alpha_beta1, config.alpha_beta2)
        sgd = SGD([weights], config.learning_rate, config.momentum)
        return sgd, Adam(architecture.values(), config.alpha_learning_rate, betas)

    def candidates(self, memory: Mapping[str, Tensor]) -> Tensor | None:
        """Which operations take part in a phase at all, where a method knows it as the phase begins; None means all.

        What no seed can use is not computed, on a GPU either. A step must still give `losses` a mask.

        Args:
            memory: of any number of seeds, each (..., and its own shape).

        Returns:
            bool (..., 2, edges, operations).
        """
        return None

    def unpruned(self, memory: Mapping[str, Tensor]) -> Tensor | None:
        """Which operations an edge still has, where a method prunes; the history marks the others. None means all.

        Args:
            memory: of one seed.

        Returns:
            bool (2, edges, operations).
        """
        return self.candidates(memory)

    # ---- an epoch, on the host

    def position(self, epoch: int) -> tuple[int, int]:
        """The phase of an epoch of the search, and the epoch counted from the start of that phase."""
        for index, phase in enumerate(self.phases):
            if epoch < phase.epochs:
                return index, epoch
            epoch -= phase.epochs
        raise IndexError(epoch)

    def learning_rate(self, phase: int, epoch: int) -> float:
        """Of w in an epoch, which is counted from the start of the phase."""
        config = self.config
        return cosine(config.learning_rate, config.learning_rate_min, epoch, self.phases[phase].epochs)

    def variant(self, epoch: int) -> str:
        """The form of the step in this epoch, if a method has several; each has its own recording."""
        return ""

    def step_variant(self, epoch: int, step: int, steps: int) -> str:
        """The form of one of the steps of an epoch, where not all of them have the epoch's."""
        return self.variant(epoch)

    def draw(self, epoch: int, steps: int, generator: torch.Generator) -> Tensors:
        """Whatever is random in an epoch of one seed: tensors (steps, ...) on the CPU.

        What is called `cells` must be masks, bool (steps, cells, edges, operations), that keep something on each edge.
        """
        return {}

    def end_epoch(self, epoch: int, run: SeedRun) -> bool:
        """Called after each epoch; may change the memory. Returns whether the search ends here."""
        return False

    def derive(self, run: SeedRun) -> Genotype | None:
        """The present genotype, if the method has its own derivation rule; changes nothing.

        It is asked for at the start, after each epoch, and at the end. None says that there is none yet; at the end it
        leaves it to the derive stage.
        """
        return None

    def closing_steps(self, run: SeedRun) -> int:
        """How many steps on the host follow the last batch of the search, for a method that then selects."""
        return 0

    def close(self, run: SeedRun, step: int) -> float:
        """One of these steps; may change the memory, which is saved between them. Gives a loss or an error."""
        raise NotImplementedError

    def results(self, run: SeedRun) -> dict[str, Scalar]:
        """What a finished search has to say in its result.json beside what every search says."""
        return {}

    # ---- a batch, on the device

    def step(self, state: SearchState, batch: Batch) -> tuple[Tensor, Tensor]:
        """Train K seeds on a batch, by operations on tensors alone, changing the tensors of the state in place.

        Returns:
            the losses (K,) and the logits (K, B, classes), both detached.
        """
        raise NotImplementedError


def make_strategy(config: SearchConfig, space: SearchSpace) -> Strategy:
    """The strategy that a configuration names: one of STRATEGIES, or `module:ATTRIBUTE` of a user's package.

    Raises:
        DropnasError: no such strategy, options that it does not take, something that is no Strategy, or a hook that is
            announced and missing.
    """
    reference = config.code["strategy"]
    if not is_reference(reference):
        raise DropnasError(
            f"unknown strategy {config.strategy!r}",
            remedy=f"known: {', '.join(STRATEGIES)}, or package.module:ATTRIBUTE",
        )
    factory = load(reference)
    if not callable(factory):
        raise DropnasError(f"is a {type(factory).__name__}, not a strategy", where=reference)
    try:
        inspect.signature(factory).bind(config, space, **config.options)
    except TypeError as error:
        remedy = "it is called as ATTRIBUTE(config, space, **options)"
        found = f"cannot be made with options {sorted(config.options)} ({error})"
        raise DropnasError(found, where=reference, remedy=remedy) from error
    strategy = factory(config, space, **config.options)
    if not isinstance(strategy, Strategy):
        raise DropnasError(
            f"makes a {type(strategy).__name__}",
            where=reference,
            remedy="derive it from dropnas.search.strategy.Strategy",
        )
    _check_hooks(type(strategy), config.strategy)
    _check_share(strategy.weight_share, config.strategy)
    if strategy.needs_held_out and strategy.weight_share == 1:
        remedy = "set weight_share below 1, such as 0.5"
        raise DropnasError("learns from held-out images, and holds out none", where=config.strategy, remedy=remedy)
    _check_phases(strategy.phases, config.strategy)
    return strategy


def _check_hooks(kind: type[Strategy], where: str) -> None:
    if kind.step is Strategy.step:
        raise DropnasError("has no method 'step'", where=where, remedy="say what a batch does to weights and alphas")
    if kind.closing_steps is not Strategy.closing_steps and kind.close is Strategy.close:
        raise DropnasError("has 'closing_steps' and no method 'close'", where=where, remedy="say what such a step does")


def _check_share(share: Any, where: str) -> None:
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share <= 1:
        raise DropnasError(f"weight_share is {share!r}", where=where, remedy="it is above 0 and at most 1")


def _check_phases(phases: Any, where: str) -> None:
    fits = isinstance(phases, Sequence) and all(isinstance(each, Phase) and each.epochs > 0 for each in phases)
    if not fits or not phases:
        raise DropnasError(f"phases is {phases!r}", where=where, remedy="a property that gives one Phase or more")
