"""Kernels, bytes and instructions of a step of the search and of the retraining, at the paper's size, without a GPU.

Design choices: the stages' own programs run on torch's `meta` device in fp32 and bf16, and `benchmarks._kernels` counts
their kernels. The search runs with its fused kernels and with torch's; the retraining runs with and without
AutoAugment. The evaluation of a test batch is counted as well. Bytes divided by a GPU's bandwidth roughly bound the
time of a step.
"""

from collections.abc import Callable, Iterator
from typing import Any

from benchmarks._compiling import seconds_of_compiling
from benchmarks._instructions import instructions
from benchmarks._kernels import Kernels, as_on_a_gpu
from benchmarks._limits import conditions
from benchmarks._workloads import maps_of_type, on_meta, search_on_meta
from dropnas.errors import DropnasError
from dropnas.evaluate.config import RetrainConfig
from dropnas.evaluate.retrain import TEST_BATCH
from dropnas.search.config import SearchConfig
from dropnas.space.spaces import ORIGINAL
from dropnas.training import determinism
from dropnas.training.config import Precision

PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16")  # tf32 moves the same bytes as fp32
LARGEST = 12  # number of operations to list


def measure(device: str) -> Iterator[tuple[str, Any]]:
    """Count the kernels of a step and of a test batch."""
    if device != "cpu":
        raise DropnasError("kernels are counted without a device", where=device, remedy="leave --device out")
    determinism.apply(0, "cuda", 1)  # as on a GPU: operations without a deterministic form only warn
    yield from conditions().items()
    yield "search", _of_searches()
    yield "a bf16 step of the search, compiled for an H100", _compiling()
    yield "warp instructions of its own kernels there", _instructions()
    yield "retraining", _of_retrainings()


def _of_searches() -> dict[str, Any]:
    """Count a step of one search with Triton's and with torch's kernels, and of a group of four with Triton's."""
    found = {}
    for precision in PRECISIONS:
        for kernels, seeds in (("triton", 1), ("triton", 4), ("torch", 1)):
            config = SearchConfig(precision=precision, kernels=kernels)  # type: ignore[arg-type]
            step = search_on_meta(config, ORIGINAL, seeds)
            with maps_of_type(precision):
                counts = counted(lambda step=step, size=config.batch_size: step(size), seeds * config.batch_size)
            found[f"{precision}, {kernels} kernels, {seeds} seeds"] = counts
    return found


def _compiling() -> dict[str, float]:
    config = SearchConfig(precision="bf16", kernels="triton")
    step = search_on_meta(config, ORIGINAL, seeds=1)
    with as_on_a_gpu(launching=True), maps_of_type("bf16"):
        return seconds_of_compiling(lambda: step(config.batch_size))


def _instructions() -> dict[str, int]:
    config = SearchConfig(precision="bf16", kernels="triton")
    step = search_on_meta(config, ORIGINAL, seeds=1)
    with as_on_a_gpu(launching=True), maps_of_type("bf16"):
        found = instructions(lambda: step(config.batch_size))
    return {"all": sum(found.values()), **found}


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


def counted(program: Callable[[], None], images: int) -> dict[str, Any]:
    """Count the kernels and bytes of a program that processes `images` images, after a warm-up run."""
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
