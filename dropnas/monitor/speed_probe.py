"""The probe behind `plan --measure`: a few real steps of each kind of work, on images of noise, in about a minute.

Design choices: the very trainees of the stages train, so that what is timed is what will run. Time is shared among the
kinds. A CPU may need a minute for a step that a GPU makes in no time, so batches start tiny and grow as far as the
share allows; where they do not reach the protocol's, its step follows from a line through the smallest and the largest
(a part that every step takes, and a part for each image). Images are one picture of noise, seen as often as the data
set has images. ImageNet's images come ready to the step: decoding and augmenting them is not in the result.
"""

import itertools
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from dropnas.config import Machine
from dropnas.data.arrays import ImageArrays
from dropnas.data.dataset import IMAGENET_MEAN, IMAGENET_STD, Dataset
from dropnas.data.imagenet import ImageSource
from dropnas.errors import DropnasError
from dropnas.evaluate.learner import Learner
from dropnas.evaluate.retrain import TEST_BATCH, Retraining
from dropnas.evaluate.transfer import Transfer
from dropnas.machine.devices import claimed
from dropnas.monitor.finished import device_of
from dropnas.monitor.throughput import Measured
from dropnas.monitor.work import Kind, Shape, Work
from dropnas.parsing import parse
from dropnas.pipeline.stages import STAGES
from dropnas.runs.environment import environment
from dropnas.search.seed_group import SeedGroup
from dropnas.search.stage import new_group
from dropnas.search.strategy import make_strategy
from dropnas.space.published import load_genotype
from dropnas.space.spaces import find_space
from dropnas.training import determinism, precision
from dropnas.training.graphs import recorder_for
from dropnas.training.ranks import SINGLE
from dropnas.training.seeding import generator
from dropnas.workspace import Workspace

SECONDS = 60.0  # that a probe may take in all
SMALLEST = 2  # images of the first batch; batch norm wants two
CLEAR = 1.5  # a batch that takes so many times as long as the smallest shows what an image costs
MOST_STEPS = 20
LEAST_SHARE = 0.7  # of a CPU's time, below which other work has disturbed the probe
WIDEST = 3.0  # the slowest of the last steps in times of the fastest, above which no step is like another
TRAINING_PART = 0.7  # of the time of a kind that has an evaluation, too
GENOTYPE = "dropnas_c10"  # stands for whatever the searches will find
CIFAR_CLASSES, IMAGENET_CLASSES = 10, 1000


@dataclass(frozen=True)
class Timed:
    """A kind of work, made ready to be timed.

    Attributes:
        train, evaluate: work on a batch of so many images; `evaluate` is None for searches.
        batch: the protocol's.
        trained, tested: images an epoch.
    """

    train: Callable[[int], object]
    evaluate: Callable[[int], object] | None
    batch: int
    trained: int
    tested: int


def measure(
    wanted: Sequence[tuple[Work, dict[str, Any]]],
    machine: Machine,
    progress: Callable[[str], None],
    seconds: float = SECONDS,
) -> list[Measured]:
    """Time each kind of work on this machine.

    Args:
        wanted: kinds with the configuration of one of their runs, as JSON values.
        machine: device and threads of the jobs.
        progress: told a line for each kind.
        seconds: that all of it may take, more or less.

    Raises:
        DropnasError: a configuration that cannot be trained, or a machine so busy that no figure can be trusted.
    """
    begun, found = time.monotonic(), []
    ends = begun + seconds
    with claimed(machine.device, progress) as device, tempfile.TemporaryDirectory() as folder:
        for index, (work, config) in enumerate(wanted):
            share = (ends - time.monotonic()) / (len(wanted) - index)
            began, used = time.monotonic(), time.process_time()
            entry, steps = _measure_kind(work.kind, config, machine, device, share, Path(folder, str(index)))
            got = (time.process_time() - used) / (time.monotonic() - began) if device == "cpu" else 1.0
            _require_quiet(work.kind.label, got, steps.spread)
            progress(
                f"{work.kind.label}: {entry.images_per_second:.3g} images/s in batches of {entry.batch} "
                f"(slowest step {steps.spread:.2g} times the fastest, load {os.getloadavg()[0]:.1f})"
            )
            found.append(entry)
    progress(f"{len(found)} kinds of work timed in {time.monotonic() - begun:.0f} s")
    return found


def _measure_kind(
    kind: Kind, config: dict[str, Any], machine: Machine, device: str, share: float, folder: Path
) -> tuple[Measured, "Steps"]:
    ends = time.monotonic() + share
    typed = parse(STAGES[kind.stage].config, config, kind.label)
    repeats = getattr(typed, "deterministic", True)
    determinism.apply(typed.seed, device, machine.threads, deterministic=repeats)
    precision.apply(typed.precision)
    timed = PREPARE[kind.stage](typed, kind.shape, device, folder)
    part = TRAINING_PART if timed.evaluate else 1.0
    steps = step_seconds(timed.train, timed.batch, part * (ends - time.monotonic()), device)
    step, batch = steps.seconds, steps.batch
    epoch = timed.trained / timed.batch * step
    if timed.evaluate:
        tests = min(TEST_BATCH, timed.tested)
        testing = step_seconds(timed.evaluate, tests, ends - time.monotonic(), device)
        epoch += timed.tested / tests * testing.seconds
    used = environment(device, machine.threads)
    measured = Measured(
        device=device_of(used["device"], used["device_kind"], machine.threads),
        kind=kind.content,
        epoch_seconds=epoch,
        batch=batch,
        images_per_second=timed.batch / step,
        date=f"{datetime.now(UTC):%FT%TZ}",
        versions=used["versions"],
    )
    return measured, steps


class Steps(NamedTuple):
    """What was timed: seconds of a full batch, the largest batch, and its slowest step in times of its fastest."""

    seconds: float
    batch: int
    spread: float


def _require_quiet(label: str, got: float, spread: float) -> None:
    """Require that a probe had the machine for itself."""
    if got < LEAST_SHARE or spread > WIDEST:
        load = f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
        told = f"it got {got:.0%} of a core, its slowest step took {spread:.1f} times as long as its fastest"
        raise DropnasError(
            f"the machine is too busy to be measured ({told}; {load})", where=label, remedy="wait until it is idle"
        )


def step_seconds(work: Callable[[int], object], full: int, share: float, device: str) -> Steps:
    """Seconds of work on a batch of `full` images, measured in about `share` seconds, at least two batches."""
    ends = time.monotonic() + share
    size = small = min(SMALLEST, full)
    shortest = took = _seconds(work, small, device)
    if 4 * took < share:  # on the first batch much is made for the first time
        shortest = took = _seconds(work, small, device)
    while size < full and (size == small or _worth_growing(took, shortest, ends - time.monotonic())):
        factor = 4 if 4 * took < ends - time.monotonic() else 2  # a batch takes at most so many times as long
        size = min(full, factor * size)
        took = _seconds(work, size, device)
    times = [took]
    while time.monotonic() + took < ends and len(times) < MOST_STEPS:
        times.append(_seconds(work, size, device))
    return Steps(extrapolated(small, shortest, size, median(times), full), size, max(times) / min(times))


def _worth_growing(took: float, shortest: float, left: float) -> bool:
    """Whether a larger batch fits into the time, or none was yet large enough to tell what an image costs."""
    return 2 * took < left or (took < CLEAR * shortest and left > 0)


def extrapolated(small: int, shortest: float, size: int, took: float, full: int) -> float:
    """Seconds of a batch of `full` images by the line through two measured batches, whose parts are not negative."""
    if size in (full, small):
        return took * full / size
    an_image = min(max((took - shortest) / (size - small), 0.0), took / size)
    return took + an_image * (full - size)


def _seconds(work: Callable[[int], object], size: int, device: str) -> float:
    if device.startswith("cuda"):
        work(size)  # a GPU captures a step when it makes the first one
        torch.cuda.synchronize(device)
    started = time.perf_counter()
    work(size)
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
    return time.perf_counter() - started


def _search(config: Any, shape: Shape, device: str, folder: Path) -> Timed:
    share = make_strategy(config, find_space(config.space)).weight_share  # of the images, that an epoch passes over

    @cache
    def of_size(size: int) -> tuple[SeedGroup, Iterator[int]]:
        images = _noise(round(size * MOST_STEPS / share), shape, device)
        group = new_group([replace(config, batch_size=size)], images, device)
        return group, itertools.cycle(range(group.steps_per_epoch))

    def train(size: int) -> None:
        group, numbers = of_size(size)
        step = next(numbers)
        if not step:
            group.start_epoch(0)
        group.step(0, step)

    trained = round(share * shape.train)
    return Timed(train, None, min(config.batch_size, shape.train), trained, 0)


def _retrain(config: Any, shape: Shape, device: str, folder: Path) -> Timed:
    alone = replace(config, held_out=0)  # they are counted below
    training, testing = (_noise(count, shape, device) for count in (shape.train, shape.test))

    @cache
    def of_size(size: int) -> Retraining:
        wanted = replace(alone, batch_size=size)
        made = Retraining(wanted, load_genotype(GENOTYPE), training, testing, device, recorder_for(device))
        made.start_epoch(0)
        return made

    def train(size: int) -> None:
        of_size(size).step(0, 0)

    trained, tested = shape.train - config.held_out, shape.test + config.held_out
    evaluate = _evaluation(of_size(config.batch_size).learner, shape.height, shape.width, device)
    return Timed(train, evaluate, min(config.batch_size, trained), trained, tested)


def _transfer(config: Any, shape: Shape, device: str, folder: Path) -> Timed:
    small = replace(config, batch_size=SMALLEST, micro_batch=SMALLEST)
    training, testing = (_placeholder(folder, split) for split in ("train", "test"))
    workspace = Workspace(folder, "", device)
    transfer = Transfer(small, load_genotype(GENOTYPE), training, testing, workspace, SINGLE)
    transfer.start_epoch(0)
    side = config.image_size
    noise = torch.randint(0, 256, (1, 3, side, side), dtype=torch.uint8, generator=generator(0, "noise"))

    def train(size: int) -> None:
        batch = noise.expand(size, -1, -1, -1).contiguous(), torch.zeros(size, dtype=torch.int64)
        transfer.batches = itertools.repeat(batch)
        transfer.step(0, 0)

    evaluate = _evaluation(transfer.learner, side, side, device)
    trained = shape.train // config.batch_size * config.batch_size
    return Timed(train, evaluate, config.micro_batch, trained, shape.test)


PREPARE: dict[str, Callable[[Any, Shape, str, Path], Timed]] = {
    "search": _search,
    "retrain": _retrain,
    "transfer": _transfer,
}


def _noise(count: int, shape: Shape, device: str) -> ImageArrays:
    """A data set of one image, as often as is wanted; it takes the memory of one."""
    size = (1, 3, shape.height, shape.width)
    image = torch.randint(0, 256, size, dtype=torch.uint8, generator=generator(0, "noise"))
    return ImageArrays(
        images=image.to(device).expand(count, -1, -1, -1),
        labels=torch.zeros(count, dtype=torch.int64, device=device),
        classes=CIFAR_CLASSES,
        mean=torch.full((3,), 0.5, device=device),
        std=torch.full((3,), 0.25, device=device),
    )


def _evaluation(learner: Learner, height: int, width: int, device: str) -> Callable[[int], object]:
    def evaluate(size: int) -> object:
        batch: Tensor = torch.zeros((size, 3, height, width), device=device)
        return learner.evaluate([(batch, torch.zeros(size, dtype=torch.int64, device=device))])

    return evaluate


def _placeholder(folder: Path, split: Any) -> ImageSource:
    """A split with the classes of ImageNet and no more pixels than a file must have; its images are never read."""
    folder.mkdir(parents=True, exist_ok=True)
    count = SMALLEST
    Dataset("noise", "arrays", IMAGENET_CLASSES, 1, 1, 1, IMAGENET_MEAN, IMAGENET_STD, train=count, test=count).write(
        folder
    )
    np.save(folder / f"{split}_images.npy", np.zeros((count, 1, 1, 1), dtype=np.uint8))
    np.save(folder / f"{split}_labels.npy", np.zeros(count, dtype=np.int64))
    return ImageSource(folder, split)
