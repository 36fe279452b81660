"""A step of the retraining at the paper's size: 20 cells, 36 channels, `dropnas_c10`, and where its time goes.

Design choices: the stage's own trainee steps on real images. Its parts are timed on the same trainee in turns with
whole steps; on a GPU each part is waited for, so a step may be shorter than their sum. The batch is the paper's on a
GPU and small on a CPU, where an image costs about the same in any batch that keeps it busy.
"""

import tempfile
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import torch

from benchmarks._cifar import training_images
from benchmarks._interleaved import in_turns, spread
from dropnas.data import augment
from dropnas.data.arrays import ImageArrays
from dropnas.evaluate.config import RetrainConfig
from dropnas.evaluate.learner import with_auxiliary
from dropnas.evaluate.retrain import Retraining
from dropnas.provenance.environment import peak_memory
from dropnas.space.published import load_genotype
from dropnas.training import determinism

GENOTYPE = "dropnas_c10"
BATCH = {"cpu": 16, "cuda": 192}
REPETITIONS = {"cpu": 8, "cuda": 30}
PARTS = ("input", "forward", "backward", "descent")


def measure(device: str) -> dict[str, Any]:
    """Images per second of whole steps, shares of a step's parts, and those of the evaluation."""
    kind, threads = device.partition(":")[0], 2
    determinism.apply(0, device, threads)
    with tempfile.TemporaryDirectory() as folder:
        images, name = training_images(Path(folder), device)
    config = RetrainConfig(batch_size=BATCH[kind])
    trainee = Retraining(config, load_genotype(GENOTYPE), images, images, device)
    trainee.start_epoch(config.epochs // 2)
    steps, parts = count(), {part: [] for part in PARTS}
    ways = {
        "training": lambda: config.batch_size / _seconds(lambda: trainee.step(0, next(steps)), device),
        "evaluation": lambda: config.batch_size / _seconds(lambda: _evaluate(trainee), device),
        "parts": lambda: _in_parts(trainee, device, parts),
    }
    found = in_turns(ways, REPETITIONS[kind])
    return {
        "versions": {"torch": torch.__version__},
        "images": f"{name}, {config.batch_size} a batch",
        "threads": threads,
        "images/s": {way: spread(found[way]) for way in ("training", "evaluation")},
        "shares of a step": _shares(parts),
        "peak memory, GiB": {place: round(size / 2**30, 2) for place, size in peak_memory(device).items()},
    }


def _seconds(work: Callable[[], object], device: str) -> float:
    started = time.perf_counter()
    work()
    if device != "cpu":
        torch.cuda.synchronize(device)
    return time.perf_counter() - started


def _in_parts(trainee: Retraining, device: str, parts: dict[str, list[float]]) -> float:
    """A step in four parts, each timed; gives the seconds of all."""
    config, learner, training = trainee.config, trainee.learner, trainee.training
    indices = trainee.order[: config.batch_size]
    kept: dict[str, Any] = {}

    def forward() -> None:
        with learner.autocast():
            outputs = learner.network(
                kept["images"], drop_path=trainee.drop_path, generator=trainee.random["drop-path"]
            )
            kept["loss"] = with_auxiliary(outputs, training.labels[indices], config.auxiliary_weight)

    work = {
        "input": lambda: kept.update(images=trainee._augment(training.batch(indices))),
        "forward": forward,
        "backward": lambda: kept["loss"].backward(),
        "descent": learner.descend,
    }
    for part in PARTS:
        parts[part].append(_seconds(work[part], device))
    return sum(values[-1] for values in parts.values())


@torch.no_grad()
def _evaluate(trainee: Retraining) -> None:
    data: ImageArrays = trainee.training
    images = augment.normalise(data.batch(trainee.order[: trainee.config.batch_size]), data.mean, data.std)
    trainee.learner.network.eval()
    trainee.learner.network(images)
    trainee.learner.network.train()


def _shares(parts: dict[str, list[float]]) -> dict[str, Any]:
    """Each part's share of the time of all, the first measurement left out."""
    rows = list(zip(*(parts[part][1:] for part in PARTS), strict=True))
    return {part: spread([row[index] / sum(row) for row in rows]) for index, part in enumerate(PARTS)}
