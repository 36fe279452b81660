"""Times ImageNet's input pipeline: our loader, compared with torchvision's ImageFolder and torch's DataLoader.

Design choices: all pipelines read the same real images (an uncompressed tar of class folders, DROPNAS_IMAGENET) with
the same number of decoding processes, and produce float32 images on the device. The usual pipeline decodes to Pillow
images and applies RandomResizedCrop, flip, ToTensor and Normalize. The fastest alternative in torchvision is measured
as well: its own decoder, followed by transforms that work on tensors. Our pipeline is that of the transfer stage:
AutoAugment runs on the GPU or, without a GPU, in the decoding processes; whole batches are normalised on the device.
The clock starts after some batches: in a real epoch, which has thousands of batches, the time to start the processes
does not matter.
"""

import os
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from itertools import count, islice
from pathlib import Path
from typing import Any

import torch
import torchvision
from PIL import features
from torch import Tensor
from torch.utils.data import DataLoader, RandomSampler
from torchvision import transforms
from torchvision.datasets import ImageFolder
from torchvision.io import ImageReadMode, decode_image
from torchvision.transforms import v2

from benchmarks._interleaved import compared, in_turns
from benchmarks._limits import now
from dropnas.data import augment, autoaugment
from dropnas.data.batches import epoch_order
from dropnas.data.config import DatasetConfig
from dropnas.data.imagenet import ImageSource, TrainTransform, batches
from dropnas.data.prepare import run as prepare
from dropnas.errors import DropnasError
from dropnas.training.seeding import generator
from dropnas.workspace import Workspace

VARIABLE, SAMPLE = "DROPNAS_IMAGENET", Path("../shared/data/imagenet-sample.tar")
SIZE, BATCH, WORKERS = 224, 64, 2
SKIPPED, TIMED, REPETITIONS = 2, 12, 3  # number of batches before and during the timing; number of repetitions
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

Batches = Iterator[tuple[Tensor, Tensor]]


def measure(device: str) -> Iterator[tuple[str, Any]]:
    """Images per second of each pipeline, and how many times faster ours is."""
    tar = _sample()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    libraries = {"torch": torch.__version__, "torchvision": torchvision.__version__}
    yield "versions", {**libraries, "libjpeg-turbo of Pillow": features.version_feature("libjpeg_turbo")}
    yield "workers", WORKERS
    with tempfile.TemporaryDirectory() as name:
        plain, source = _unpacked(tar, Path(name) / "plain"), _prepared(tar, Path(name) / "prepared")
        yield "images", f"{len(source)} images, {BATCH} a batch, {SIZE} pixels"
        for policy, autoaugmented in (("crop and flip", False), ("AutoAugment too", True)):
            starts = {
                "ours": _ours(source, device, autoaugmented),
                "usual": _usual(ImageFolder(plain, _on_pillow(autoaugmented)), device),
                "usual, on tensors": _usual(ImageFolder(plain, _on_tensors(autoaugmented), loader=_decoded), device),
            }
            ways = {name: _Timed(start, device) for name, start in starts.items()}
            found = compared(in_turns(ways, REPETITIONS), "ours")
            per_core = {name: [1000 / value for value in way.milliseconds[1:]] for name, way in ways.items()}
            yield policy, {"images/s": found, "images per second of CPU time": compared(per_core, "ours")}
            if not autoaugmented:
                yield "ratio", found["ratio"]["usual"]


def _sample() -> Path:
    tar = Path(os.environ.get(VARIABLE, SAMPLE))
    if not tar.is_file():
        raise DropnasError(
            "no ImageNet images to measure on", where=tar, remedy=f"name a tar of class folders in {VARIABLE}"
        )
    return tar


def _unpacked(tar: Path, folder: Path) -> Path:
    """Unpack the tar; return the folder that contains the class folders."""
    with tarfile.open(tar) as archive:
        archive.extractall(folder, filter="data")
    while len(inside := [path for path in folder.iterdir() if path.is_dir()]) == 1:
        folder = inside[0]
    return folder


def _prepared(tar: Path, folder: Path) -> ImageSource:
    folder.mkdir()
    config = DatasetConfig("imagenet", "images", path=str(tar))
    prepare(config, [], folder, Workspace(scratch=folder, identity="benchmark"))
    return ImageSource(folder, "train")


class _Timed:
    """Starts a loader; measures images per second after the first batches, and CPU time per image of all processes.

    Wall time is what matters for training; CPU time is meaningful even on a busy machine.
    """

    def __init__(self, start: Callable[[], Batches], device: str) -> None:
        self.start, self.device = start, device
        self.milliseconds: list[float] = []  # of CPU time per image, one value per call

    def __call__(self) -> float:
        begun, loaded = sum(os.times()[:4]), self.start()
        images = sum(len(batch) for batch, _ in islice(loaded, SKIPPED))
        started, before = now(self.device), images
        for batch, _ in loaded:
            images += len(batch)
        seconds = now(self.device) - started
        self.milliseconds.append(1000 * (sum(os.times()[:4]) - begun) / images)
        return (images - before) / seconds


def _ours(source: ImageSource, device: str, autoaugmented: bool) -> Callable[[], Batches]:
    normalise = augment.Normaliser(source.mean.to(device), source.std.to(device))
    epochs, policy, decoding = count(), autoaugment.IMAGENET, device == "cpu"
    autoaugment.make_tables(policy, SIZE, SIZE, device)

    def start() -> Batches:
        epoch = next(epochs)

        def drawn(number: int) -> Tensor:
            return autoaugment.draw(policy, BATCH, generator(0, "autoaugment", epoch, number))

        def decoded(images: list[Tensor], number: int) -> list[Tensor]:
            return autoaugment.augment_each(images, policy, drawn(number))

        transform = TrainTransform(SIZE, 0, epoch)
        order = epoch_order(len(source), 0, epoch)[: BATCH * (SKIPPED + TIMED)]
        finish = decoded if autoaugmented and decoding else None
        loaded = batches(source, transform, order, BATCH, workers=WORKERS, finish=finish)
        for number, (images, labels) in enumerate(loaded):
            images = images.to(device, non_blocking=True)
            if autoaugmented and not decoding:
                images = autoaugment.augment(images, policy, drawn(number).to(device))
            yield normalise(images), labels.to(device, non_blocking=True)

    return start


def _usual(images: ImageFolder, device: str) -> Callable[[], Batches]:
    loader = DataLoader(
        images,
        BATCH,
        sampler=RandomSampler(images, num_samples=BATCH * (SKIPPED + TIMED)),
        num_workers=WORKERS,
        pin_memory=device != "cpu",
        multiprocessing_context="fork",
    )

    def start() -> Batches:
        for batch, labels in loader:
            yield batch.to(device, non_blocking=True), labels.to(device, non_blocking=True)

    return start


def _on_pillow(autoaugmented: bool) -> Callable[[Any], Tensor]:
    policy = [transforms.AutoAugment(transforms.AutoAugmentPolicy.IMAGENET)] if autoaugmented else []
    return transforms.Compose(
        [
            transforms.RandomResizedCrop(SIZE),
            transforms.RandomHorizontalFlip(),
            *policy,
            transforms.ToTensor(),
            transforms.Normalize(MEAN, STD),
        ]
    )


def _on_tensors(autoaugmented: bool) -> Callable[[Any], Tensor]:
    policy = [v2.AutoAugment(v2.AutoAugmentPolicy.IMAGENET)] if autoaugmented else []
    return v2.Compose(
        [
            v2.RandomResizedCrop(SIZE, antialias=True),
            v2.RandomHorizontalFlip(),
            *policy,
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(MEAN, STD),
        ]
    )


def _decoded(path: str) -> Tensor:
    return decode_image(path, ImageReadMode.RGB)
