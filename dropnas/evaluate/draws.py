"""Draws all random numbers for an epoch of retraining before its first step.

Design choices: the numbers depend only on (seed, epoch) and are drawn on the CPU. An epoch that is resumed therefore
has the same numbers, on any device. On the device, the numbers are in tensors with fixed addresses; each step reads the
rows of its batch. A step draws no numbers, so it can be captured in a CUDA graph.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from dropnas.data import augment, autoaugment
from dropnas.data.arrays import ImageArrays
from dropnas.data.batches import epoch_order
from dropnas.evaluate.cells import draw_paths
from dropnas.evaluate.config import RetrainConfig
from dropnas.training.seeding import generator


@dataclass(frozen=True)
class Draws:
    """The random numbers for N images of an epoch, in the order in which the epoch visits them."""

    order: Tensor  # int64 (N,), the index of each image in the training split
    crops: Tensor  # int64 (N, 2), the transposed argument of `augment.crop`
    holes: Tensor  # int64 (N, 2), the transposed argument of `augment.cutout`
    mirrored: Tensor  # bool (N,)
    operations: Tensor  # int64 (N, 2), for `autoaugment.augment`
    kept: Tensor  # bool (N, edges of the network), for drop-path

    def rows(self, positions: Tensor) -> "Draws":
        """The random numbers for the images at these positions (B,) in the epoch."""
        return Draws(**{name: values[positions] for name, values in vars(self).items()})

    def to(self, device: str) -> "Draws":
        return Draws(**{name: values.to(device) for name, values in vars(self).items()})

    def take_over(self, others: "Draws") -> None:
        """Copy the numbers in `others`, which are for as many images, into the existing tensors."""
        for mine, theirs in zip(vars(self).values(), vars(others).values(), strict=True):
            mine.copy_(theirs, non_blocking=True)


def draw(config: RetrainConfig, epoch: int, images: int, sides: tuple[int, int], edges: int, drop_path: float) -> Draws:
    """Draw an epoch's random numbers on the CPU. An augmentation that is switched off draws none.

    Args:
        images: number of images to train on.
        sides: height and width of an image.
        edges: number of edges in the network; 0 without drop-path.
        drop_path: rate of this epoch.
    """
    random = generator(config.seed, "augmentation", epoch)
    none = torch.zeros((images, 2), dtype=torch.int64)
    return Draws(
        order=epoch_order(images, config.seed, epoch),
        crops=augment.draw_crops(images, config.crop_padding, random).t() if config.crop_padding else none,
        mirrored=augment.draw_flips(images, random) if config.flip else torch.zeros(images, dtype=torch.bool),
        operations=autoaugment.draw(autoaugment.CIFAR_POLICY, images, random) if config.autoaugment else none,
        holes=augment.draw_holes(images, *sides, random).t() if config.cutout else none,
        kept=draw_paths(edges, images, drop_path, generator(config.seed, "drop-path", epoch)),
    )


def augmented(images: Tensor, data: ImageArrays, config: RetrainConfig, drawn: Draws) -> Tensor:
    """Apply crop, flip, AutoAugment, normalisation and Cutout to uint8 images (B, 3, H, W), in this order as in DARTS.

    Steps that the configuration disables are skipped. The mean and standard deviation are those of `data`.
    """
    if config.crop_padding:
        images = augment.crop(images, config.crop_padding, drawn.crops.t())
    if config.flip:
        images = augment.flip(images, drawn.mirrored)
    if config.autoaugment:
        images = autoaugment.augment(images, autoaugment.CIFAR_POLICY, drawn.operations)
    images = augment.normalise(images, data.mean, data.std)
    return augment.cutout(images, config.cutout, drawn.holes.t()) if config.cutout else images
