"""A step of each search method on the same images, beside a step of DropNAS: seconds, and how many times as long.

Design choices: all methods have the same network, batch and number of images, and their own options. Steps are timed in
turns. Each method has a step of an epoch in which everything moves, and, where it has epochs in which only w moves, a
step of those. On a CPU the time is that of the processor, so that other work on the machine counts less. Of methods
with phases the first one is timed. The peak of memory is that of a process that makes one step.
"""

import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from typing import Any

from benchmarks import _workloads
from benchmarks._interleaved import Way, in_turns, spread
from benchmarks._limits import conditions, until_done
from benchmarks._searches import peak_of_process
from dropnas.search.config import PRESETS, SearchConfig
from dropnas.search.methods import METHODS, authors_settings
from dropnas.search.strategies.two_level import WEIGHTS_ONLY
from dropnas.training import determinism

SIZE: dict[str, Any] = {"cells": 8, "channels": 16, "batch_size": 16}
SIDE, STEPS, ROUNDS = 32, 5, 5
DROPNAS = "dropnas"


def measure(device: str) -> Iterator[tuple[str, Any]]:
    """Seconds of a step of each method, its ratio to DropNAS' in the same turn, and the peak of memory."""
    determinism.apply(0, device, 1)
    yield from conditions().items()
    yield "size", {**SIZE, "side": SIDE}
    dropnas = _Timed(DROPNAS, device)
    for name in (name for name in METHODS if name not in PRESETS):
        method = _Timed(name, device)
        ways: dict[str, Way] = {DROPNAS: dropnas.moving, name: method.moving}
        if method.has_weights_only:
            ways[WEIGHTS_ONLY] = method.weights_only
        found = in_turns(ways, ROUNDS)
        yield (
            name,
            {
                what: {"seconds": spread(found[what]), "times_dropnas": _ratio(found[what], found[DROPNAS])}
                for what in ways
                if what != DROPNAS
            }
            | ({"peak_memory_bytes": _peak(name)} if device == "cpu" else {}),
        )


def _ratio(ours: list[float], dropnas: list[float]) -> dict[str, Any]:
    return spread([one / other for one, other in zip(ours, dropnas, strict=True)])


class _Timed:
    """A search of a method whose steps are timed, each way gives the seconds of a step, mean over an epoch."""

    def __init__(self, name: str, device: str) -> None:
        settings = authors_settings(name) | SIZE
        self.config = SearchConfig(strategy=name, **settings)  # type: ignore[arg-type]
        self.device = device
        share = 1.0 if name == DROPNAS else _share(self.config)
        images = _workloads.noise(round(STEPS * SIZE["batch_size"] / share), SIDE, device)
        self.search = _workloads.search_group([self.config], images, device).trainee

    @property
    def has_weights_only(self) -> bool:
        """Whether the alphas are frozen in the first epoch."""
        return bool(self.search.strategy.variant(0))

    def moving(self) -> float:
        """In the last epoch of the first phase."""
        return self._seconds(self.search.strategy.phases[0].epochs - 1)

    def weights_only(self) -> float:
        """In the first epoch."""
        return self._seconds(0)

    def _seconds(self, epoch: int) -> float:
        clock = time.process_time if self.device == "cpu" else time.perf_counter
        self.search.start_epoch(epoch)
        started = clock()
        for step in range(STEPS):
            until_done(lambda step=step: self.search.step(epoch, step), self.device)()
        return (clock() - started) / STEPS


def _share(config: SearchConfig) -> float:
    from dropnas.search.strategy import make_strategy
    from dropnas.space.spaces import ORIGINAL

    return make_strategy(replace(config), ORIGINAL).weight_share


def _peak(name: str) -> int:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_peak_here, name).result()


def _peak_here(name: str) -> int:
    determinism.apply(0, "cpu", 1)
    method = _Timed(name, "cpu")
    method.search.start_epoch(method.search.strategy.phases[0].epochs - 1)
    method.search.step(method.search.strategy.phases[0].epochs - 1, 0)
    return peak_of_process()
