"""Channels last: the same training as in the usual layout, up to rounding; bit-identical after a resume.

oneDNN is switched off here, because its kernels for channels last write outside their memory (docs/decisions.md).
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from dropnas.data import arrays
from dropnas.data.imagenet import ImageSource
from dropnas.errors import DropnasError
from dropnas.evaluate import retrain, transfer
from dropnas.evaluate.config import MemoryFormat, RetrainConfig, TransferConfig
from dropnas.evaluate.learner import Learner
from dropnas.space.genotype import Genotype
from dropnas.training.distributed import SINGLE
from dropnas.workspace import Workspace

CONFIG = RetrainConfig(cells=3, channels=4, epochs=2, batch_size=250, crop_padding=1, cutout=2, drop_path=0.3)
IMAGENET = TransferConfig(
    cells=3, channels=4, image_size=32, batch_size=16, micro_batch=8, mixup=0.0, autoaugment=False
)
FORMATS: list[MemoryFormat] = ["contiguous", "channels_last"]


@pytest.fixture
def without_onednn() -> Iterator[None]:
    with torch.backends.mkldnn.flags(enabled=False):
        yield


@pytest.fixture
def double() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def retraining(digits: Path, genotype: Path, memory_format: MemoryFormat) -> retrain.Retraining:
    found = (arrays.load(digits, split) for split in ("train", "test"))
    training, testing = (replace(each, mean=each.mean.double(), std=each.std.double()) for each in found)
    config = replace(CONFIG, memory_format=memory_format)
    return retrain.Retraining(config, Genotype.read(genotype), training, testing, "cpu")


def trained(made: retrain.Retraining, steps: range) -> list[Tensor]:
    """All changed tensors after some steps of the second epoch, in which paths are dropped."""
    for step in steps:
        made.step(1, step)
    return [tensor.detach().clone() for tensor in made.learner.changed()]


@pytest.mark.usefixtures("without_onednn", "double")
def test_the_training_is_the_same_to_rounding(digits: Path, genotype: Path) -> None:
    usual, last = (retraining(digits, genotype, memory_format) for memory_format in FORMATS)
    for made in (usual, last):
        made.start_epoch(1)
    pairs = list(zip(trained(last, range(3)), trained(usual, range(3)), strict=True))
    for ours, theirs in pairs:
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)
    assert last.errors() == usual.errors()


@pytest.mark.usefixtures("without_onednn", "double")
@pytest.mark.parametrize("before", FORMATS)
def test_it_resumes_from_either_layout(digits: Path, genotype: Path, before: MemoryFormat, tmp_path: Path) -> None:
    first, second, straight = (retraining(digits, genotype, each) for each in (before, "channels_last", before))
    for made in (first, second, straight):
        made.start_epoch(1)
    trained(first, range(1))
    torch.save(first.state_dicts(), tmp_path / "states")
    second.load_state_dicts(torch.load(tmp_path / "states"))
    for ours, theirs in zip(trained(second, range(1, 3)), trained(straight, range(3)), strict=True):
        if before == "channels_last":
            assert torch.equal(ours, theirs)
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)


def layouts(learner: Learner, images: Tensor) -> set[bool]:
    """Whether weights, their averages and the images that the stem sees have their channels last."""
    seen = []
    hook = learner.network.stem.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    learner.outputs(images)
    hook.remove()
    tensors = [*learner.parameters, *learner.optimiser.slots["momentum"], *seen]
    wide = [tensor for tensor in tensors if tensor.dim() == 4 and min(tensor.shape[1:]) > 1]  # else equal
    assert len(wide) >= 5
    return {tensor.is_contiguous(memory_format=torch.channels_last) for tensor in wide}


@pytest.mark.usefixtures("without_onednn")
@pytest.mark.parametrize("memory_format", FORMATS)
def test_images_weights_and_averages_have_the_same_layout(
    digits: Path, genotype: Path, memory_format: MemoryFormat
) -> None:
    torch.manual_seed(0)
    images = torch.randn(2, 3, 32, 32)
    config = replace(IMAGENET, memory_format=memory_format)
    source, space = ImageSource(digits, "train"), Workspace(Path("none"), "x")
    imagenet = transfer.Transfer(config, Genotype.read(genotype), source, source, space, SINGLE)
    training = arrays.load(digits, "train")
    cifar = retrain.Retraining(
        replace(CONFIG, memory_format=memory_format), Genotype.read(genotype), training, training, "cpu"
    )
    for learner in (imagenet.learner, cifar.learner):
        assert layouts(learner, images) == {memory_format == "channels_last"}


def test_a_cpu_refuses_it(digits: Path, genotype: Path) -> None:
    with pytest.raises(DropnasError, match=r"^memory_format channels_last needs a GPU: .*; set memory_format: contig"):
        retraining(digits, genotype, "channels_last")
