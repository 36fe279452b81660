"""Kernels and bytes of a retraining's step and of a batch of its evaluation, at the paper's size, without a GPU.

Design choices: the stage's own program runs on torch's `meta` device (`benchmarks._kernels` says what counts), once in
fp32 and once in bf16, with and without AutoAugment. Bytes over a GPU's bandwidth are a rough bound of its pace.
"""

from collections.abc import Callable
from typing import Any

import torch

from benchmarks._kernels import Kernels, as_on_a_gpu
from benchmarks._limits import conditions
from dropnas.data.arrays import ImageArrays
from dropnas.errors import DropnasError
from dropnas.evaluate.config import RetrainConfig
from dropnas.evaluate.retrain import TEST_BATCH, Retraining
from dropnas.precision import Precision
from dropnas.space.published import load_genotype
from dropnas.training import determinism

DEVICE, GENOTYPE, CLASSES, SIDE = "meta", "dropnas_c10", 10, 32
PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16")  # tf32 moves what fp32 does
LARGEST = 12  # operations that are listed


def measure(device: str) -> dict[str, Any]:
    """What a step and a batch of tests consist of."""
    if device != "cpu":
        raise DropnasError("kernels are counted without a device", where=device, remedy="leave --device out")
    determinism.apply(0, "cuda", 1)  # as on a GPU: with warnings only
    found: dict[str, Any] = {**conditions()}
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
    count = max(config.batch_size, TEST_BATCH)
    pixels = torch.zeros((count, SIDE, SIDE, 3), dtype=torch.uint8, device=DEVICE).permute(0, 3, 1, 2)
    half = torch.full((3,), 0.5, device=DEVICE)
    images = ImageArrays(pixels, torch.zeros(count, dtype=torch.int64, device=DEVICE), CLASSES, half, half)
    trainee = Retraining(config, load_genotype(GENOTYPE), images, images, DEVICE)
    trainee.learner.optimiser.on_gpu = True
    if config.precision == "bf16":  # autocast, which `meta` lacks, would cast the images, too
        network = trainee.learner.network
        trainee.learner.forward = lambda images, masks: network(images.bfloat16(), masks)
    return trainee


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
        "largest": {
            name: {"kernels": counter.kernels[name], "gigabytes": round(bytes_ / 1e9, 2)}
            for name, bytes_ in counter.bytes.most_common(LARGEST)
        },
    }
