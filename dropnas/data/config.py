"""The data sets that this package reads, and the configuration of the data stage.

The module does not import torch, so that `plan` starts quickly.
"""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from dropnas.choice import OneOf

# Replaces the code fingerprint in a dataset's identity, so that editing the code that reads data does not repeat every
# training. Increase it when the prepared bytes change.
PREPARATION = 1


@dataclass(frozen=True)
class KnownDataset:
    """A data set that this package reads.

    A reader takes a DatasetConfig and a Workspace; it returns Arrays, or a Listing of images that are not copied.
    """

    sources: dict[str, str]  # the reader of each source as `module:ATTRIBUTE`; the first source is the default
    train: int  # number of images
    test: int
    height: int  # height of the images in pixels; 0 if it varies
    width: int


@dataclass(frozen=True)
class PaperDataset(KnownDataset):
    """A data set used in the paper. A parameter file may replace it with another data set."""

    classes: int
    printed: str  # its name in the paper
    network: Literal["cifar", "imagenet"]  # the evaluation network that the paper trains on this data set
    table: str  # the paper's table of errors on this data set
    margin: float  # test errors that differ by at most this many points count as equal; see docs/verdicts.md
    search_days: float = 0.0  # cost of the authors' search on this data set, in V100 days; 0 if not reported


# The data sets, by their names in a parameter file. To add one, write a module that reads it and add an entry here.
DATASETS: dict[str, KnownDataset] = {
    "cifar10": PaperDataset(
        {"torchvision": "dropnas.data.cifar:CIFAR10_ARCHIVE", "parquet": "dropnas.data.parquet:CIFAR10_SHARDS"},
        train=50_000,
        test=10_000,
        height=32,
        width=32,
        classes=10,
        printed="CIFAR-10",
        network="cifar",
        table="table1",
        margin=0.2,
        search_days=0.6,
    ),
    "cifar100": PaperDataset(
        {"torchvision": "dropnas.data.cifar:CIFAR100_ARCHIVE", "parquet": "dropnas.data.parquet:CIFAR100_SHARDS"},
        train=50_000,
        test=10_000,
        height=32,
        width=32,
        classes=100,
        printed="CIFAR-100",
        network="cifar",
        table="table2",
        margin=0.5,
        search_days=0.7,
    ),
    "imagenet": PaperDataset(
        {"images": "dropnas.data.image_layout:read"},
        train=1_281_167,
        test=50_000,
        height=0,
        width=0,
        classes=1000,
        printed="ImageNet",
        network="imagenet",
        table="table3",
        margin=0.5,
    ),
    "digits": KnownDataset({"bundled": "dropnas.data.digits:digits"}, 1_400, 340, 8, 8),
    "digit-pairs": KnownDataset({"bundled": "dropnas.data.digits:digit_pairs"}, 6_000, 2_000, 8, 16),
    "digits-224": KnownDataset({"bundled": "dropnas.data.digits:digits_224"}, 1_400, 340, 224, 224),
}
ROLES = {name: known for name, known in DATASETS.items() if isinstance(known, PaperDataset)}
SEARCHED = tuple(name for name, known in ROLES.items() if known.network == "cifar")  # Section 4.2


@dataclass(frozen=True)
class DatasetConfig:
    """Where a dataset comes from and how much of it is used.

    Attributes:
        name: `cifar10`, `cifar100`, `imagenet`, or one of scikit-learn's digits: `digits`, `digit-pairs`, `digits-224`.
        source: `bundled` (scikit-learn's digits), `torchvision` (the archive of CIFAR or its folder, downloaded unless
            `path` names a local one), `parquet` (a Hugging Face folder) or `images` (an image folder or tar).
        checksum: SHA-256 of the source, as printed by `python -m dropnas data --checksum PATH`; checked if given.
        train_images: number of images to take from the beginning of the training split; 0 takes all.
        test_images: number of images to take from the beginning of the test split; 0 takes all.
        path: location of a local source, relative to the working directory. It is not part of the identity.
        mirror: URL of a folder from which CIFAR's archive is downloaded, instead of the authors' site. It is not part
            of the identity, because the archive's MD5 is checked.
    """

    __pydantic_config__ = {"extra": "forbid", "strict": True}

    name: Annotated[str, OneOf(lambda: DATASETS)]
    source: Annotated[str, OneOf(lambda: dict.fromkeys(way for known in DATASETS.values() for way in known.sources))]
    checksum: str = field(default="", metadata={"pattern": "^([0-9a-f]{64})?$"})
    train_images: int = field(default=0, metadata={"ge": 0})
    test_images: int = field(default=0, metadata={"ge": 0})
    path: str = field(default="", metadata={"json_schema_extra": {"hashed": False}})
    mirror: str = field(default="", metadata={"json_schema_extra": {"hashed": False}})
