"""Everything random in an epoch of a retraining, drawn before its first step.

Design choices: all of it follows from (seed, epoch) alone and is drawn on the CPU, so a resumed epoch draws the same,
whatever step it resumes at and on whatever device. It is a few bytes an image; on the device it lies in tensors that
stay at their addresses, of which a step takes the rows of its batch: nothing is drawn in a step.
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
    """What was drawn for some images, in the order in which the epoch sees them.

    Attributes:
        order: int64 (N,), which of the trained images each is.
        crops, holes: int64 (N, 2), as `augment.crop` and `augment.cutout` take them, turned.
        mirrored: bool (N,).
        operations: int64 (N, 2), as `autoaugment.augment` takes them.
        kept: bool (N, edges of the network), for drop-path.
    """

    order: Tensor
    crops: Tensor
    holes: Tensor
    mirrored: Tensor
    operations: Tensor
    kept: Tensor

    def rows(self, places: Tensor) -> "Draws":
        """Those of the images at these places of the epoch, (B,)."""
        return Draws(**{name: values[places] for name, values in vars(self).items()})

    def to(self, device: str) -> "Draws":
        return Draws(**{name: values.to(device) for name, values in vars(self).items()})

    def take_over(self, others: "Draws") -> None:
        """Copy others, of as many images, into these tensors."""
        for mine, theirs in zip(vars(self).values(), vars(others).values(), strict=True):
            mine.copy_(theirs, non_blocking=True)


def draw(config: RetrainConfig, epoch: int, images: int, sides: tuple[int, int], edges: int, drop_path: float) -> Draws:
    """The draws of an epoch, on the CPU; an augmentation that is off takes no random numbers.

    Args:
        images: how many are trained on.
        sides: height and width of an image.
        edges: of the network; 0 without drop-path.
        drop_path: the epoch's rate.
    """
    random = generator(config.seed, "augmentation", epoch)
    none = torch.zeros((images, 2), dtype=torch.int64)
    return Draws(
        order=epoch_order(images, config.seed, epoch),
        crops=augment.draw_crops(images, config.crop_padding, random).t() if config.crop_padding else none,
        mirrored=augment.draw_flips(images, random) if config.flip else torch.zeros(images, dtype=torch.bool),
        operations=autoaugment.draw(autoaugment.CIFAR, images, random) if config.autoaugment else none,
        holes=augment.draw_holes(images, *sides, random).t() if config.cutout else none,
        kept=draw_paths(edges, images, drop_path, generator(config.seed, "drop-path", epoch)),
    )


def augmented(images: Tensor, data: ImageArrays, config: RetrainConfig, drawn: Draws) -> Tensor:
    """Crop, flip, AutoAugment, normalise, Cutout, in this order, as in DARTS; those that are on.

    Args:
        images: uint8 (B, 3, H, W).
        data: whose mean and standard deviation they are normalised with.
    """
    if config.crop_padding:
        images = augment.crop(images, config.crop_padding, drawn.crops.t())
    if config.flip:
        images = augment.flip(images, drawn.mirrored)
    if config.autoaugment:
        images = autoaugment.augment(images, autoaugment.CIFAR, drawn.operations)
    images = augment.normalise(images, data.mean, data.std)
    return augment.cutout(images, config.cutout, drawn.holes.t()) if config.cutout else images
