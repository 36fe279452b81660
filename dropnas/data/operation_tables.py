"""The operations of AutoAugment on whole batches: each image gets the one that was drawn for it.

Design choices: an operation that moves pixels is a list of the places where each pixel comes from, one that changes
each value on its own a table of 256 values. Both are made once by torchvision's functions, from an image of places and
one of values, so that they are torchvision's to the pixel. What depends on the image (Equalize, AutoContrast, Contrast)
is a table for each image and channel, so a batch needs one look-up in all. Color and Sharpness mix values; they are
computed with the single rounding of torchvision's multiply-add. On a GPU everything is computed for every image and
then chosen, so that shapes are fixed and the host looks at nothing; on a CPU, where looking is free, only for the
images that need it.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

VALUES = 256
GREY = 128  # what moves into the image
BLUR = 13  # weight of the 3x3 mean of Sharpness: its middle counts five times
MOVING = {"ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate"}
BLENDING = {"Brightness", "Color", "Contrast", "Sharpness"}

Operation = tuple[str, int, int]  # name, level 0..9, sign +1 or -1
NONE: Operation = ("none", 0, 1)  # leaves an image as it is


@dataclass(frozen=True)
class Tables:
    """A list of operations, for images of one size on one device.

    Attributes:
        named: for each name in the list, which operations have it, bool (operations,).
        moves, looks_up: which operations move pixels, and which change each value on its own.
        places: int64 (rows, H * W), where each pixel comes from; H * W is grey.
        row: int64 (operations,), an operation's row of `places`.
        values: uint8 (operations, 256), what becomes of each value, unless that depends on the image.
        kept, added: float32 (operations,), the share of the image and that of what is blended with it.
    """

    named: dict[str, Tensor]
    moves: Tensor
    looks_up: Tensor
    places: Tensor
    row: Tensor
    values: Tensor
    kept: Tensor
    added: Tensor

    def applied(self, images: Tensor, numbers: Tensor) -> Tensor:
        """uint8 images (B, 3, H, W), each after the operation of its number, int64 (B,)."""
        images = _where(self.moves[numbers], self._moved, images, numbers)
        shares = self.kept[numbers], self.added[numbers]
        values = self.values[numbers][:, None].expand(-1, images.shape[1], -1)  # (B, 3, 256)
        for name, fit in FITTED.items():
            if name in self.named:
                values = _where(self.named[name][numbers], fit, values, images, *shares)
        images = _where(self.looks_up[numbers], _looked_up, images, values)
        for name, mix in MIXED.items():
            if name in self.named:
                images = _where(self.named[name][numbers], mix, images, *shares)
        return images

    def _moved(self, images: Tensor, numbers: Tensor) -> Tensor:
        count, channels = images.shape[:2]
        grey = images.new_full((count, channels, 1), GREY)
        pixels = torch.cat([images.flatten(2), grey], dim=2)  # (B, 3, H * W + 1)
        places = self.places[self.row[numbers]][:, None].expand(-1, channels, -1)
        return pixels.gather(2, places).view(images.shape)


@cache
def tables(operations: tuple[Operation, ...], height: int, width: int, device: torch.device) -> Tables:
    """The tables of some operations; made on the CPU, so that they are the same everywhere."""
    from dropnas.data.image_operations import enhancement  # late: most trainings do without torchvision

    names = [name for name, _, _ in operations]
    moving = [NONE, *(operation for operation in operations if operation[0] in MOVING)]
    kept = [enhancement(level, sign) if name in BLENDING else 1.0 for name, level, sign in operations]

    def which(wanted: Collection[str]) -> Tensor:
        return torch.tensor([name in wanted for name in names], device=device)

    return Tables(
        named={name: which([name]) for name in names},
        moves=which(MOVING),
        looks_up=which({*names} - MOVING - MIXED.keys() - {NONE[0]}),
        places=torch.stack([_places(operation, height, width) for operation in moving]).to(device),
        row=torch.tensor([moving.index(one) if one in moving else 0 for one in operations], device=device),
        values=torch.stack([_values(operation) for operation in operations]).to(device),
        kept=torch.tensor(kept, device=device),
        added=torch.tensor([1.0 - share for share in kept], device=device),
    )


def _places(operation: Operation, height: int, width: int) -> Tensor:
    """Where each pixel comes from, int64 (H * W,): an image of places, which lie above the grey that moves in."""
    places = torch.arange(height * width)
    if operation == NONE:
        return places
    image = (places + VALUES).float().view(1, 1, height, width).expand(-1, 3, -1, -1)
    moved = _torchvisions(image, operation)[0, 0].flatten().long() - VALUES
    return moved.where(moved >= 0, height * width)


def _values(operation: Operation) -> Tensor:
    """What becomes of each value, uint8 (256,)."""
    values = torch.arange(VALUES, dtype=torch.uint8)
    if operation[0] in MOVING | MIXED.keys() | FITTED.keys() | {NONE[0]}:
        return values
    return _torchvisions(values.view(1, 1, 1, VALUES).expand(-1, 3, -1, -1), operation)[0, 0, 0]


def _torchvisions(images: Tensor, operation: Operation) -> Tensor:
    from dropnas.data.image_operations import apply

    return apply(images, *operation)


def _where(wanted: Tensor, change: Callable[..., Tensor], old: Tensor, *others: Tensor) -> Tensor:
    """`old` (B, ...) with the images that are wanted, bool (B,), changed; `others` are of images, too."""
    if old.device.type == "cpu":
        chosen = wanted.nonzero()[:, 0]
        if not len(chosen):
            return old
        return old.index_copy(0, chosen, change(old[chosen], *(other[chosen] for other in others)))
    return _chosen(wanted, change, old, *others)


def _chosen(wanted: Tensor, change: Callable[..., Tensor], old: Tensor, *others: Tensor) -> Tensor:
    """The same, with all images changed and then chosen."""
    return torch.where(wanted.view(-1, *[1] * (old.dim() - 1)), change(old, *others), old)


def _looked_up(images: Tensor, values: Tensor) -> Tensor:
    return values.gather(2, images.flatten(2).long()).view(images.shape)


def _equalised(values: Tensor, images: Tensor, *_: Tensor) -> Tensor:
    """Pillow's histogram equalisation as torchvision computes it; a channel of too few values stays as it is."""
    pixels = images.flatten(2).long()
    ones = torch.ones((), dtype=torch.int32, device=images.device).expand_as(pixels)
    counts = torch.zeros(values.shape, dtype=torch.int32, device=images.device).scatter_add(2, pixels, ones)
    highest = pixels.amax(dim=2, keepdim=True)
    step = (pixels.shape[2] - counts.gather(2, highest)).div(VALUES - 1, rounding_mode="floor")
    below = counts.cumsum(2) - counts + step.div(2, rounding_mode="floor")
    spread = below.div(step.clamp(min=1), rounding_mode="floor").clamp(0, VALUES - 1)
    return torch.where(step > 0, spread.to(torch.uint8), values)


def _stretched(values: Tensor, images: Tensor, *_: Tensor) -> Tensor:
    """AutoContrast: from the lowest to the highest value of a channel; one of a single value stays as it is."""
    lowest = images.amin(dim=(2, 3)).float()[:, :, None]
    span = images.amax(dim=(2, 3)).float()[:, :, None] - lowest
    stretched = values.float().sub(lowest).div(span.mul(1 / (VALUES - 1)))
    return torch.where(span > 0, _rounded_down(stretched), values)


def _contrasted(values: Tensor, images: Tensor, kept: Tensor, added: Tensor) -> Tensor:
    mean = _greyscale(images).mean(dim=(1, 2))
    return _blended(values.float(), mean[:, None, None], kept[:, None, None], added[:, None, None])


def _coloured(images: Tensor, kept: Tensor, added: Tensor) -> Tensor:
    grey = _greyscale(images)[:, None]
    return _blended(images.float(), grey, kept[:, None, None, None], added[:, None, None, None])


def _sharpened(images: Tensor, kept: Tensor, added: Tensor) -> Tensor:
    """The inner pixels blended with their blurred selves; the outermost ones stay."""
    height, width = images.shape[2:]
    if height <= 2 or width <= 2:
        return images
    wide = images.short()
    inner = wide[:, :, 1:-1, 1:-1]
    columns = wide[:, :, :-2] + wide[:, :, 1:-1] + wide[:, :, 2:]
    sums = columns[..., :-2] + columns[..., 1:-1] + columns[..., 2:] + 4 * inner  # at most 13 * 255
    blurred = sums.float().div(BLUR).round()  # never half-way, so it is the same however it is computed
    sharp = torch.ones_like(added)[:, None, None, None]
    result = images.clone()
    result[:, :, 1:-1, 1:-1] = _blended(inner.float(), blurred - inner, sharp, added[:, None, None, None])
    return result


def _greyscale(images: Tensor) -> Tensor:
    """float32 (B, H, W), whole numbers."""
    red, green, blue = images.unbind(1)
    return red.mul(0.2989).add_(green, alpha=0.587).add_(blue, alpha=0.114).floor_()


def _blended(image: Tensor, other: Tensor, kept: Tensor, added: Tensor) -> Tensor:
    """uint8 of image * kept + other * added, where the second product and the sum are rounded together."""
    together = image.mul(kept).double().add_(other.double() * added.double())
    return _rounded_down(together.float())


def _rounded_down(values: Tensor) -> Tensor:
    return values.clamp(0, VALUES - 1).to(torch.uint8)


# tables that depend on the image, of (values, images, kept, added)
FITTED: dict[str, Callable[..., Tensor]] = {
    "Equalize": _equalised,
    "AutoContrast": _stretched,
    "Contrast": _contrasted,
}
MIXED: dict[str, Callable[..., Tensor]] = {"Color": _coloured, "Sharpness": _sharpened}  # of (images, kept, added)
