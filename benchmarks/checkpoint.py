"""What a checkpoint costs: the time of a save beside the default interval, for the paper's two networks on CIFAR-10.

Design choices: the very trainees of the stages, of the paper's size, after one step, so that the states of all
optimisers are there; the save as the loop does it, flushed to the disk. The disk is that of the working directory.
"""

import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import torch

from dropnas.config import Machine
from dropnas.data.arrays import ImageArrays
from dropnas.evaluate.config import RetrainConfig
from dropnas.evaluate.retrain import Retraining
from dropnas.search.config import SearchConfig
from dropnas.search.stage import Search
from dropnas.space.published import load_genotype
from dropnas.space.spaces import find_space
from dropnas.training.checkpoint import Checkpoints
from dropnas.training.loop import Trainee
from dropnas.training.seeding import generator, global_random_state

SAVES = 7
IMAGES = 4  # that the one step sees; the state does not depend on them
GENOTYPE = "dropnas_c10"


def measure(device: str) -> Iterator[tuple[str, Any]]:
    """Seconds of a save, and their share of the time between two."""
    interval = Machine().checkpoint_seconds
    images = _noise(device)
    config = replace(SearchConfig(), batch_size=IMAGES)
    search = Search(config, find_space(config.space), images, device)
    retraining = Retraining(
        replace(RetrainConfig(), batch_size=IMAGES), load_genotype(GENOTYPE), images, images, device
    )
    yield "interval_seconds", interval
    yield "saves", SAVES
    yield "search", _saved(search, interval, device)
    yield "retraining", _saved(retraining, interval, device)


def _saved(trainee: Trainee, interval: float, device: str) -> dict[str, float]:
    """Size of the state, and the median and the longest time of a save."""
    trainee.start_epoch(0)
    trainee.step(0, 0)
    times, cpu = [], time.process_time()
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        checkpoints = Checkpoints(Path(folder), "benchmark", print)
        for _ in range(SAVES):
            if device.startswith("cuda"):
                torch.cuda.synchronize(device)
            started = time.perf_counter()
            random = global_random_state(device)
            checkpoints.save({"epoch": 0, "step": 1, "rows": [], "trainee": trainee.state_dict(), "random": random})
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


def _noise(device: str) -> ImageArrays:
    """A data set with the shape of CIFAR-10."""
    images = torch.randint(0, 256, (IMAGES, 3, 32, 32), dtype=torch.uint8, generator=generator(0, "noise"))
    mean, std = torch.full((3,), 0.5), torch.full((3,), 0.25)
    labels = torch.zeros(IMAGES, dtype=torch.int64)
    return ImageArrays(images.to(device), labels.to(device), 10, mean.to(device), std.to(device))
