"""K searches that differ only in their seed, trained as one group of supernets. A single search is a group of one.

Design choices: each search has its own draws, weights, alphas, optimiser averages and history. Only the index of a
search in the tensors depends on the group. A search therefore gets the same numbers in every group, up to rounding, and
can continue in any group. All random numbers of an epoch are drawn when the epoch starts, so a saved state needs no
generator. If an epoch is resumed, it draws the same numbers again, and the step counter says where to continue.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from numbers import Real
from typing import Any

import torch
from torch import Tensor

from dropnas.artifacts.metrics_file import Row
from dropnas.data import batches
from dropnas.data.arrays import ImageArrays
from dropnas.errors import DropnasError
from dropnas.search.config import SearchConfig
from dropnas.search.engine.cell import Backend
from dropnas.search.engine.engine import Engine
from dropnas.search.epoch_draws import STRATEGY_PREFIX, draw_epoch
from dropnas.search.history import GENOTYPE_KEY, LEFT_KEY, describe, fault_of, matrices
from dropnas.search.hooks import returned, returned_architecture, returned_optimisers, returned_tensors
from dropnas.search.state import Matrices, SearchState, SeedRun, Tensors, flat_weights
from dropnas.search.step import EpochTables, Step
from dropnas.search.strategy import Strategy, make_strategy
from dropnas.search.supernet import Supernet
from dropnas.space.genotype import Genotype
from dropnas.space.spaces import SearchSpace
from dropnas.training.graphs import GraphedPrograms, Prepare, Recorder
from dropnas.training.initialisation import initialise
from dropnas.training.seeding import generator


class SeedGroup:
    """The object that the training loop trains in the search stage.

    Args:
        configs: configurations of the searches; they differ only in the seed.
        images: all training images, on the device.
        recorder: records the steps as CUDA graphs; if None, the steps run directly.
        backend: computes the convolutions on edges in place of torch's kernels.
        precompile: called with each step before its first run, if steps are recorded.

    Raises:
        DropnasError: the configurations differ in more than the seed, or cannot be trained.
    """

    def __init__(
        self,
        configs: Sequence[SearchConfig],
        space: SearchSpace,
        images: ImageArrays,
        device: str,
        recorder: Recorder | None = None,
        backend: Backend | None = None,
        precompile: Prepare | None = None,
    ) -> None:
        if any(replace(config, seed=configs[0].seed) != configs[0] for config in configs):
            raise DropnasError("searches of a group differ in more than the seed", remedy="train them separately")
        self.configs, self.config, self.images, self.device = configs, configs[0], images, device
        self.recorder, self.backend, self.precompile = recorder, backend, precompile
        self.strategy = make_strategy(self.config, space)
        self.space = self.strategy.space
        count = held_out_images(len(images), self.strategy.weight_share, self.config.strategy)
        self.parts = [
            batches.apart(len(images), count, generator(config.seed, "held-out images")) for config in configs
        ]
        self.sizes = batches.sizes(len(self.parts[0][0]), self.config.batch_size)
        self.images_seen = 0  # number of images processed by all searches since this process started
        self.stopped = False  # whether the strategy has ended the search
        self.closing = 0  # number of closing steps, which run on the host after the batches of this epoch
        self.phase, self.runs = 0, list[SeedRun]()  # `runs` is in the order of the configurations
        self._enter(0)
        for run in self.runs:
            self._note(run)

    @property
    def epochs(self) -> int:
        """The number of epochs of all phases."""
        return sum(phase.epochs for phase in self.strategy.phases)

    @property
    def steps_per_epoch(self) -> int:
        """The number of steps of the current epoch: its batches and, in the last epoch, the closing steps."""
        return len(self.sizes) + self.closing

    def start_epoch(self, epoch: int) -> None:
        """Enter the phase of this epoch, draw its random numbers, set its learning rate, and clear the tables."""
        phase, within = self.strategy.position(epoch)
        if phase != self.phase:
            self._enter(phase)
        cells = self.strategy.phases[phase].cells
        drawn = [draw_epoch(run.config, self.strategy, run.trained, run.held_out, epoch, cells) for run in self.runs]
        self._take_draws({name: torch.stack([each[name] for each in drawn], dim=1) for name in drawn[0]})
        found, name = self.strategy.learning_rate(phase, within), self.config.strategy
        rate = returned(found, Real, "learning_rate", name)  # type: ignore[type-abstract]
        self.state.weight_optimiser.learning_rate = float(rate)
        self.variant = returned(self.strategy.variant(epoch), str, "variant", name)
        self.closing = self.strategy.closing_steps(self.runs[0]) if epoch + 1 == self.epochs else 0
        for table in self.tables.tensors():
            table.zero_()

    def step(self, epoch: int, step: int) -> Tensor:
        """Train each search on its next batch; return the losses (K,), which stay valid until the next epoch starts.

        Closing steps come after all batches and train nothing.
        """
        if step >= len(self.sizes):
            return self._close(step - len(self.sizes))
        variant = self.strategy.step_variant(epoch, step, self.steps_per_epoch)
        if variant not in self.programs:
            self.programs[variant] = self._graphed(variant)
        self.programs[variant].run(self.sizes[step])
        self.images_seen += self.sizes[step] * len(self.runs)
        return self.tables.losses[:, step]

    def _close(self, number: int) -> Tensor:
        self.tables.counter.add_(1)
        return self.tables.losses.new_tensor([self.strategy.close(run, number) for run in self.runs])

    def finish_epoch(self, epoch: int) -> list[Row | DropnasError]:
        """Return each search's row of metrics, or an error if a value is not finite."""
        ended = [self.strategy.end_epoch(epoch, run) for run in self.runs]
        self.stopped = any(ended)
        sizes = torch.tensor(self.sizes, dtype=torch.float64)
        losses = (self.tables.losses.cpu().double() * sizes).sum(dim=1) / sizes.sum()
        accuracies = 100 * self.tables.hits.cpu().sum(dim=1) / sizes.sum()
        return [
            self._row(run, epoch, {"train_loss": loss, "train_accuracy": accuracy})
            for run, loss, accuracy in zip(self.runs, losses.tolist(), accuracies.tolist(), strict=True)
        ]

    def state_dicts(self) -> list[dict[str, Any]]:
        """The state of each search: everything that training changes."""
        return [self._state_of(index) for index in range(len(self.runs))]

    def load_state_dicts(self, states: Sequence[Mapping[str, Any]]) -> None:
        """Continue from one state for each search; all are at the same step, but may come from different groups."""
        if states[0]["phase"] != self.phase:
            self._enter(states[0]["phase"])
        for index, (run, state) in enumerate(zip(self.runs, states, strict=True)):
            run.supernet.load_state_dict(state["supernet"])
            run.history = list(state["history"])
            for name, tensor in self._tensors().items():
                (tensor[index] if tensor.dim() else tensor).detach().copy_(state["tensors"][name])
        self._choose_candidates()
        self.tables.counter.fill_(states[0]["counter"])

    def _enter(self, phase: int) -> None:
        """Create everything that is trained in a phase; the strategy may carry over tensors from the previous phase."""
        old, follows = self.runs, phase == self.phase + 1
        before = [{**run.architecture, **run.memory} for run in old] if old and follows else [None] * len(self.configs)
        self.phase, self.state = phase, self._new_state(phase, before)
        self.tables = EpochTables.empty(self.state.weights, len(self.sizes))
        self.draws: Tensors = {}
        self.programs: dict[str, GraphedPrograms] = {}
        self.runs = [self._seed_run(index) for index in range(len(self.configs))]
        for run, earlier in zip(self.runs, old, strict=False):
            run.history = earlier.history
        self._choose_candidates()

    def _choose_candidates(self) -> None:
        """Set the operations that the engine computes in this phase; if they change, recorded steps are discarded."""
        found = self.strategy.candidates(self.state.memory)
        if found is not None and not returned(found, Tensor, "candidates", self.config.strategy).any(dim=-1).all():
            raise DropnasError("candidates leaves an edge without operations", where=self.config.strategy)
        candidates = None if found is None else self.state.of_cells(found).any(dim=0).tolist()
        if candidates != self.state.engine.candidates:
            self.state.engine.candidates, self.programs = candidates, {}

    def _seed_run(self, index: int) -> SeedRun:
        return SeedRun(
            self.configs[index],
            self.space,
            self.images,
            *self.parts[index],
            self.state.engine.supernets[index],
            {name: values.detach()[index] for name, values in self.state.architecture.items()},
            {name: values[index] for name, values in self.state.memory.items()},
        )

    def _new_state(self, phase: int, before: Sequence[Mapping[str, Tensor] | None]) -> SearchState:
        """Draw the seeds' initial weights and architecture parameters on the CPU and move them to the device."""
        strategy, later = self.strategy, [phase] if phase else []
        name, seeds = self.config.strategy, [config.seed for config in self.configs]
        made = [strategy.make_supernet(phase, self.images.classes) for _ in seeds]
        supernets = [returned(each, Supernet, "make_supernet", name) for each in made]
        for supernet, seed in zip(supernets, seeds, strict=True):
            initialise(supernet, generator(seed, "weights", *later), self.config.norm_weight)
            supernet.to(self.device)
        drawn = [strategy.architecture(phase, generator(seed, "alphas", *later)) for seed in seeds]
        alphas = self._stacked([returned_architecture(each, self.space, name) for each in drawn])
        architecture = {each: values.requires_grad_() for each, values in alphas.items()}
        memory = [returned_tensors(strategy.memory(phase, values), "memory", name) for values in before]
        weights = flat_weights(supernets)
        # skipping dropped operations changes rounding, so none are skipped if seeds may be grouped
        static = self.recorder is not None or self.device != "cpu" or self.config.group_seeds
        return SearchState(
            returned(strategy.make_engine(supernets, static, self.backend), Engine, "make_engine", name),
            weights,
            architecture,
            self._stacked(memory),
            *returned_optimisers(strategy.optimisers(weights, architecture), name),
            self.config.precision,
        )

    def _stacked(self, of_seeds: Sequence[Tensors]) -> Tensors:
        return {name: torch.stack([each[name] for each in of_seeds]).to(self.device) for name in of_seeds[0]}

    def _take_draws(self, drawn: Tensors) -> None:
        """Copy the draws of an epoch into tensors with fixed addresses."""
        if not self.draws:
            self.draws.update({name: values.to(self.device) for name, values in drawn.items()})
            return
        for name, values in self.draws.items():
            found = drawn.get(name)
            if found is None or found.shape != values.shape:
                what = "nothing" if found is None else f"{tuple(found.shape)}"
                drawn_name = name.removeprefix(STRATEGY_PREFIX)
                raise DropnasError(
                    f"draws {what} for {drawn_name!r}, but first {tuple(values.shape)} (steps, seeds, ...)",
                    where=self.config.strategy,
                    remedy="draw the same names and shapes in each epoch",
                )
            values.copy_(drawn[name])

    def _graphed(self, variant: str) -> GraphedPrograms:
        """The programs of a variant: one for whole batches and, if the last batch is smaller, another one for it."""
        step = Step(self.config, self.strategy, self.state, self.tables, self.draws, self.images, variant)
        programs: dict[Any, Callable[[], None]] = {size: partial(step, size) for size in dict.fromkeys(self.sizes)}
        changed = [*self.state.tensors(), *self.tables.tensors()]
        return GraphedPrograms(programs, changed, self.recorder, self.precompile)

    def _row(self, run: SeedRun, epoch: int, learned: Row) -> Row | DropnasError:
        index = self.runs.index(run)
        fault = fault_of({**run.architecture, "weights": self.state.weights[index]}, epoch)
        if fault:
            return fault
        rate = self.state.weight_optimiser.learning_rate
        return {**learned, "learning_rate": rate, **describe(run.space, run.alphas, self._note(run))}

    def _note(self, run: SeedRun) -> Matrices:
        """Append the current entry to the history of a search."""
        entry, left = matrices(run.architecture), self.strategy.unpruned(run.memory)
        if left is not None:
            entry[LEFT_KEY] = returned(left, Tensor, "unpruned", self.config.strategy).tolist()
        run.history.append(entry)
        if type(self.strategy).derive is not Strategy.derive:
            found = self.strategy.derive(run)
            entry[GENOTYPE_KEY] = found and returned(found, Genotype, "derive", self.config.strategy).values()
        return entry

    def _state_of(self, index: int) -> dict[str, Any]:
        run = self.runs[index]
        return {
            "phase": self.phase,
            "counter": int(self.tables.counter),
            "supernet": {name: value.clone() for name, value in run.supernet.state_dict().items()},
            "tensors": {
                name: (tensor[index] if tensor.dim() else tensor).detach().clone()
                for name, tensor in self._tensors().items()
            },
            "history": list(run.history),
        }

    def _tensors(self) -> Tensors:
        """All tensors that training changes outside the supernets: (K, ...), or scalars that all seeds share."""
        state, tables = self.state, self.tables
        slots = [
            (f"{kind}.{name}.{number}", tensor)
            for kind, optimiser in (("sgd", state.weight_optimiser), ("adam", state.architecture_optimiser))
            for name, slot in optimiser.slots.items()
            for number, tensor in enumerate(slot)
        ]
        return {**state.architecture, **state.memory, **dict(slots), "losses": tables.losses, "hits": tables.hits}


def held_out_images(count: int, share: float, strategy: str) -> int:
    """Return how many of the training images do not train w.

    Raises:
        DropnasError: some images are held out, but too few for a batch.
    """
    held_out = count - round(share * count)
    if share < 1 and held_out < 2:
        raise DropnasError(
            f"weight_share {share} of {count} images holds out {held_out}",
            where=strategy,
            remedy="a batch needs two; use more images or a smaller weight_share",
        )
    return held_out
