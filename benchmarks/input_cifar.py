"""Times CIFAR's input pipeline: batches augmented on the device, compared with torchvision's per-image transforms.

Design choices: both pipelines produce augmented and normalised batches of the same images on the device. The usual
pipeline is the one in DARTS: Pillow images are cropped and flipped, then pass through ToTensor, Normalize and Cutout.
These transforms run in torch's DataLoader, with as many processes as our pipeline has threads. The clock starts after
some batches, so the time to start the processes is not included.
"""

import tempfile
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import torch
import torchvision
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset
from torchvision import transforms

from benchmarks._cifar import images_of_its_size
from benchmarks._interleaved import Way, compared, in_turns
from benchmarks._limits import now
from dropnas.data.arrays import ImageArrays
from dropnas.data.batches import epoch_order
from dropnas.evaluate.config import RetrainConfig
from dropnas.evaluate.draws import augmented, draw

BATCH, PADDING, CUTOUT = 96, 4, 16
CORES = 1  # threads of our pipeline, processes of the usual one; should not exceed the number of free cores
SKIPPED, TIMED = 8, 60  # number of batches before and during the timing
REPETITIONS, REPETITIONS_CUDA = 8, 4

Batches = Iterator[tuple[Tensor, Tensor]]


def measure(device: str) -> Iterator[tuple[str, Any]]:
    """Images per second of both pipelines, without and with AutoAugment, and how many times faster ours is."""
    torch.set_num_threads(CORES)
    torch.manual_seed(0)
    repetitions = REPETITIONS_CUDA if device.startswith("cuda") else REPETITIONS
    yield "versions", {"torch": torch.__version__, "torchvision": torchvision.__version__}
    yield "threads of ours, processes of the usual", CORES
    with tempfile.TemporaryDirectory() as folder:
        images, name = images_of_its_size(Path(folder), device)
        yield "images", f"{name}, {BATCH} a batch"
        for policy, autoaugmented in (("crop, flip, Cutout", False), ("AutoAugment too", True)):
            ways = {
                "ours": _rate_of(lambda policy=autoaugmented: _ours(images, policy), device),
                "usual": _rate_of(_usual(images, autoaugmented, device), device),
            }
            found = compared(in_turns(ways, repetitions), "ours")
            yield policy, found
            if not autoaugmented:
                yield "ratio", found["ratio"]["usual"]


def _rate_of(start: Callable[[], Batches], device: str) -> Way:
    def once() -> float:
        loaded, images = start(), 0
        for _ in range(SKIPPED):
            next(loaded)
        started = now(device)
        for batch, _ in islice(loaded, TIMED):
            images += len(batch)
        return images / (now(device) - started)

    return once


def _ours(data: ImageArrays, autoaugmented: bool) -> Batches:
    """The batches of a retraining epoch. As in the usual pipeline, drawing the random numbers is timed too."""
    device = str(data.images.device)
    config = RetrainConfig(crop_padding=PADDING, cutout=CUTOUT, autoaugment=autoaugmented)
    height, width = data.images.shape[2:]
    for number, indices in enumerate(torch.split(epoch_order(len(data), 0, 0).to(device), BATCH)):
        drawn = draw(config, number, len(indices), (height, width), edges=0, drop_path=0.0).to(device)
        yield augmented(data.batch(indices), data, config, drawn), data.labels[indices]


def _usual(data: ImageArrays, autoaugmented: bool, device: str) -> Callable[[], Batches]:
    policy = [transforms.AutoAugment(transforms.AutoAugmentPolicy.CIFAR10)] if autoaugmented else []
    transform = transforms.Compose(
        [
            transforms.RandomCrop(data.images.shape[2], padding=PADDING),
            transforms.RandomHorizontalFlip(),
            *policy,
            transforms.ToTensor(),
            transforms.Normalize(data.mean.tolist(), data.std.tolist()),
            _cutout,
        ]
    )
    loader = DataLoader(
        _Images(data, transform),
        BATCH,
        shuffle=True,
        num_workers=CORES,
        pin_memory=device != "cpu",
        multiprocessing_context="fork",
    )

    def start() -> Batches:
        for images, labels in loader:
            yield images.to(device, non_blocking=True), labels.to(device, non_blocking=True)

    return start


class _Images(TorchDataset[tuple[Tensor, int]]):
    """Like torchvision's CIFAR10: an array in memory, from which single images are converted to Pillow images."""

    def __init__(self, data: ImageArrays, transform: Callable[[Image.Image], Tensor]) -> None:
        self.pixels = data.images.cpu().expand(-1, 3, -1, -1).permute(0, 2, 3, 1).contiguous().numpy()
        self.labels, self.transform = data.labels.tolist(), transform

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.pixels[index])), self.labels[index]


def _cutout(image: Tensor) -> Tensor:
    height, width = image.shape[1:]
    row, column = int(torch.randint(height, ())), int(torch.randint(width, ()))
    half = CUTOUT // 2
    image[:, max(0, row - half) : row + half, max(0, column - half) : column + half] = 0
    return image
