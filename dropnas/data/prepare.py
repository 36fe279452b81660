"""The data stage: converts a source to the prepared format that all other stages read.

Design choices: the prepared format is uint8 arrays (NHWC, C = 1 or 3), neither normalised nor augmented, so a loader
only maps them into memory. ImageNet is not copied; it gets a manifest. Shapes, labels, checksums and the readability of
every image are checked once, here. The statistics are computed from exact integer counts of the 256 values, so they do
not depend on the order of summation. The stage does not import torch.
"""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dropnas.artifacts.dataset_file import Dataset, Statistic
from dropnas.data.config import DATASETS, DatasetConfig
from dropnas.data.image_layout import Listing
from dropnas.data.manifest import manifest
from dropnas.data.sources import check_source
from dropnas.data.splits import Arrays, Labelled, check, first
from dropnas.errors import DropnasError
from dropnas.extension import load
from dropnas.workspace import Workspace

CHUNK_IMAGES = 1000  # number of images whose values are counted at once
IMAGENET_MEAN = (0.485, 0.456, 0.406)  # the usual statistics; measuring 1.3M images would take hours
IMAGENET_STD = (0.229, 0.224, 0.225)


def run(config: DatasetConfig, inputs: Sequence[Path], out: Path, workspace: Workspace) -> dict[str, float]:
    """Prepare a dataset.

    Writes `dataset.json` and, for each split, `<split>_images.npy` uint8 (N, H, W, C) and `<split>_labels.npy` int64
    (N,), or `<split>_manifest.npy` for ImageNet.

    Raises:
        DropnasError: the dataset is unknown, the source is missing or damaged, there are too few images, or a label is
            not a class.
    """
    check_source(config)
    found = load(DATASETS[config.name].sources[config.source])(config, workspace)
    if isinstance(found, Arrays):
        dataset = _prepare_arrays(config, found, out)
    else:
        dataset = _prepare_files(config, found, out, workspace)
    dataset.write(out)
    workspace.progress(f"{config.name}: {dataset.train} training and {dataset.test} test images")
    return {}


def _prepare_arrays(config: DatasetConfig, arrays: Arrays, out: Path) -> Dataset:
    train = first(arrays.train, config.train_images, f"{config.name}: train")
    test = first(arrays.test, config.test_images, f"{config.name}: test")
    for name, split in (("train", train), ("test", test)):
        check(split, arrays.classes, f"{config.name}: {name}")
        _require_classes(len(np.unique(train.labels)), f"{config.name}: train")
        _save(out / f"{name}_images.npy", split.images)
        _save(out / f"{name}_labels.npy", split.labels)
    mean, std = statistics(train, config.name)
    _, height, width, channels = train.images.shape
    return Dataset(
        name=config.name,
        kind="arrays",
        classes=arrays.classes,
        channels=channels,
        height=height,
        width=width,
        mean=mean,
        std=std,
        train=len(train.labels),
        test=len(test.labels),
    )


def _prepare_files(config: DatasetConfig, listing: Listing, out: Path, workspace: Workspace) -> Dataset:
    location = listing.location
    if listing.test_is_train:
        workspace.progress(f"{location}: no train/ and val/: the same images are used for training and for testing")
    _require_classes(len(listing.classes), str(location))
    limits = {"train": config.train_images, "test": config.test_images}
    counts = {}
    for split, rows in (("train", listing.train), ("test", listing.test)):
        table = manifest(rows, location, limits[split], split, workspace.progress)
        _save(out / f"{split}_manifest.npy", table)
        counts[split] = len(table)
    return Dataset(
        name=config.name,
        kind="files",
        classes=len(listing.classes),
        channels=3,
        height=0,
        width=0,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        **counts,
        location=str(location),
        test_is_train=listing.test_is_train,
    )


def _require_classes(count: int, where: str) -> None:
    if count < 2:
        raise DropnasError("all training images are of one class", where=where, remedy="use more images")


def statistics(split: Labelled, where: str) -> tuple[Statistic, Statistic]:
    """Mean and population standard deviation of each channel, for pixels in 0..1; a single channel is repeated.

    Raises:
        DropnasError: a channel is constant and therefore cannot be normalised.
    """
    means, deviations = [], []
    for channel in range(split.images.shape[3]):
        counts = _value_counts(split.images[..., channel])
        total = sum(counts)
        first_moment = sum(value * count for value, count in enumerate(counts))  # exact: Python integers
        second_moment = sum(value * value * count for value, count in enumerate(counts))
        scaled_variance = total * second_moment - first_moment * first_moment  # total^2 * variance
        if scaled_variance == 0:
            raise DropnasError(f"channel {channel} of the training images is constant", where=where)
        means.append(first_moment / total / 255)
        deviations.append(math.sqrt(scaled_variance) / total / 255)
    mean, std = (values * (3 // len(values)) for values in (means, deviations))
    return (mean[0], mean[1], mean[2]), (std[0], std[1], std[2])


def _value_counts(images: NDArray[np.uint8]) -> list[int]:
    """The number of occurrences of each value 0..255."""
    counts = np.zeros(256, dtype=np.int64)
    for start in range(0, len(images), CHUNK_IMAGES):
        counts += np.bincount(images[start : start + CHUNK_IMAGES].ravel(), minlength=256)
    return counts.tolist()


def _save(path: Path, array: NDArray[np.generic]) -> None:
    """Write a .npy file into the run's folder, which is published once it is complete."""
    try:
        np.save(path, np.ascontiguousarray(array), allow_pickle=False)
    except OSError as error:
        raise DropnasError(f"cannot be written ({error})", where=path, remedy="free some space on the disk") from error
