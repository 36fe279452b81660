"""CIFAR from a Hugging Face folder: `train-*.parquet` and `test-*.parquet` with encoded images.

Design choices: the columns are `img` {bytes, path} and `label` (CIFAR-10) or `fine_label` (CIFAR-100). Rows are read in
batches, so that memory use stays small, and in the order of the shards' names. The pixels are those of the encoded
images: a lossy copy is not the original CIFAR.
"""

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

try:
    import pyarrow
    import pyarrow.parquet as parquet
except ImportError:  # pyarrow is an optional dependency
    pyarrow = None

from dropnas.data.config import ROLES, DatasetConfig
from dropnas.data.sources import locate
from dropnas.data.splits import Arrays, Labelled, first
from dropnas.errors import DropnasError
from dropnas.workspace import Workspace

SIDE = 32
ROWS = 1000  # rows read at a time
IMAGE_ERRORS = (
    OSError,
    ValueError,
    SyntaxError,
    Image.DecompressionBombError,
)  # Pillow's errors for bytes that are not an image


@dataclass(frozen=True)
class Shards:
    """A folder of shards, with the name of its label column. Calling it reads both splits."""

    label: str

    def __call__(self, config: DatasetConfig, workspace: Workspace) -> Arrays:
        """Read both splits of the folder that the configuration names. Raises a DropnasError like `read`."""
        path, classes = locate(config, workspace), ROLES[config.name].classes
        return read(self.label, classes, path, config.train_images, config.test_images)


CIFAR10, CIFAR100 = Shards("label"), Shards("fine_label")


def read(label: str, classes: int, folder: Path, train_images: int, test_images: int) -> Arrays:
    """Read both splits, or the first images of each up to a limit (0: all); `label` is the column of the labels.

    Raises:
        DropnasError: pyarrow is not installed, a shard is missing, truncated or lacks columns, or an image is not
            32x32.
    """
    if pyarrow is None:
        raise DropnasError("reading parquet needs pyarrow", where=folder, remedy="pip install pyarrow")
    train = _read_split(folder, "train", label, train_images)
    return Arrays(classes, train, _read_split(folder, "test", label, test_images))


def _read_split(folder: Path, split: str, label: str, limit: int) -> Labelled:
    images, labels = [], []
    for image, value in _rows(_shards(folder, split), label):
        images.append(image)
        labels.append(value)
        if len(images) == limit:
            break
    where = f"{folder}: {split}"
    shape = (-1, SIDE, SIDE, 3)
    return first(Labelled(np.array(images).reshape(shape), np.array(labels, dtype=np.int64)), limit, where)


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
        row = 0
        for batch in _batches(shard, label):
            for fields in batch:
                yield _decode(fields["img"], f"{shard}: row {row}"), _label(fields[label], f"{shard}: row {row}")
                row += 1


def _batches(shard: Path, label: str) -> Iterator[list[dict[str, Any]]]:
    try:
        with parquet.ParquetFile(shard) as file:
            missing = {"img", label} - set(file.schema_arrow.names)
            if missing:
                raise DropnasError(
                    f"no column {', '.join(sorted(missing))}; it has {', '.join(file.schema_arrow.names)}", where=shard
                )
            for batch in file.iter_batches(batch_size=ROWS, columns=["img", label]):
                yield batch.to_pylist()
    except (pyarrow.ArrowException, OSError) as error:
        raise DropnasError(f"damaged parquet file ({error})", where=shard, remedy="fetch it again") from error


def _decode(image: Any, where: str) -> np.ndarray:
    if not isinstance(image, dict) or not isinstance(image.get("bytes"), bytes):
        raise DropnasError("`img` is not an encoded image", where=where)
    try:
        with Image.open(io.BytesIO(image["bytes"])) as opened:
            pixels = np.asarray(opened.convert("RGB"))
    except IMAGE_ERRORS as error:
        raise DropnasError(f"not an image ({error})", where=where) from error
    if pixels.shape != (SIDE, SIDE, 3):
        raise DropnasError(f"image is {pixels.shape[1]}x{pixels.shape[0]}, not {SIDE}x{SIDE}", where=where)
    return pixels


def _label(value: Any, where: str) -> int:
    if type(value) is not int:
        raise DropnasError(f"label {value!r} is not an integer", where=where)
    return value
