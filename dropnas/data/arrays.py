"""Loads a prepared dataset of the `arrays` kind (images and labels in .npy files) for a training loop.

Design choices: the .npy files are mapped into memory, so on a CPU loading is instant and processes share one copy. For
a GPU, each split is copied once. Images stay in uint8 and NHWC, as in the file. Each batch is made contiguous NCHW with
three channels, so its memory format does not depend on the source.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dropnas.artifacts.dataset_file import Dataset, Split
from dropnas.data.splits import check_labels
from dropnas.errors import DropnasError


@dataclass(frozen=True)
class ImageArrays:
    """One split of a prepared dataset, on one device."""

    images: Tensor  # uint8 (N, C, H, W), C = 1 or 3; a view of NHWC memory
    labels: Tensor  # int64 (N,)
    classes: int
    mean: Tensor  # float32 (3,): mean of each channel of the training images, scaled to 0..1; on the same device
    std: Tensor  # float32 (3,): standard deviation of each channel of the same images

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, indices: Tensor) -> Tensor:
        """The images at these indices (B,), as a contiguous uint8 tensor (B, 3, H, W)."""
        return self.images[indices].expand(-1, 3, -1, -1).contiguous()


def load(folder: Path, split: Split, device: str | torch.device = "cpu") -> ImageArrays:
    """Load one split of a prepared dataset.

    Raises:
        DropnasError: a file is missing, truncated, or inconsistent with dataset.json.
    """
    dataset = Dataset.read(folder)
    images, labels = map_split(folder, dataset, split)
    return ImageArrays(
        images=torch.from_numpy(images).to(device).permute(0, 3, 1, 2),
        labels=torch.from_numpy(labels).to(device),
        classes=dataset.classes,
        mean=torch.tensor(dataset.mean, device=device),
        std=torch.tensor(dataset.std, device=device),
    )


def map_split(folder: Path, dataset: Dataset, split: Split) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images (N, H, W, C) and labels (N,) of a split, mapped into memory and checked against dataset.json."""
    if dataset.kind != "arrays":
        raise DropnasError(
            f"{dataset.name!r} is a manifest, not arrays", where=folder, remedy="use CIFAR or a digits dataset"
        )
    count = dataset.count(split)
    shape = (count, dataset.height, dataset.width, dataset.channels)
    images = map_array(folder / f"{split}_images.npy", np.uint8, shape)
    labels = map_array(folder / f"{split}_labels.npy", np.int64, (count,))
    check_labels(labels, dataset.classes, str(folder / f"{split}_labels.npy"))
    return images, labels


def map_array(path: Path, dtype: type[np.generic] | None, shape: tuple[int, ...]) -> NDArray[Any]:
    """Map a .npy file into memory (copy on write, as torch requires) and check its shape and, if given, its dtype.

    Raises:
        DropnasError: the file is missing, truncated, or not the expected array.
    """
    try:
        array: NDArray[Any] = np.load(path, mmap_mode="c", allow_pickle=False)
    except FileNotFoundError as error:
        raise DropnasError("is missing", where=path, remedy="prepare the dataset again") from error
    except (ValueError, EOFError, OSError) as error:
        raise DropnasError(f"damaged array ({error})", where=path, remedy="prepare the dataset again") from error
    if array.shape != shape or (dtype is not None and array.dtype != dtype):
        kind = "" if dtype is None else f"{np.dtype(dtype)} "
        raise DropnasError(
            f"holds {array.dtype} {array.shape}, which does not fit dataset.json: {kind}{shape}",
            where=path,
            remedy="prepare the dataset again",
        )
    return array
