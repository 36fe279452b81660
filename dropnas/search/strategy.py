"""The interface of a search method: what it draws for an epoch, and how a batch changes the weights and the alphas.

Design choices: all methods, including user-defined ones, use this interface. Before each epoch, the host draws all
random numbers of the epoch from generators that are seeded from the run's seed and the epoch. A step is then a function
of tensors only, for K seeds at a time, so that it can be recorded as a CUDA graph and replayed. A recorded step cannot
read a Python number that changes. Whatever changes between epochs must therefore be part of the draws or select another
variant of the step.
"""

import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

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
    """A part of a search that has its own supernet, alphas and optimisers."""

    cells: int
    epochs: int


@dataclass(frozen=True)
class Batch:
    """The input of one step of K seeds."""

    images: Tensor  # normalised (K, B, 3, H, W)
    labels: Tensor  # int64 (K, B)
    drawn: Mapping[str, Tensor]  # the tensors that `Strategy.draw` drew for this step, each (K, ...)
    held_out: tuple[Tensor, Tensor] | None  # images and labels not used to train w; None if all are used
    variant: str  # the variant of the step, as `Strategy.step_variant` returns it


class Strategy:
    """A search method, created by `factory(config, space, **options)`. All hooks except `step` have a default.

    In each epoch, a search passes once over the images that train w. Each step also gets a random batch of held-out
    images.
    """

    weight_share: float = 1.0  # fraction of the training images used to train w; above 0 and at most 1
    needs_held_out: bool = False  # whether its steps need images that are not used to train w
    groups_seeds: bool = True  # whether several seeds may train as one group
    records: bool = True  # whether its step can be recorded as a CUDA graph; if not, a run reports this at its start

    def __init__(self, config: SearchConfig, space: SearchSpace) -> None:
        self.config, self.space = config, space  # a method may add operations to the space that it is given

    # ---- what is trained

    @property
    def phases(self) -> Sequence[Phase]:
        """The phases in order; each begins with a new supernet, new alphas and new optimisers."""
        return (Phase(self.config.cells, self.config.epochs),)

    def make_supernet(self, phase: int, classes: int) -> Supernet:
        """Make the supernet of a phase; its weights are drawn later."""
        return Supernet(self.space, self.config.channels, self.phases[phase].cells, classes)

    def make_engine(self, supernets: Sequence[Supernet], static: bool, backend: Backend | None) -> Engine:
        """Make the engine that computes K supernets as one network; see `Engine` for the arguments."""
        return Engine(supernets, static, backend)

    def architecture(self, phase: int, generator: torch.Generator) -> Tensors:
        """Make the initial architecture parameters of one seed: `alphas` (2, edges, operations), and any others."""
        return {ALPHAS: torch.stack(list(initial_alphas(self.space, self.config.alpha_scale, generator)))}

    def memory(self, phase: int, before: Mapping[str, Tensor] | None) -> Tensors:
        """Make the strategy's own state for one seed: tensors that its steps may change.

        Args:
            before: architecture parameters and memory at the end of the previous phase. It is None in the first phase,
                and if a checkpoint is about to replace the result.
        """
        return {}

    def optimisers(self, weights: Tensor, architecture: Tensors) -> tuple[SGD, SGD | Adam]:
        """Make the optimisers of w and of the architecture parameters.

        They apply no weight decay; the strategy adds it to the gradients.
        """
        config = self.config
        betas = (config.alpha_beta1, config.alpha_beta2)
        sgd = SGD([weights], config.learning_rate, config.momentum)
        return sgd, Adam(architecture.values(), config.alpha_learning_rate, betas)

    def candidates(self, memory: Mapping[str, Tensor]) -> Tensor | None:
        """Return the operations that take part in a phase, if they are known when the phase begins; None means all.

        A static step (see `Engine`) skips an operation if it is not a candidate of any seed. A step must still pass its
        own mask to `losses`. The result is a bool mask (..., 2, edges, operations); if `memory` holds several seeds,
        the first axis is the seed.
        """
        return None

    def unpruned(self, memory: Mapping[str, Tensor]) -> Tensor | None:
        """Return the operations that have not been pruned, as a bool mask (2, edges, operations); None means all.

        The search's history records this mask.
        """
        return self.candidates(memory)

    # ---- an epoch, on the host

    def position(self, epoch: int) -> tuple[int, int]:
        """Return the phase of an epoch of the search, and the epoch counted from the start of that phase."""
        for index, phase in enumerate(self.phases):
            if epoch < phase.epochs:
                return index, epoch
            epoch -= phase.epochs
        raise IndexError(epoch)

    def learning_rate(self, phase: int, epoch: int) -> float:
        """The learning rate of w in an epoch, counted from the start of the phase."""
        config = self.config
        return cosine(config.learning_rate, config.learning_rate_min, epoch, self.phases[phase].epochs)

    def variant(self, epoch: int) -> str:
        """The variant of the step in this epoch, for methods with several variants; each is recorded separately."""
        return ""

    def step_variant(self, epoch: int, step: int, steps: int) -> str:
        """The variant of one step, for methods whose steps differ within an epoch."""
        return self.variant(epoch)

    def draw(self, epoch: int, steps: int, generator: torch.Generator) -> Tensors:
        """Draw the random numbers of an epoch for one seed, as tensors (steps, ...) on the CPU.

        A tensor named `cells` must be a bool mask (steps, cells, edges, operations) that keeps at least one operation
        on each edge.
        """
        return {}

    def end_epoch(self, epoch: int, run: SeedRun) -> bool:
        """Finish an epoch, possibly changing the memory; return whether the search ends here."""
        return False

    def derive(self, run: SeedRun) -> Genotype | None:
        """Return the current genotype if the method has its own derivation rule; leave all state unchanged.

        The search calls it at the start, after each epoch, and at the end. None means that there is no genotype yet; at
        the end, None leaves the derivation to the derive stage.
        """
        return None

    def closing_steps(self, run: SeedRun) -> int:
        """The number of steps to run on the host after the last batch, for methods that end with a selection."""
        return 0

    def close(self, run: SeedRun, step: int) -> float:
        """Run one of the closing steps, and return its loss or error rate.

        The step may change the memory, which is saved between steps.
        """
        raise NotImplementedError

    def results(self, run: SeedRun) -> dict[str, Scalar]:
        """Return the method's own entries of result.json for a finished search."""
        return {}

    # ---- a batch, on the device

    def step(self, state: SearchState, batch: Batch) -> tuple[Tensor, Tensor]:
        """Train K seeds on a batch; return the losses (K,) and the logits (K, B, classes), both detached.

        Use operations on tensors only, and change the tensors of the state in place.
        """
        raise NotImplementedError


def make_strategy(config: SearchConfig, space: SearchSpace) -> Strategy:
    """Make the strategy that a configuration names: one of STRATEGIES, or a user's `module:ATTRIBUTE`.

    Raises:
        DropnasError: the strategy does not exist, does not accept the options, is not a Strategy, or lacks a required
            hook.
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
    for fault, remedy in _faults(strategy):
        raise DropnasError(fault, where=config.strategy, remedy=remedy)
    return strategy


def _faults(strategy: Strategy) -> Iterator[tuple[str, str]]:
    """Yield each problem of a user's strategy, together with its remedy."""
    kind, share, phases = type(strategy), strategy.weight_share, strategy.phases
    if kind.step is Strategy.step:
        yield "has no method 'step'", "add it: it trains the weights and alphas on a batch"
    if kind.closing_steps is not Strategy.closing_steps and kind.close is Strategy.close:
        yield "has 'closing_steps' but no method 'close'", "add it: it runs one closing step"
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share <= 1:
        yield f"weight_share is {share!r}", "it must be above 0 and at most 1"
    elif strategy.needs_held_out and share == 1:
        yield "needs held-out images, but weight_share is 1", "set weight_share below 1, for example 0.5"
    fits = isinstance(phases, Sequence) and all(isinstance(each, Phase) and each.epochs > 0 for each in phases)
    if not fits or not phases:
        yield f"phases is {phases!r}", "return a sequence of at least one Phase"
