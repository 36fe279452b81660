"""Augmentation of whole batches on the device where they lie (Section 4.2; crop, flip and Cutout as in DARTS).

Design: every image gets its own draw, but a batch is one gather: no loop over images, no look back at the host when
the generator lives on the images' device. A generator on the CPU may serve images on a GPU; its draws are then moved.
Crop and flip can be drawn and applied apart, since a static step gets the draws of a whole epoch before it.
Crop and flip work on uint8, where the border is black as in the release; Cutout on normalised images, where its
hole has the value of the mean.
"""

import torch
from torch import Tensor
from torch.nn import functional


def random_crop(images: Tensor, padding: int, generator: torch.Generator) -> Tensor:
    """Pad by `padding` pixels of 0 on all sides and cut a window of the old size from a random place.

    Args:
        images: (B, C, H, W) of any type.
    """
    return crop(images, padding, crop_places(len(images), padding, generator).to(images.device, non_blocking=True))


def crop_places(count: int, padding: int, generator: torch.Generator) -> Tensor:
    """Row and column of each random crop in the padded image: int64 (2, count), where the generator lives."""
    return _integers((2, count), 2 * padding + 1, generator)


def crop(images: Tensor, padding: int, places: Tensor) -> Tensor:
    """Pad by `padding` pixels of 0 on all sides and cut windows of the old size.

    Args:
        images: (B, C, H, W) of any type.
        places: int64 (2, B), on the same device.
    """
    count, _, height, width = images.shape
    padded = functional.pad(images, (padding,) * 4)
    windows = padded.unfold(2, height, 1).unfold(3, width, 1)  # (B, C, 2 padding + 1, 2 padding + 1, H, W), a view
    return windows[torch.arange(count, device=images.device), :, places[0], places[1]]


def random_flip(images: Tensor, generator: torch.Generator) -> Tensor:
    """Mirror each image left to right with probability one half; images (B, C, H, W)."""
    return flip(images, flips(len(images), generator).to(images.device, non_blocking=True))


def flips(count: int, generator: torch.Generator) -> Tensor:
    """Which images are mirrored: bool (count,), where the generator lives."""
    return _integers((count,), 2, generator).bool()


def flip(images: Tensor, flipped: Tensor) -> Tensor:
    """Mirror some images (B, C, H, W) left to right; flipped is bool (B,), on the same device."""
    return torch.where(flipped[:, None, None, None], images.flip(3), images)


def cutout(images: Tensor, side: int, generator: torch.Generator) -> Tensor:
    """Set a square of `side` pixels to 0 around a random pixel of each image, cut off at the border (Cutout).

    Args:
        images: (B, C, H, W), normalised.
    """
    count, _, height, width = images.shape
    rows = _hole(count, height, side, images.device, generator)[:, None, :, None]
    columns = _hole(count, width, side, images.device, generator)[:, None, None, :]
    return images.masked_fill(rows & columns, 0)


def normalise(images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """uint8 (B, 3, H, W) in 0..255 to the type of mean and std (3,): scaled to 0..1, then (x - mean) / std."""
    return images.to(mean.dtype).div_(255).sub_(mean[:, None, None]).div_(std[:, None, None])


def _hole(count: int, length: int, side: int, device: torch.device, generator: torch.Generator) -> Tensor:
    """Bool (count, length): `side` places around a random one; for an even side one more lies before than after."""
    start = _integers((count, 1), length, generator).to(device, non_blocking=True) - side // 2
    places = torch.arange(length, device=device)
    return (places >= start) & (places < start + side)


def _integers(shape: tuple[int, ...], end: int, generator: torch.Generator) -> Tensor:
    """Uniform integers 0 .. end - 1, drawn where the generator lives."""
    return torch.randint(end, shape, generator=generator, device=generator.device)
