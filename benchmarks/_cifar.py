"""CIFAR-10 for the benchmarks: the real images where they lie, else the bundled digits; the results say which."""

import os
from pathlib import Path

from dropnas.data import prepare
from dropnas.data.arrays import ImageArrays, load
from dropnas.data.config import DatasetConfig
from dropnas.workspace import Workspace

VARIABLE, REAL = "DROPNAS_CIFAR10", Path("../shared/data/cifar10")  # a folder of parquet files


def training_images(folder: Path, device: str) -> tuple[ImageArrays, str]:
    """The training split on the device, and what it is; `folder` is where it is prepared."""
    real = Path(os.environ.get(VARIABLE, REAL))
    if real.is_dir():
        config = DatasetConfig("cifar10", "parquet", path=str(real))
    else:
        config = DatasetConfig("digits", "bundled")
    prepare.run(config, [], folder, Workspace(scratch=folder, identity="benchmark"))
    images = load(folder, "train", device=device)
    return images, f"{len(images)} of {config.name}, {config.source}"
