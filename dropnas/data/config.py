"""The configuration of the data stage. No torch here: the plan reads it."""

from dataclasses import dataclass, field
from typing import Literal

# Takes the place of the code fingerprint in a dataset's identity, because an edit of the code that reads data must not
# repeat every training. Increase it when the prepared bytes change.
PREPARATION = 1


@dataclass(frozen=True)
class DatasetConfig:
    """Where a dataset comes from and how much of it is used.

    Attributes:
        name: `cifar10`, `cifar100`, `imagenet`, or one of scikit-learn's digits: `digits`, `digit-pairs`, `digits-224`.
        source: `bundled` (scikit-learn's digits), `torchvision` (the archive of CIFAR, downloaded unless `path`
            names a local one), `parquet` (a Hugging Face folder) or `images` (an image folder or tar).
        checksum: SHA-256 of the source, as `python -m dropnas data --checksum PATH` prints it; checked if given.
        train_images: how many images to take from the beginning of the training split; 0 takes all.
        test_images: how many images to take from the beginning of the test split; 0 takes all.
        path: where a local source is, relative to the working directory. Not part of the identity.
    """

    __pydantic_config__ = {"extra": "forbid", "strict": True}

    name: str
    source: Literal["bundled", "torchvision", "parquet", "images"]
    checksum: str = field(default="", metadata={"pattern": "^([0-9a-f]{64})?$"})
    train_images: int = field(default=0, metadata={"ge": 0})
    test_images: int = field(default=0, metadata={"ge": 0})
    path: str = field(default="", metadata={"json_schema_extra": {"hashed": False}})
