"""The probe behind `plan --measure`: times a few real steps of each kind of work on images of noise.

It uses the training code of the stages. It takes about a minute, which is divided among the kinds of work. On a CPU a
step may take a minute, so batches start small and grow as far as the time allows. If they do not reach the protocol's
batch size, the step time is extrapolated linearly from the smallest and the largest batch, as a fixed time plus a time
for each image. Every batch is repeated, and the spread of the repetitions is extrapolated in the same way. All images
are the same noise. Decoding and augmenting the images of ImageNet is not included.
"""

import itertools
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import torch

from dropnas.artifacts.dataset_file import Dataset
from dropnas.config import Machine
from dropnas.data.arrays import ImageArrays
from dropnas.data.imagenet import ImageSource
from dropnas.data.prepare import IMAGENET_MEAN, IMAGENET_STD
from dropnas.errors import DropnasError
from dropnas.evaluate.learner import Learner
from dropnas.evaluate.retrain import TEST_BATCH, Retraining
from dropnas.evaluate.transfer import Transfer
from dropnas.machine.devices import claimed
from dropnas.monitor.estimate import Device, Measured
from dropnas.monitor.work import Shape
from dropnas.parsing import parse
from dropnas.pipeline.stages import STAGES
from dropnas.runs.environment import environment
from dropnas.search.seed_group import SeedGroup
from dropnas.search.stage import new_group
from dropnas.search.strategy import make_strategy
from dropnas.space.published import load_genotype
from dropnas.space.spaces import find_space
from dropnas.training import determinism, precision
from dropnas.training.distributed import SINGLE
from dropnas.training.graphs import recorder_for
from dropnas.training.seeding import generator
from dropnas.workspace import Workspace

SECONDS = 60.0  # for all kinds together
SMALLEST_BATCH = 2  # images of the first batch; batch norm needs two
CLEAR_INCREASE = 1.5  # the time per image is measurable if a batch takes this many times as long as the smallest
FEWEST_STEPS, MOST_STEPS = 3, 20  # repetitions of a batch
EIGHTY = (0.1, 0.5, 0.9)  # quantiles
STAND_IN = "dropnas_c10"  # used in place of the genotypes that the searches will find
MOST_SPREAD = 0.5  # results with a larger spread are not trusted
CIFAR_CLASSES, IMAGENET_CLASSES = 10, 1000
Compute = Callable[[int], object]  # computes a batch of the given size


class EpochPart(NamedTuple):
    """A part of an epoch, ready to be timed: training, or evaluation."""

    compute: Compute
    batch: int  # the protocol's batch size
    images: int  # number of images in an epoch


class Timing(NamedTuple):
    """The time of a step."""

    seconds: float
    spread: float  # spread of the repetitions, as a fraction of `seconds`
    batch: int  # largest batch timed


def measure(
    wanted: Mapping[str, tuple[Mapping[str, Any], Shape]],
    machine: Machine,
    progress: Callable[[str], None],
    seconds: float = SECONDS,
    limit: float = 2 * SECONDS,
) -> list[Measured]:
    """Time each kind of work on this machine.

    Args:
        wanted: one run of each kind, with the shape of its data.
        progress: receives a line for each kind, a line about the kinds that were left out, if any, and a line with the
            total time.
        seconds: the time to aim for; a slow machine takes longer, because each batch is repeated.
        limit: no further kind is started after this number of seconds.
    """
    begun, load, cpus, found = time.monotonic(), os.getloadavg()[0], os.cpu_count() or 1, list[Measured]()
    with claimed(machine.device, progress) as device, tempfile.TemporaryDirectory() as folder:
        used = environment(device, machine.threads)
        for index, (kind, (run, shape)) in enumerate(wanted.items()):
            spent, left = time.monotonic() - begun, len(wanted) - index
            if spent > limit:
                progress(f"{left} kinds of work were not timed within {limit:.0f} s; repeat the command to time them")
                break
            parts = _parts(run, shape, machine, device, Path(folder, str(index)))
            share = (seconds - spent) / left / len(parts)
            epoch = _epoch(parts, [timing(part.compute, part.batch, share, device) for part in parts])
            date = f"{datetime.now(UTC):%FT%TZ}"
            found.append(Measured(Device.of(used), kind, *epoch, load, cpus, date, used["versions"]))
            speed = f"{found[-1].images_per_second:.3g} images/s in batches of {found[-1].batch}"
            progress(f"{run['stage']} such as {run['name']}: {speed}, spread {found[-1].spread:.0%}")
    took = f"{time.monotonic() - begun:.0f} s; load {load:.1f} on {cpus} CPUs before"
    progress(f"{len(found)} kinds of work timed in {took}")
    return found


def _parts(run: Mapping[str, Any], shape: Shape, machine: Machine, device: str, folder: Path) -> list[EpochPart]:
    """The training of a run and, if it has one, its evaluation."""
    config = parse(STAGES[run["stage"]].config, run["config"], run["name"])
    determinism.apply(config.seed, device, machine.threads, deterministic=getattr(config, "deterministic", True))
    precision.apply(config.precision)
    return PREPARE[run["stage"]](config, shape, device, folder)


def _epoch(parts: Sequence[EpochPart], timings: Sequence[Timing]) -> tuple[float, float, int, float]:
    """Return the seconds of an epoch, their spread, and the largest batch and the images per second in training."""
    seconds = [part.images / part.batch * step.seconds for part, step in zip(parts, timings, strict=True)]
    spread = sum(step.spread * one for step, one in zip(timings, seconds, strict=True)) / sum(seconds)
    return sum(seconds), spread, timings[0].batch, parts[0].batch / timings[0].seconds


def trusted(found: Sequence[Measured]) -> tuple[list[Measured], str]:
    """The results whose repetitions agree, and a line on the rejected results (empty if there are none).

    Raises:
        DropnasError: no result can be trusted.
    """
    kept = [entry for entry in found if entry.spread <= MOST_SPREAD]
    if len(kept) == len(found):
        return kept, ""
    most, remedy = max(entry.spread for entry in found), "measure again when the machine is idle"
    rejected = (
        f"{len(found) - len(kept)} of {len(found)} measurements are rejected: they vary by up to {most:.0%} "
        f"(load {found[0].load:.1f} on {found[0].cpus} CPUs)"
    )
    if not kept:
        raise DropnasError(rejected, remedy=remedy)
    return kept, f"{rejected}; {remedy}"


def timing(work: Compute, full: int, share: float, device: str) -> Timing:
    """Time the work on a batch of `full` images, in `share` seconds or longer if three repetitions take longer."""
    ends = time.monotonic() + share
    size = small = min(SMALLEST_BATCH, full)
    _seconds(work, small, device)  # the first batch compiles and allocates
    shortest = times = [_seconds(work, small, device) for _ in range(FEWEST_STEPS)]
    took = least = median(shortest)
    while size < full:
        left = ends - time.monotonic()
        # Time a larger batch if it should fit into the time left, or if no batch was clearly slower so far.
        if size != small and not (took < CLEAR_INCREASE * least and left > 0) and 2 * FEWEST_STEPS * took >= left:
            break
        factor = 4 if 4 * FEWEST_STEPS * took < left else 2  # the time of a batch grows by at most this factor
        size = min(full, factor * size)
        took, times = _seconds(work, size, device), []
    while len(times) < FEWEST_STEPS or (time.monotonic() + took < ends and len(times) < MOST_STEPS):
        times.append(_seconds(work, size, device))
    return through_line(small, shortest, size, times, full)


def through_line(small: int, shortest: Sequence[float], size: int, times: Sequence[float], full: int) -> Timing:
    """The time of a full batch, extrapolated from repetitions of a small and a larger batch.

    The result is at least the time of the larger batch, and at most this time scaled to the full batch. The spread is
    the range of four values, as a fraction of the result. The four values are the result, the unbounded result, and
    two more extrapolations. One of them uses the 10 % quantile of the small batch and the 90 % quantile of the larger
    one; the other uses the 90 % quantile of the small batch and the 10 % quantile of the larger one.
    """

    def line(short: float, long: float) -> float:
        an_image = (long - short) / (size - small) if size != small else long / size
        return long + an_image * (full - size)

    (fast, middle, slow), (low, median_, high) = np.quantile(shortest, EIGHTY), np.quantile(times, EIGHTY)
    seconds = float(np.clip(line(middle, median_), median_, median_ * full / size))
    ends = [seconds, line(middle, median_), line(fast, high), line(slow, low)]
    return Timing(seconds, (max(ends) - min(ends)) / seconds, size)


def _seconds(work: Compute, size: int, device: str) -> float:
    gpu = device.startswith("cuda")
    if gpu:
        work(size)  # on a GPU the first step is captured as a CUDA graph
        torch.cuda.synchronize(device)
    started = time.perf_counter()
    work(size)
    if gpu:
        torch.cuda.synchronize(device)
    return time.perf_counter() - started


def _search(config: Any, shape: Shape, device: str, folder: Path) -> list[EpochPart]:
    share = make_strategy(config, find_space(config.space)).weight_share  # fraction of images that train the weights

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

    return [EpochPart(train, min(config.batch_size, shape.train), round(share * shape.train))]


def _retrain(config: Any, shape: Shape, device: str, folder: Path) -> list[EpochPart]:
    trained, tested = shape.train - config.held_out, shape.test + config.held_out
    config = replace(config, held_out=0)
    training, testing = (_noise(count, shape, device) for count in (shape.train, shape.test))

    @cache
    def of_size(size: int) -> Retraining:
        own = replace(config, batch_size=size)
        made = Retraining(own, load_genotype(STAND_IN), training, testing, device, recorder_for(device))
        made.start_epoch(0)
        return made

    def train(size: int) -> None:
        of_size(size).step(0, 0)

    evaluation = _evaluation(of_size(config.batch_size).learner, shape.height, shape.width, tested, device)
    return [EpochPart(train, min(config.batch_size, trained), trained), evaluation]


def _transfer(config: Any, shape: Shape, device: str, folder: Path) -> list[EpochPart]:
    small = replace(config, batch_size=SMALLEST_BATCH, micro_batch=SMALLEST_BATCH)
    training, testing = (_placeholder(folder, split) for split in ("train", "test"))
    workspace = Workspace(folder, "", device)
    transfer = Transfer(small, load_genotype(STAND_IN), training, testing, workspace, SINGLE)
    transfer.start_epoch(0)
    side = config.image_size
    noise = torch.randint(0, 256, (1, 3, side, side), dtype=torch.uint8, generator=generator(0, "noise"))

    def train(size: int) -> None:
        batch = noise.expand(size, -1, -1, -1).contiguous(), torch.zeros(size, dtype=torch.int64)
        transfer.batches = itertools.repeat(batch)
        transfer.step(0, 0)

    trained = shape.train // config.batch_size * config.batch_size
    return [
        EpochPart(train, config.micro_batch, trained),
        _evaluation(transfer.learner, side, side, shape.test, device),
    ]


PREPARE = {"search": _search, "retrain": _retrain, "transfer": _transfer}


def _noise(count: int, shape: Shape, device: str) -> ImageArrays:
    """A data set of one image that is repeated `count` times without copies."""
    size = (1, 3, shape.height, shape.width)
    image = torch.randint(0, 256, size, dtype=torch.uint8, generator=generator(0, "noise"))
    return ImageArrays(
        images=image.to(device).expand(count, -1, -1, -1),
        labels=torch.zeros(count, dtype=torch.int64, device=device),
        classes=CIFAR_CLASSES,
        mean=torch.full((3,), 0.5, device=device),
        std=torch.full((3,), 0.25, device=device),
    )


def _evaluation(learner: Learner, height: int, width: int, images: int, device: str) -> EpochPart:
    def evaluate(size: int) -> object:
        batch = torch.zeros((size, 3, height, width), device=device)
        return learner.evaluate([(batch, torch.zeros(size, dtype=torch.int64, device=device))])

    return EpochPart(evaluate, min(TEST_BATCH, images), images)


def _placeholder(folder: Path, split: Any) -> ImageSource:
    """A split with as many classes as ImageNet. Its tiny images are only placeholders and are never read."""
    folder.mkdir(parents=True, exist_ok=True)
    Dataset(
        "noise", "arrays", IMAGENET_CLASSES, 1, 1, 1, IMAGENET_MEAN, IMAGENET_STD, SMALLEST_BATCH, SMALLEST_BATCH
    ).write(folder)
    np.save(folder / f"{split}_images.npy", np.zeros((SMALLEST_BATCH, 1, 1, 1), dtype=np.uint8))
    np.save(folder / f"{split}_labels.npy", np.zeros(SMALLEST_BATCH, dtype=np.int64))
    return ImageSource(folder, split)
