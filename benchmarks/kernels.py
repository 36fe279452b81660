"""Kernels, bytes and instructions of a step of the search and of a retraining, at the paper's size, without a GPU.

Design choices: the stage's own program runs on torch's `meta` device (`benchmarks._kernels` says what counts), in fp32
and in bf16; the search's with its fused kernels and with torch's, the retraining's with and without AutoAugment and for
a batch of its evaluation. Bytes over a GPU's bandwidth are a rough bound of its pace.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from unittest import mock

import torch

from benchmarks._compiling import seconds_of_compiling
from benchmarks._instructions import instructions
from benchmarks._kernels import Kernels, as_on_a_gpu
from benchmarks._limits import conditions
from dropnas.data.arrays import ImageArrays
from dropnas.errors import DropnasError
from dropnas.evaluate.config import RetrainConfig
from dropnas.evaluate.retrain import TEST_BATCH, Retraining
from dropnas.precision import Precision
from dropnas.search.config import SearchConfig
from dropnas.search.engine.supernet import FastSupernet
from dropnas.search.options import options_of
from dropnas.search.program.draws import blank
from dropnas.search.program.step import Step, start
from dropnas.search.start import first_alphas, first_supernet
from dropnas.space.published import load_genotype
from dropnas.space.spaces import ORIGINAL, SearchSpace
from dropnas.training import determinism

DEVICE, GENOTYPE, CLASSES, SIDE = "meta", "dropnas_c10", 10, 32
PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16")  # tf32 moves what fp32 does
LARGEST = 12  # operations that are listed


def measure(device: str) -> Iterator[tuple[str, Any]]:
    """What a step and a batch of tests consist of."""
    if device != "cpu":
        raise DropnasError("kernels are counted without a device", where=device, remedy="leave --device out")
    determinism.apply(0, "cuda", 1)  # as on a GPU: with warnings only
    yield from conditions().items()
    yield "search", _of_searches()
    yield "a bf16 step of the search, compiled for an H100", _compiling()
    yield "warp instructions of its own kernels there", _instructions()
    yield "retraining", _of_retrainings()


def _of_searches() -> dict[str, Any]:
    """A step of one search and of four together, with either kind of kernels."""
    found = {}
    for precision in PRECISIONS:
        for kernels, seeds in (("triton", 1), ("triton", 4), ("torch", 1)):
            config = SearchConfig(precision=precision, kernels=kernels)  # type: ignore[arg-type]
            step = search_on_meta(config, ORIGINAL, seeds)
            with _of_type(precision):
                counts = counted(lambda step=step, size=config.batch_size: step(size), seeds * config.batch_size)
            found[f"{precision}, {kernels} kernels, {seeds} at once"] = counts
    return found


def _compiling() -> dict[str, float]:
    config = SearchConfig(precision="bf16", kernels="triton")
    step = search_on_meta(config, ORIGINAL, seeds=1)
    with as_on_a_gpu(launching=True), _of_type("bf16"):
        return seconds_of_compiling(lambda: step(config.batch_size))


def _instructions() -> dict[str, int]:
    config = SearchConfig(precision="bf16", kernels="triton")
    step = search_on_meta(config, ORIGINAL, seeds=1)
    with as_on_a_gpu(launching=True), _of_type("bf16"):
        found = instructions(lambda: step(config.batch_size))
    return {"all": sum(found.values()), **found}


def search_on_meta(config: SearchConfig, space: SearchSpace, seeds: int) -> Step:
    """The program of some searches where nothing is computed, going the way of a GPU."""
    configs = [replace(config, seed=seed) for seed in range(seeds)]
    supernets = [first_supernet(FastSupernet, of_seed, space, CLASSES).to(DEVICE) for of_seed in configs]
    moving = start(supernets, [first_alphas(of_seed, space) for of_seed in configs], 1)
    draws = blank(1, seeds, config.batch_size, config.cells, len(space.operations), DEVICE)
    step = Step(config, options_of(config), supernets, moving, draws, _images(config.batch_size))
    step.supernets.fused = config.kernels == "triton"
    return step


@contextmanager
def _of_type(precision: Precision) -> Iterator[None]:
    """Maps in the type that autocast, which `meta` lacks, would give them."""
    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    with mock.patch("dropnas.search.engine.network._type_of_maps", lambda images: kind):
        yield


def _of_retrainings() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for precision in PRECISIONS:
        for autoaugment in (False, True):
            trainee = on_meta(RetrainConfig(precision=precision, autoaugment=autoaugment))
            size = trainee.config.batch_size
            name = f"{precision}, AutoAugment" if autoaugment else precision
            found[name] = {"step": counted(lambda trainee=trainee, size=size: trainee.train_batch(size), size)}
        trainee.learner.start_test()
        tests = counted(
            lambda trainee=trainee: trainee.test_batch(trainee.testing, trainee.tests, TEST_BATCH), TEST_BATCH
        )
        found[precision]["batch of tests"] = tests
    return found


def on_meta(config: RetrainConfig) -> Retraining:
    """The trainee of the stage where nothing is computed, going the way of a GPU."""
    images = _images(max(config.batch_size, TEST_BATCH))
    trainee = Retraining(config, load_genotype(GENOTYPE), images, images, DEVICE)
    trainee.learner.optimiser.on_gpu = True
    if config.precision == "bf16":  # autocast, which `meta` lacks, would cast the images, too
        network = trainee.learner.network
        trainee.learner.forward = lambda images, masks: network(images.bfloat16(), masks)
    return trainee


def _images(count: int) -> ImageArrays:
    pixels = torch.zeros((count, SIDE, SIDE, 3), dtype=torch.uint8, device=DEVICE).permute(0, 3, 1, 2)
    half = torch.full((3,), 0.5, device=DEVICE)
    return ImageArrays(pixels, torch.zeros(count, dtype=torch.int64, device=DEVICE), CLASSES, half, half)


def counted(program: Callable[[], None], images: int) -> dict[str, Any]:
    """Kernels and bytes of a program that sees so many images; its first run makes what is made once."""
    with as_on_a_gpu():
        program()
        with Kernels() as counter:
            program()
    moved = sum(counter.bytes.values())
    return {
        "images": images,
        "kernels": sum(counter.kernels.values()),
        "kernels under a megabyte": counter.small,
        "gigabytes": round(moved / 1e9, 2),
        "products with a side under 8 and an inner dimension over 100,000": dict(counter.thin),
        "largest": {
            name: {"kernels": counter.kernels[name], "gigabytes": round(bytes_ / 1e9, 2)}
            for name, bytes_ in counter.bytes.most_common(LARGEST)
        },
    }
