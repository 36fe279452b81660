"""Times a step of each search method on noise images, compared with a step of DropNAS and of first-order DARTS.

Design choices: all methods have the same depth, width, batch size and number of steps; they keep their other options.
Two kinds of step are timed: steps that train everything and, for two-level methods, steps that train only w. The second
kind occurs in epochs with frozen alphas. DARTS has no such epochs, so the benchmark adds one. A few methods at a time
are timed alternately with DropNAS and DARTS. On a CPU, processor time is measured, so that other work on the machine
matters less. If a method has phases, the first one is timed. ProxylessNAS usually trains the alphas in every fifth
step; here it does so in one of the `steps` steps. The peak memory is that of a separate process that runs a single
step.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import count
from math import ceil
from multiprocessing import get_context
from typing import Any, NamedTuple

from benchmarks import _workloads
from benchmarks._interleaved import Way, in_turns, spread
from benchmarks._limits import conditions, until_done
from benchmarks._searches import peak_of_process
from dropnas.search.config import FIRST_ORDER, PRESETS, SearchConfig
from dropnas.search.methods import METHODS, authors_settings
from dropnas.search.strategies.two_level import WEIGHTS_ONLY, TwoLevel
from dropnas.search.strategy import make_strategy
from dropnas.space.spaces import ORIGINAL
from dropnas.training import determinism

DROPNAS = "dropnas"
COMPARED = tuple(name for name in METHODS if name not in PRESETS and name != FIRST_ORDER)
FEWEST = 2  # smallest number of images in a batch
MOVING, ONLY_W = "all moves", "only w moves"


class Size(NamedTuple):
    """Sizes of the network, the images and the measurement.

    Attributes:
        at_a_time: number of methods that are timed alternately with DropNAS and DARTS.
    """

    cells: int = 8
    channels: int = 16
    batch_size: int = 16
    side: int = 32
    steps: int = 2
    rounds: int = 3
    at_a_time: int = 4


TINY = Size(cells=3, channels=4, batch_size=4, side=8, steps=1, rounds=2)


def measure(device: str, tiny: bool) -> Iterator[tuple[str, Any]]:
    """Measure each method: the seconds per step, their ratios to DropNAS and DARTS, and, on a CPU, the peak memory."""
    size = TINY if tiny else Size()
    determinism.apply(0, device, 1)
    yield from conditions().items()
    yield "size", size._asdict()
    for first in range(0, len(COMPARED), size.at_a_time):
        names = COMPARED[first : first + size.at_a_time]
        found = in_turns(_ways((DROPNAS, FIRST_ORDER, *names), size, device), size.rounds)
        for name in names if first else (DROPNAS, FIRST_ORDER, *names):
            peak = {"peak_memory_bytes": _peak(name, size)} if device == "cpu" else {}
            yield name, {kind: _of_step(found, name, kind) for kind in (MOVING, ONLY_W) if (name, kind) in found} | peak


def _ways(names: Sequence[str], size: Size, device: str) -> dict[Any, Way]:
    methods = {name: _Timed(name, size, device) for name in names}
    kinds = [(name, kind) for name in names for kind in methods[name].kinds]
    return {(name, kind): lambda name=name, kind=kind: methods[name].seconds(kind) for name, kind in kinds}


def _of_step(found: Mapping[Any, list[float]], name: str, kind: str) -> dict[str, Any]:
    """The seconds per step, and their ratios to DropNAS's step and to the same kind of step in DARTS."""
    ours, result = found[name, kind], {"seconds": spread(found[name, kind])}
    for key, other in (("times_dropnas", (DROPNAS, MOVING)), ("times_darts", (FIRST_ORDER, kind))):
        result[key] = spread([one / theirs for one, theirs in zip(ours, found[other], strict=True)])
    return result


class _Timed:
    """A search of a method whose steps are timed."""

    def __init__(self, name: str, size: Size, device: str) -> None:
        own = {"cells": size.cells, "channels": size.channels, "batch_size": size.batch_size}
        config = SearchConfig(strategy=name, **authors_settings(name) | own)
        share = make_strategy(config, ORIGINAL).weight_share
        needed = round(size.steps * size.batch_size / share)
        images = _workloads.noise(max(needed, ceil(FEWEST / (1 - share)) if share < 1 else 0), size.side, device)
        self.device, self.steps = device, size.steps
        self.search: Any = _workloads.search_group([config], images, device).trainee
        if isinstance(self.search.strategy, TwoLevel) and not self.search.strategy.frozen_epochs:
            self.search.strategy.frozen_epochs = 1

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of step that the method has: both for a two-level method, otherwise only the first."""
        return (MOVING, ONLY_W) if self.search.strategy.variant(0) else (MOVING,)

    def seconds(self, kind: str) -> float:
        """The mean seconds per step in the first epoch with this kind of step, before any operation is pruned."""
        clock = time.process_time if self.device == "cpu" else time.perf_counter
        variant = self.search.strategy.variant
        epoch = 0 if kind == ONLY_W else next(epoch for epoch in count() if variant(epoch) != WEIGHTS_ONLY)
        self.search.start_epoch(epoch)
        started = clock()
        for step in range(self.steps):
            until_done(lambda step=step: self.search.step(epoch, step), self.device)()
        return (clock() - started) / self.steps


def _peak(name: str, size: Size) -> int:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_peak_here, name, size).result()


def _peak_here(name: str, size: Size) -> int:
    determinism.apply(0, "cpu", 1)
    _Timed(name, size._replace(steps=1), "cpu").seconds(MOVING)
    return peak_of_process()
