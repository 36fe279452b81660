"""Searches to be measured: with the plain supernet, or with the engine for a single seed or for a group of seeds."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch

from benchmarks import _workloads
from benchmarks._interleaved import timed
from benchmarks._launches import launches
from benchmarks._limits import until_done
from benchmarks._pieces import forget
from benchmarks._profile import peak_memory, reset_peak
from dropnas.search.config import SearchConfig
from dropnas.training import precision
from dropnas.training.config import Precision

Way = Literal["plain", "single", "grouped", "grouped, torch's kernels"]


def peak_of_process() -> int:
    """The peak memory of this process, in bytes."""
    peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())  # ru_maxrss includes the parent's
    assert peak is not None
    return int(peak[1]) * 1024


@dataclass(frozen=True)
class Size:
    """The size of searches to be timed.

    Attributes:
        cells, channels: size of the supernet.
        batch, side: number of images in a step, and side of an image.
        rounds, steps: number of timed rounds, and number of steps in a round.
        precision, seeds: precision of the searches, and number of seeds that train together.
        last: number of images in an additional, smaller batch at the end of a whole epoch; 0 means no such batch. Timed
            rounds leave it out.
    """

    cells: int
    channels: int
    batch: int
    side: int
    rounds: int
    steps: int = 1
    precision: Precision = "fp32"
    seeds: int = 1
    last: int = 0


class Trained:
    """Searches that train together, using one of the implementations named in `Way`.

    Attributes:
        peak: peak GPU memory in bytes while the searches are created and run their first step; memory that was already
            in use is not counted.
    """

    def __init__(self, size: Size, way: Way, device: str) -> None:
        self.size, self.way, self.device, self.peak = size, way, device, 0
        forget()
        self.taken = torch.cuda.memory_allocated(device) if device != "cpu" else 0
        reset_peak(device)
        precision.apply(size.precision)
        begun = time.perf_counter()
        config = SearchConfig(cells=size.cells, channels=size.channels, batch_size=size.batch, precision=size.precision)
        config = replace(config, kernels="triton" if way == "grouped" else "torch")
        images = _workloads.noise(size.batch * size.steps + size.last, size.side, device)
        config = replace(config, group_seeds=way.startswith("grouped"))
        config = replace(config, strategy=_workloads.PLAIN if way == "plain" else config.strategy)
        self.search = _workloads.search_group(
            [replace(config, seed=seed) for seed in range(size.seeds)], images, device
        )
        self.creation = time.perf_counter() - begun  # seconds

    def round(self) -> None:
        """Train an epoch of a few steps."""
        precision.apply(self.size.precision)
        self.search.epoch(0, self.size.steps)

    def started(self) -> float:
        """Run the first step, with any CUDA graph capture; return its seconds and those of creating the searches."""
        begun = time.perf_counter()
        self.search.start_epoch(0)
        until_done(lambda: self.search.step(0, 0), self.device)()
        seconds = self.creation + time.perf_counter() - begun
        if self.device != "cpu":
            self.peak = torch.cuda.max_memory_allocated(self.device) - self.taken
        return seconds

    def timed(self) -> Callable[[], float]:
        """Return a function that trains for one round and returns the images per second."""
        amount = self.size.batch * self.size.steps * self.size.seeds
        return timed(until_done(self.round, self.device), amount)

    def eager(self) -> None:
        """Train a step, operation by operation."""
        self.search.start_epoch(0)
        self.search.eager()

    def launches(self) -> dict[str, int]:
        """Count the launches and waits of the host in a step."""
        self.search.start_epoch(0)
        return launches(lambda: self.search.step(0, 0))

    def whole_epoch(self) -> dict[str, Any]:
        """Train all steps, including a smaller last batch, and finish the epoch.

        Raises:
            DropnasError: an alpha is not finite.
        """
        reset_peak(self.device)
        started = time.perf_counter()
        until_done(lambda: self.search.epoch(0), self.device)()
        seconds = time.perf_counter() - started
        losses = self.search.learned(0)
        return {
            "steps": self.search.steps_per_epoch,
            "images of the last": self.size.last or self.size.batch,
            "seconds": round(seconds, 3),
            "train losses": [round(loss, 4) for loss in losses],
            **peak_memory(self.device),
        }
