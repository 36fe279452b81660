"""CIFAR-10 for the benchmarks: the real images if available.

Otherwise, `training_images` returns the bundled digits, and `images_of_its_size` returns noise with the shape of
CIFAR-10. The results state which images were used.
"""

import os
from pathlib import Path

import torch

from dropnas.data import prepare
from dropnas.data.arrays import ImageArrays, load
from dropnas.data.config import DatasetConfig
from dropnas.training.seeding import generator
from dropnas.workspace import Workspace

VARIABLE, REAL = "DROPNAS_CIFAR10", Path("../shared/data/cifar10")  # a folder of parquet files
COUNT, SIDE, CLASSES = 50_000, 32, 10


def images_of_its_size(folder: Path, device: str) -> tuple[ImageArrays, str]:
    """Return CIFAR-10 or, if not available, noise of the same shape, for measurements that do not depend on content.

    Returns:
        the images on the device, and a description of them.
    """
    if Path(os.environ.get(VARIABLE, REAL)).is_dir():
        return training_images(folder, device)
    noise = torch.randint(0, 256, (COUNT, SIDE, SIDE, 3), dtype=torch.uint8, generator=generator(0, "noise")).to(device)
    labels, half = torch.arange(COUNT, device=device) % CLASSES, torch.full((3,), 0.5, device=device)
    return ImageArrays(noise.permute(0, 3, 1, 2), labels, CLASSES, half, half), f"{COUNT} of noise"


def training_images(folder: Path, device: str) -> tuple[ImageArrays, str]:
    """Prepare the training images in `folder`; return them on the device, with a description."""
    real = Path(os.environ.get(VARIABLE, REAL))
    if real.is_dir():
        config = DatasetConfig("cifar10", "parquet", path=str(real))
    else:
        config = DatasetConfig("digits", "bundled")
    prepare.run(config, [], folder, Workspace(scratch=folder, identity="benchmark"))
    images = load(folder, "train", device=device)
    return images, f"{len(images)} of {config.name}, {config.source}"
