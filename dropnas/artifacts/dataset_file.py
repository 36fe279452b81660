"""dataset.json: the description of a prepared dataset."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from dropnas.artifacts.json_file import JsonFile

Split = Literal["train", "test"]
Statistic = tuple[float, float, float]


@dataclass(frozen=True)
class Dataset(JsonFile):
    """A prepared dataset."""

    FILE: ClassVar[str] = "dataset.json"

    name: str  # as in DatasetConfig
    # `arrays` (images as .npy in the same folder) or `files` (a manifest of images in another folder)
    kind: Literal["arrays", "files"]
    classes: int  # number of classes; labels are 0 .. classes - 1.
    # channels, height, width: size of the stored images; height and width are 0 if they vary (`files`)
    channels: Literal[1, 3]
    height: int
    width: int
    # mean, std: statistics of the training images scaled to 0..1, for each channel (a single channel is repeated three
    # times)
    mean: Statistic
    std: Statistic
    # train, test: numbers of images
    train: int
    test: int
    location: str = ""  # `files` only: absolute path of the folder or tar that contains the images
    test_is_train: bool = False  # `files` only: the source had one split, so both splits have the same images

    def __post_init__(self) -> None:
        if min(self.classes, self.height, self.width, self.train, self.test) < 0:
            raise ValueError("a size is negative")
        if min(self.std) <= 0:
            raise ValueError("std is not positive")
        if self.kind == "arrays" and (self.location or self.test_is_train):
            raise ValueError("location and test_is_train are only for the kind 'files'")

    def count(self, split: Split) -> int:
        """Number of images of a split."""
        return self.train if split == "train" else self.test

    def values(self) -> dict[str, Any]:
        """Leave out the fields for `files` if the dataset has arrays."""
        values: dict[str, Any] = super().values()
        if self.kind == "arrays":
            del values["location"], values["test_is_train"]
        return values
