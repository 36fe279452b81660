"""Augmentation of batches on their device (Section 4.2; crop, flip and Cutout as in DARTS).

Design choices: each image has its own random crop, flip and Cutout square. A batch is still augmented without a loop
over its images, and without a synchronisation with the host. The `draw_…` functions make these random choices. They can
be called in advance for a whole epoch, and on the CPU even if the images are on a GPU. Crop and flip work on uint8
images, with a black border as in the authors' code. Cutout works on normalised images, so its square has the mean
colour.
"""

import torch
from torch import Tensor
from torch.nn import functional


def draw_crops(count: int, padding: int, generator: torch.Generator) -> Tensor:
    """Draw the top left corner (row, column) of each image's window in the padded image: int64 (2, count)."""
    return torch.randint(2 * padding + 1, (2, count), generator=generator, device=generator.device)


def crop(images: Tensor, padding: int, corners: Tensor) -> Tensor:
    """Pad images (B, C, H, W) by `padding` pixels of 0 on all sides and cut out windows of the original size.

    The corners of the windows are those of `draw_crops`.
    """
    count, _, height, width = images.shape
    padded = functional.pad(images, (padding,) * 4)
    windows = padded.unfold(2, height, 1).unfold(3, width, 1)  # (B, C, 2 padding + 1, 2 padding + 1, H, W), a view
    return windows[torch.arange(count, device=images.device), :, corners[0], corners[1]]


def draw_flips(count: int, generator: torch.Generator) -> Tensor:
    """Choose the images to mirror, each with probability one half: bool (count,)."""
    return torch.randint(2, (count,), generator=generator, device=generator.device).bool()


def flip(images: Tensor, mirrored: Tensor) -> Tensor:
    """Mirror some of the images left to right.

    Args:
        images: (B, C, H, W).
        mirrored: whether to mirror each image, bool (B,).
    """
    return torch.where(mirrored[:, None, None, None], images.flip(3), images)


def draw_holes(count: int, height: int, width: int, generator: torch.Generator) -> Tensor:
    """Draw the centre (row, column) of the square that Cutout erases in each image: int64 (2, count)."""
    sides = (height, width)
    return torch.stack([torch.randint(side, (count,), generator=generator, device=generator.device) for side in sides])


def cutout(images: Tensor, side: int, centres: Tensor) -> Tensor:
    """Set a square in each image to 0.

    Args:
        images: (B, C, H, W).
        side: width and height of the squares in pixels.
        centres: the centre of each square, from `draw_holes`.
    """
    rows = _hole(images.shape[2], side, centres[0])[:, None, :, None]
    columns = _hole(images.shape[3], side, centres[1])[:, None, None, :]
    return images.masked_fill(rows & columns, 0)


def normalise(images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Scale images to 0..1, subtract the mean and divide by the standard deviation.

    Args:
        images: uint8 (B, 3, H, W).
        mean, std: mean and standard deviation of each channel, (3,). The result has the dtype of `mean`.
    """
    return _normalised(images.to(mean.dtype), mean, std)


class Normaliser:
    """`normalise` for a series of large batches; on a CPU, each result overwrites the previous one of the same shape.

    Allocating tens of megabytes for each batch would cost more than the arithmetic.
    """

    def __init__(self, mean: Tensor, std: Tensor) -> None:
        self.mean, self.std = mean, std
        self.kept = mean.new_empty(0)

    def __call__(self, images: Tensor) -> Tensor:
        """Normalise a batch that is on the same device as mean and std."""
        if images.device.type != "cpu":
            return normalise(images, self.mean, self.std)
        if self.kept.shape != images.shape:
            self.kept = self.mean.new_empty(images.shape)
        return _normalised(self.kept.copy_(images), self.mean, self.std)


def _normalised(images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    return images.div_(255).sub_(mean[:, None, None]).div_(std[:, None, None])


def _hole(length: int, side: int, centres: Tensor) -> Tensor:
    """The erased positions along one axis, bool (B, length): `side` positions around each centre.

    If `side` is even, one more position is erased before the centre than after it.
    """
    start = (centres - side // 2)[:, None]
    positions = torch.arange(length, device=centres.device)
    return (positions >= start) & (positions < start + side)
