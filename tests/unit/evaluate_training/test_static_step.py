"""The retraining's step and evaluation as programs for a GPU, on a device that knows only shapes and no values."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks._kernels import Kernels, as_on_a_gpu
from benchmarks.kernels import counted, on_meta
from dropnas.data import arrays
from dropnas.evaluate import retrain
from dropnas.evaluate.config import MemoryFormat, RetrainConfig
from dropnas.space.published import load_genotype
from dropnas.training import determinism
from dropnas.training.config import Precision

SMALL = RetrainConfig(cells=3, channels=4, batch_size=8, epochs=2, autoaugment=True)


@pytest.fixture(autouse=True)
def deterministic() -> Iterator[None]:
    """As on a GPU; the setting is process-wide."""
    determinism.apply(0, "cuda", 1)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize("memory_format", ["contiguous", "channels_last"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("size", [8, 5])
def test_a_step_reads_no_value_and_stays_on_its_device(
    size: int, precision: Precision, memory_format: MemoryFormat
) -> None:
    trainee = on_meta(replace(SMALL, precision=precision, memory_format=memory_format))
    assert counted(lambda: trainee.train_batch(size), size)["kernels"] > 100


def test_a_batch_of_tests_reads_no_value_and_stays_on_its_device() -> None:
    trainee = on_meta(SMALL)
    trainee.learner.start_test()
    assert counted(lambda: trainee.test_batch(trainee.testing, trainee.tests, 7), 7)["kernels"] > 50


def test_bf16_takes_hardly_more_kernels_than_fp32() -> None:
    """Weights are cast together, and so are masks."""
    found = [on_meta(replace(SMALL, precision=precision)) for precision in ("fp32", "bf16")]  # type: ignore[arg-type]
    fp32, bf16 = (counted(lambda of=trainee: of.train_batch(8), 8)["kernels"] for trainee in found)
    assert bf16 <= fp32 + 4


@pytest.mark.parametrize(
    "looking",
    [
        lambda values: values.index_copy_(0, torch.zeros(1, dtype=torch.int64, device="meta"), values[:1]),
        lambda values: values.scatter_add(0, torch.zeros(1, dtype=torch.int64, device="meta"), values[:1]),
        lambda values: values.nonzero(),
        lambda values: values.copy_(torch.ones(3)),
        lambda values: values.to("cpu"),
    ],
)
def test_what_would_wait_or_mix_is_seen(looking: object) -> None:
    with pytest.raises((AssertionError, NotImplementedError)), as_on_a_gpu(), Kernels():
        looking(torch.ones(3, device="meta"))  # type: ignore[operator]


def test_errors_are_the_same_in_batches_of_any_size(digits: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = replace(SMALL, batch_size=64, crop_padding=1, cutout=2, autoaugment=False, held_out=130)
    training, testing = (arrays.load(digits, split) for split in ("train", "test"))
    found = []
    for size in (500, 128):
        monkeypatch.setattr(retrain, "TEST_BATCH", size)
        trainee = retrain.Retraining(config, load_genotype("dropnas_c10"), training, testing, "cpu")
        trainee.start_epoch(0)
        trainee.step(0, 0)
        found.append((trainee.errors(), trainee.errors("held out")))
    assert found[0] == found[1]
    programs: list[Any] = list(trainee.programs.programs)
    assert {what for what, _ in programs} == {"train", "test", "held out"}
    assert {size for what, size in programs if what == "held out"} == {128, 2}
