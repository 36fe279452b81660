"""Loads images of any size for training on ImageNet; any number of processes decode, crop and batch them.

Design choices: a batch depends only on the source, the transform and its indices. Each image's random numbers depend on
(seed, epoch, index), so neither the number of workers nor the step at which an epoch is resumed changes a pixel. Each
worker assembles whole micro-batches in shared memory. Images stay uint8 until they are on the device. Every image from
a folder or tar is checked against the SHA-256 in its manifest, which costs a few percent of the decoding time.
`ImageSource` reads prepared arrays (`digits-224`) too.
"""

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, default_collate
from torch.utils.data import Dataset as TorchDataset

from dropnas.artifacts.dataset_file import Dataset, Split
from dropnas.data.arrays import map_array, map_split
from dropnas.data.batches import sizes
from dropnas.data.decoding import decode, jpeg_decoder, resize
from dropnas.data.manifest import IMAGE_ERRORS, BytesAt, manifest_type
from dropnas.data.splits import check_labels
from dropnas.errors import DropnasError
from dropnas.training import signals
from dropnas.training.seeding import generator

CROP_AREA = (0.08, 1.0)  # area of a training crop as a fraction of the image
RATIO = (3 / 4, 4 / 3)  # width / height of a training crop
TRIES = 10
MARGIN = 256 / 224  # shorter side of a resized test image, relative to the central square that is cropped from it

Transform = Callable[[Tensor, int], Tensor]  # the image and its index -> the network's input, uint8
Finish = Callable[[list[Tensor], int], list[Tensor]]  # the images of a micro-batch and its number -> changed images
ImagesAndLabels = tuple[Tensor, Tensor]


class ImageSource:
    """One split of a prepared dataset of kind `arrays` or `files`, read one image at a time.

    Args:
        location: current location of the images of a `files` dataset; if empty, the location that was recorded when the
            dataset was prepared.

    Raises:
        DropnasError: a file is missing, damaged, or inconsistent with dataset.json, or the images are not at their
            location.
    """

    def __init__(self, folder: Path, split: Split, location: str = "") -> None:
        dataset = Dataset.read(folder)
        self.image: Callable[[int], Tensor]  # one image as uint8 (3, H, W), in its original size
        if dataset.kind == "arrays":
            images, labels = map_split(folder, dataset, split)
            self.image = partial(_from_array, images)
        else:
            rows, labels = _manifest(folder / f"{split}_manifest.npy", dataset, split)
            self.image = partial(_from_file, rows, BytesAt(Path(location or dataset.location)))
        self.labels = torch.from_numpy(labels)  # int64 (N,)
        self.classes = dataset.classes
        self.mean, self.std = torch.tensor(dataset.mean), torch.tensor(dataset.std)  # float32 (3,)

    def __len__(self) -> int:
        return len(self.labels)


def _from_array(images: NDArray[np.uint8], index: int) -> Tensor:
    pixels = torch.from_numpy(np.array(images[index]))  # (H, W, 1 or 3)
    return pixels.permute(2, 0, 1).expand(3, -1, -1)


def _manifest(path: Path, dataset: Dataset, split: Split) -> tuple[NDArray[np.void], NDArray[np.int64]]:
    """Read and check a manifest; return its rows and their labels."""
    rows = map_array(path, None, (dataset.count(split),))
    paths = rows.dtype.fields["path"][0] if rows.dtype.fields else rows.dtype
    if rows.dtype != manifest_type(paths.itemsize):
        raise DropnasError("is not a manifest", where=path, remedy="prepare the dataset again")
    labels = np.ascontiguousarray(rows["label"])
    check_labels(labels, dataset.classes, str(path))
    jpeg_decoder()  # imported once, here, instead of in each worker in each epoch
    return rows, labels


def _from_file(rows: NDArray[np.void], source: BytesAt, index: int) -> Tensor:
    row = rows[index]
    path = row["path"].decode()
    where = f"{source.location}: {path}"
    data = source.read(path, int(row["offset"]), int(row["length"]))
    if hashlib.sha256(data).digest() != row["sha256"].tobytes():
        raise DropnasError("changed since it was prepared", where=where, remedy="restore the original image")
    try:
        return decode(data)
    except IMAGE_ERRORS as error:
        raise DropnasError(f"cannot be decoded ({error})", where=where) from error


@dataclass(frozen=True)
class TrainTransform:
    """Crops an image at random, resizes it to a square of `size` pixels, and flips it at random."""

    size: int
    seed: int
    epoch: int

    def __call__(self, image: Tensor, index: int) -> Tensor:
        """Transform an image (3, H, W) to uint8 (3, size, size); the index selects the random numbers."""
        random = generator(self.seed, "image", self.epoch, index)
        left, top, right, bottom = random_box(image.shape[2], image.shape[1], random)
        pixels = resize(image[:, top:bottom, left:right], self.size, self.size)
        return pixels.flip(2) if torch.rand((), generator=random) < 0.5 else pixels


@dataclass(frozen=True)
class TestTransform:
    """Resizes the shorter side of an image to 256/224 of `size`, then takes the central square of `size` pixels."""

    __test__ = False  # keeps pytest from collecting this class

    size: int

    def __call__(self, image: Tensor, index: int) -> Tensor:
        """Transform an image (3, H, W) to uint8 (3, size, size); the index has no effect."""
        shorter, smallest = round(self.size * MARGIN), min(image.shape[1:])
        height, width = (shorter * side // smallest for side in image.shape[1:])
        left, top = round((width - self.size) / 2), round((height - self.size) / 2)
        return resize(image, height, width)[:, top : top + self.size, left : left + self.size]


def random_box(width: int, height: int, random: torch.Generator) -> tuple[int, int, int, int]:
    """A random crop of an image as (left, top, right, bottom), as in Inception's augmentation.

    The area is drawn uniformly from 8% to 100% of the image, and the aspect ratio log-uniformly from 3/4 to 4/3. After
    ten failed attempts, the result is the largest central crop with an allowed aspect ratio.
    """
    draws = torch.rand((TRIES, 4), generator=random, dtype=torch.float64).tolist()
    for area_draw, ratio_draw, left_draw, top_draw in draws:
        area = width * height * (CROP_AREA[0] + area_draw * (CROP_AREA[1] - CROP_AREA[0]))
        ratio = math.exp(math.log(RATIO[0]) + ratio_draw * math.log(RATIO[1] / RATIO[0]))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            left, top = int(left_draw * (width - w + 1)), int(top_draw * (height - h + 1))
            return left, top, left + w, top + h
    w = min(width, max(1, round(height * RATIO[1])))
    h = min(height, max(1, round(width / RATIO[0])))
    left, top = (width - w) // 2, (height - h) // 2
    return left, top, left + w, top + h


def batches(
    source: ImageSource,
    transform: Transform,
    order: Tensor,
    batch_size: int,
    start: int = 0,
    rank: int = 0,
    world: int = 1,
    workers: int = 0,
    finish: Finish | None = None,
) -> Iterator[ImagesAndLabels]:
    """Yield the micro-batches of one process in one epoch.

    Micro-batch m of the epoch is order[m * batch_size : (m + 1) * batch_size]; the last may be smaller, but has at
    least two images. This process yields the micro-batches with m >= start and m % world == rank, in order.

    Args:
        order: indices into the source, int64 (N,).
        workers: number of decoding processes; if 0, this process decodes the images itself.
        finish: function that the decoding process applies to the images of a micro-batch.

    Yields:
        images uint8 (B, 3, S, S) and labels int64 (B,), on the CPU (pinned if there is a GPU).

    Raises:
        DropnasError: an image is missing, was changed or cannot be decoded, or a worker died.
    """
    parts = torch.split(order[: sum(sizes(len(order), batch_size))], batch_size)  # type: ignore[no-untyped-call]
    loader = DataLoader(
        _MicroBatches(source, transform, parts, finish),
        batch_size=None,
        sampler=[number for number in range(start, len(parts)) if number % world == rank],
        num_workers=workers,
        multiprocessing_context="fork" if workers else None,  # workers inherit the open source and use no GPU
        worker_init_fn=signals.ignore,  # a training that is told to stop needs them until its state is saved
        pin_memory=torch.cuda.is_initialized(),  # type: ignore[no-untyped-call]  # a run on the CPU must not initialise CUDA
        generator=torch.Generator(),  # the loader draws a seed from it and leaves the global generator alone
    )
    try:
        for result in loader:
            if isinstance(result, DropnasError):
                raise result
            yield result
    except RuntimeError as error:
        if "worker" not in str(error):
            raise
        raise DropnasError(
            f"a process that decodes images died ({error})", remedy="use fewer workers, or give more (shared) memory"
        ) from error


@dataclass(frozen=True)
class _MicroBatches(TorchDataset[ImagesAndLabels | DropnasError]):
    """Makes micro-batches by number. An error is returned instead of raised, so that it can be reported in one line."""

    source: ImageSource
    transform: Transform
    indices: Sequence[Tensor]
    finish: Finish | None

    def __getitem__(self, number: int) -> ImagesAndLabels | DropnasError:
        indices = self.indices[number]
        try:
            images = [self.transform(self.source.image(index), index) for index in indices.tolist()]
        except DropnasError as error:
            return error
        if self.finish:
            images = self.finish(images, number)
        # a worker stacks into shared memory, which is passed on without another copy
        return default_collate(images), self.source.labels[indices]
