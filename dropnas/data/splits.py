"""Images and labels in memory, as read from a source, before they are written as a prepared dataset.

Design choices: every source of the kind `arrays` is read into the same form, a training and a test split. The same
function checks the shapes, types and labels of all splits. The module does not import torch.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dropnas.errors import DropnasError


@dataclass(frozen=True)
class Labelled:
    """Images uint8 (N, H, W, C), C = 1 or 3, and labels int64 (N,)."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]


@dataclass(frozen=True)
class Arrays:
    """The two splits of a dataset and its number of classes."""

    classes: int
    train: Labelled
    test: Labelled


def first(split: Labelled, limit: int, where: str) -> Labelled:
    """The first `limit` images of a split, or all images if `limit` is 0.

    Raises:
        DropnasError: there are fewer images than the limit.
    """
    require_enough(len(split.labels), limit, where)
    return Labelled(split.images[: limit or None], split.labels[: limit or None])


def require_enough(count: int, limit: int, where: str) -> None:
    """Raise a DropnasError if a split has fewer than two images, or fewer than requested."""
    if count < max(limit, 2):
        raise DropnasError(f"has {count} images, but {max(limit, 2)} are needed", where=where)


def check(split: Labelled, classes: int, where: str) -> None:
    """Check the shapes, types and labels of one split.

    Raises:
        DropnasError: images and labels do not match, or a label is not a class.
    """
    shape, count = split.images.shape, len(split.labels)
    if split.images.dtype != np.uint8 or len(shape) != 4 or shape[3] not in (1, 3):
        raise DropnasError(f"images are {split.images.dtype} {shape}, not uint8 (N, H, W, 1 or 3)", where=where)
    if shape[0] != count:
        raise DropnasError(f"{shape[0]} images, but {count} labels", where=where)
    check_labels(split.labels, classes, where)


def check_labels(labels: NDArray[np.int64], classes: int, where: str) -> None:
    """Raise a DropnasError if a label is outside of 0 .. classes - 1. The message names the first such label."""
    wrong = np.flatnonzero((labels < 0) | (labels >= classes))
    if len(wrong):
        raise DropnasError(
            f"label {labels[wrong[0]]} of image {wrong[0]} is outside 0..{classes - 1}",
            where=where,
            remedy="is this the right dataset?",
        )
