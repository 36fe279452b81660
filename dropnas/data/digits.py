"""Three datasets from the handwritten digits that scikit-learn bundles: real images that need no download.

Design choices: integer arithmetic in a fixed order gives the same arrays on every machine. Of the 1,797 digits, the
first 174 of each class are used (the smallest class has 174). Every fifth of them is a test image, so the splits are
balanced, with 140 and 34 images of each class. Both interleave the classes, so that any prefix is balanced too.
`digit-pairs` combines digits of the same split only.
"""

import hashlib
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dropnas.data.config import DatasetConfig
from dropnas.data.splits import Arrays, Labelled
from dropnas.errors import DropnasError

PER_CLASS = 174
TEST_EVERY = 5  # every fifth image of a class is a test image
ENLARGEMENT = 28  # 8 * 28 = 224
TRAIN_PAIRS, TEST_PAIRS = 60, 20  # for each of the 100 classes
DIGITS_FILE = "sklearn/datasets/data/digits.csv.gz"  # read as a file, since importing scikit-learn takes two seconds
SHA256 = "65e5b4619795efb40c1082f4c350c049e4ad552200d369b6ae99e21eef5e72c5"

Grid = NDArray[np.uint8]


def digits(*_: object) -> Arrays:
    """`digits`: 10 classes, 8x8x1, values 0..16 stretched to 0..255; 1,400 training and 340 test images."""
    train, test = _by_class()
    return Arrays(len(train), _interleave(train), _interleave(test))


def digit_pairs(*_: object) -> Arrays:
    """`digit-pairs`: 100 classes (10 * left digit + right digit), 8x16x1; 6,000 training and 2,000 test images."""
    train, test = (_pairs(*one) for one in zip(_by_class(), (TRAIN_PAIRS, TEST_PAIRS), strict=True))
    return Arrays(len(train), _interleave(train), _interleave(test))


def digits_224(config: DatasetConfig, *_: object) -> Arrays:
    """`digits-224`: `digits`, enlarged bilinearly to 224x224x1.

    The limits `train_images` and `test_images` are applied first, because enlarging multiplies the bytes by 784.
    """
    small = digits()
    return Arrays(small.classes, _enlarged(small.train, config.train_images), _enlarged(small.test, config.test_images))


def _by_class() -> tuple[list[Grid], list[Grid]]:
    """Training and test digits: an array (images, 8, 8) for each class."""
    values, labels = _bundled()
    if hashlib.sha256(values.tobytes() + labels.tobytes()).hexdigest() != SHA256:
        raise DropnasError("scikit-learn's digits are not the expected ones", remedy="install scikit-learn 1.x")
    pixels = ((values.astype(np.int64) * 255 + 8) // 16).astype(np.uint8)  # 0..16 -> 0..255, rounded
    classes = [pixels[labels == digit][:PER_CLASS] for digit in range(10)]
    test = np.arange(PER_CLASS) % TEST_EVERY == TEST_EVERY - 1
    return [images[~test] for images in classes], [images[test] for images in classes]


def _bundled() -> tuple[Grid, NDArray[np.int64]]:
    """The images (1797, 8, 8), with values 0..16, and their labels, little-endian on every machine."""
    found = next((file for folder in sys.path if (file := Path(folder, DIGITS_FILE)).is_file()), None)
    if found is None:
        raise DropnasError(f"scikit-learn has no {DIGITS_FILE}", remedy="install scikit-learn 1.x")
    table = np.loadtxt(found, delimiter=",", dtype="<i8")
    return table[:, :-1].reshape(-1, 8, 8).astype(np.uint8), table[:, -1]


def _pairs(singles: list[Grid], count: int) -> list[Grid]:
    """Images (count, 8, 16) for each ordered pair of digits, side by side.

    Pair k of (a, b) joins image k + 13b of class a with image 3k + 29a + 1 of class b, both modulo the n images of a
    class. The left images of (a, b) are therefore distinct. For a = b, the two indices differ in parity and n is even,
    so no pair shows one image twice.
    """
    size, k = len(singles[0]), np.arange(count)
    result = []
    for a in range(10):
        for b in range(10):
            left, right = singles[a][(k + 13 * b) % size], singles[b][(3 * k + 29 * a + 1) % size]
            result.append(np.concatenate([left, right], axis=2))
    return result


def _interleave(classes: list[Grid]) -> Labelled:
    """The first image of each class, then the second of each, and so on, with labels and a channel axis."""
    stacked = np.stack(classes, axis=1)  # (images, classes, H, W)
    labels = np.tile(np.arange(len(classes), dtype=np.int64), len(stacked))
    return Labelled(stacked.reshape(-1, *stacked.shape[2:], 1), labels)


def _enlarged(small: Labelled, limit: int) -> Labelled:
    """Bilinear enlargement by 28 in exact integers (half-pixel centres, edges repeated)."""
    images = small.images[: limit or None, :, :, 0].astype(np.int64)  # (N, 8, 8)
    weights = _interpolation(images.shape[1])
    large = np.empty((len(images), len(weights), len(weights), 1), dtype=np.uint8)
    for target, image in zip(large, images, strict=True):
        target[:, :, 0] = (weights @ image @ weights.T * 2 + (2 * ENLARGEMENT) ** 2) // (2 * (2 * ENLARGEMENT) ** 2)
    return Labelled(large, small.labels[: limit or None])


def _interpolation(size: int) -> NDArray[np.int64]:
    """Weights (size * 28, size) of linear interpolation in units of 1/56; each row sums to 56."""
    weights = np.zeros((size * ENLARGEMENT, size), dtype=np.int64)
    for row in range(size * ENLARGEMENT):
        lower, share = divmod(2 * row + 1 - ENLARGEMENT, 2 * ENLARGEMENT)  # centre in units of 1/56 of a source pixel
        weights[row, max(lower, 0)] += 2 * ENLARGEMENT - share
        weights[row, min(lower + 1, size - 1)] += share
    return weights
