"""Measures the cost of a checkpoint: the time to save it, relative to the default time between two checkpoints.

Design choices: a search and a retraining on CIFAR at the paper's size are measured, with the objects that the stages
train. They first train one step, so that all optimiser states exist. The checkpoint is saved as in the training loop
and flushed to the disk of the working directory.
"""

import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import _workloads
from benchmarks._limits import now
from benchmarks._workloads import Training
from dropnas.config import Machine
from dropnas.evaluate.config import RetrainConfig
from dropnas.search.config import SearchConfig
from dropnas.training.checkpoint import Checkpoints
from dropnas.training.seeding import global_random_state

SAVES = 7
IMAGES = 4  # images in the single step; the state does not depend on their number


def measure(device: str) -> Iterator[tuple[str, Any]]:
    """The time to save a checkpoint, in seconds and as a percentage of the time between two checkpoints."""
    interval = Machine().checkpoint_seconds
    images = _workloads.noise(IMAGES, 32, device)
    search = _workloads.search_group([replace(SearchConfig(), batch_size=IMAGES)], images, device)
    retraining = _workloads.retraining(replace(RetrainConfig(), batch_size=IMAGES), images, images, device)
    yield "interval_seconds", interval
    yield "saves", SAVES
    yield "search", _saved(search, interval, device)
    yield "retraining", _saved(retraining, interval, device)


def _saved(training: Training, interval: float, device: str) -> dict[str, float]:
    """The size of the state, and the median and longest time to save it."""
    training.epoch(0, steps=1)
    times, cpu = [], time.process_time()
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        checkpoints = Checkpoints(Path(folder), "benchmark", print)
        for _ in range(SAVES):
            started = now(device)
            random = global_random_state(device)
            state = training.trainee.state_dicts()
            checkpoints.save({"epoch": 0, "step": 1, "rows": [], "trainee": state, "random": random})
            times.append(time.perf_counter() - started)
        worked = time.process_time() - cpu
        size = max(path.stat().st_size for path in Path(folder).iterdir())
    return {
        "megabytes": round(size / 1e6, 1),
        "seconds": round(median(times), 3),
        "cpu_seconds": round(worked / SAVES, 3),
        "seconds_longest": round(max(times), 3),
        "percent_of_interval": round(100 * median(times) / interval, 3),
        "percent_longest": round(100 * max(times) / interval, 3),
    }
