"""The description of a prepared dataset: `dataset.json`.

Design: the data stage writes this small record and all loaders read it, checked field by field, so that no loader has
to guess from array shapes. No torch here: the data stage does not need it.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from dropnas.errors import DropnasError

FILE = "dataset.json"
IMAGENET_MEAN = (0.485, 0.456, 0.406)  # the customary statistics; measuring 1.3M images would take hours
IMAGENET_STD = (0.229, 0.224, 0.225)

Split = Literal["train", "test"]
Statistic = tuple[float, float, float]


@dataclass(frozen=True)
class Dataset:
    """A prepared dataset.

    Attributes:
        name: as in DatasetConfig.
        kind: `arrays` (images as .npy in the same folder) or `files` (a manifest of images in another place).
        classes: number of classes; labels are 0 .. classes - 1.
        channels, height, width: of the stored images; height and width are 0 if they vary (`files`).
        mean, std: of the training images scaled to 0..1, for each channel (a single channel is repeated three times).
        train, test: number of images.
        location: `files` only: absolute path of the folder or tar that contains the images.
        test_is_train: `files` only: the source had one split, so both splits have the same images.
    """

    name: str
    kind: Literal["arrays", "files"]
    classes: int
    channels: int
    height: int
    width: int
    mean: Statistic
    std: Statistic
    train: int
    test: int
    location: str = ""
    test_is_train: bool = False

    def count(self, split: Split) -> int:
        """Number of images of a split."""
        return self.train if split == "train" else self.test

    def write(self, folder: Path) -> None:
        """Write `dataset.json` into a folder."""
        fields = asdict(self)
        if self.kind == "arrays":
            del fields["location"], fields["test_is_train"]
        (folder / FILE).write_text(json.dumps(fields, indent=2, sort_keys=True) + "\n")


def read_dataset(folder: Path) -> Dataset:
    """Read and check `dataset.json` of a prepared dataset.

    Raises:
        DropnasError: the file is missing or not JSON, or a field is missing or has the wrong type.
    """
    path = folder / FILE
    try:
        fields = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise DropnasError("no prepared dataset here", where=path, remedy="prepare it again") from error
    except (OSError, ValueError) as error:
        raise DropnasError(f"cannot be read ({error})", where=path, remedy="prepare it again") from error
    if not _valid(fields):
        raise DropnasError("does not describe a dataset", where=path, remedy="prepare it again")
    fields["mean"], fields["std"] = tuple(fields["mean"]), tuple(fields["std"])
    return Dataset(**fields)


def _valid(fields: Any) -> bool:
    """Whether exactly the expected fields are present, with the right types."""
    if not isinstance(fields, dict):
        return False
    optional = {"location": str, "test_is_train": bool} if fields.get("kind") == "files" else {}
    integers = ("classes", "channels", "height", "width", "train", "test")
    if fields.keys() != {"name", "kind", "mean", "std", *integers, *optional}:
        return False
    return (
        fields["kind"] in ("arrays", "files")
        and all(type(fields[key]) is int and fields[key] >= 0 for key in integers)
        and all(type(fields[key]) is kind for key, kind in optional.items())
        and fields["channels"] in (1, 3)
        and all(_is_statistic(fields[key]) for key in ("mean", "std"))
        and min(fields["std"]) > 0
    )


def _is_statistic(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 3 and all(isinstance(x, float) for x in value)
