"""CIFAR from a Hugging Face folder: `train-*.parquet` and `test-*.parquet` with encoded images.

Design choices: the columns are `img` {bytes, path} and `label` (CIFAR-10) or `fine_label` (CIFAR-100). Rows are read in
the order of the shards' names. The pixels are decoded as stored, so a copy in a lossy format differs from CIFAR.
"""

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

try:
    import pyarrow
    import pyarrow.parquet as parquet
except ImportError:  # pyarrow is an optional dependency
    pyarrow = None

from dropnas.data.cifar import CIFAR_SIDE
from dropnas.data.config import ROLES, DatasetConfig
from dropnas.data.manifest import IMAGE_ERRORS
from dropnas.data.sources import locate
from dropnas.data.splits import Arrays, Labelled, first
from dropnas.errors import DropnasError
from dropnas.workspace import Workspace


@dataclass(frozen=True)
class Shards:
    """Reads a folder of shards that have their labels in column `label`. Calling an instance reads both splits."""

    label: str

    def __call__(self, config: DatasetConfig, workspace: Workspace) -> Arrays:
        """Read both splits from the configured folder. Raises a DropnasError if the folder cannot be read."""
        path, classes = locate(config, workspace), ROLES[config.name].classes
        return read(self.label, classes, path, config.train_images, config.test_images)


CIFAR10_SHARDS, CIFAR100_SHARDS = Shards("label"), Shards("fine_label")


def read(label: str, classes: int, folder: Path, train_images: int, test_images: int) -> Arrays:
    """Read the first `train_images` and `test_images` images of the splits (0: all), with the labels in column `label`.

    Raises:
        DropnasError: pyarrow is not installed, a shard is missing, truncated or lacks columns, or an image is not
            32x32.
    """
    if pyarrow is None:
        raise DropnasError("reading parquet needs pyarrow", where=folder, remedy="pip install pyarrow")
    train = _read_split(folder, "train", label, train_images)
    return Arrays(classes, train, _read_split(folder, "test", label, test_images))


def _read_split(folder: Path, split: str, label: str, limit: int) -> Labelled:
    rows = list(islice(_rows(_shards(folder, split), label), limit or None))
    images = np.array([image for image, _ in rows]).reshape(-1, CIFAR_SIDE, CIFAR_SIDE, 3)
    return first(Labelled(images, np.array([number for _, number in rows])), limit, f"{folder}: {split}")


def _shards(folder: Path, split: str) -> list[Path]:
    """All shards of a split, anywhere below the folder, in order."""
    shards = sorted(folder.rglob(f"{split}-*.parquet"))
    if not shards:
        raise DropnasError(f"no {split}-*.parquet in it", where=folder, remedy="set `path` to the dataset's folder")
    if odd := next((shard for shard in shards if not shard.is_file()), None):
        raise DropnasError("is not a file", where=odd, remedy="fetch the data set again")
    numbered = re.search(r"-of-(\d+)\.parquet$", shards[0].name)
    if numbered and len(shards) != int(numbered[1]):
        raise DropnasError(f"{len(shards)} shards of {split}, but their names say {int(numbered[1])}", where=folder)
    return shards


def _rows(shards: list[Path], label: str) -> Iterator[tuple[np.ndarray, int]]:
    """Image (32, 32, 3) and label of each row."""
    for shard in shards:
        for number, row in enumerate(_table(shard, label).to_pylist()):
            where = f"{shard}: row {number}"
            yield _decode(row["img"], where), _label(row[label], where)


def _table(shard: Path, label: str) -> Any:
    try:
        found = parquet.read_schema(shard).names
        missing = sorted({"img", label} - {*found})
        if not missing:
            return parquet.read_table(shard, columns=["img", label])
    except (pyarrow.ArrowException, OSError) as error:
        raise DropnasError(f"damaged parquet file ({error})", where=shard, remedy="fetch it again") from error
    raise DropnasError(f"no column {', '.join(missing)}; it has {', '.join(found)}", where=shard)


def _decode(image: Any, where: str) -> np.ndarray:
    if not isinstance(image, dict) or not isinstance(image.get("bytes"), bytes):
        raise DropnasError("`img` is not an encoded image", where=where)
    try:
        with Image.open(io.BytesIO(image["bytes"])) as opened:
            pixels = np.asarray(opened.convert("RGB"))
    except IMAGE_ERRORS as error:
        raise DropnasError(f"not an image ({error})", where=where) from error
    if pixels.shape != (CIFAR_SIDE, CIFAR_SIDE, 3):
        raise DropnasError(f"image is {pixels.shape[1]}x{pixels.shape[0]}, not {CIFAR_SIDE}x{CIFAR_SIDE}", where=where)
    return pixels


def _label(value: Any, where: str) -> int:
    if type(value) is not int:
        raise DropnasError(f"label {value!r} is not an integer", where=where)
    return value
