"""The operations of AutoAugment as tables: on whole batches, each image with its own, or on one image.

Design choices: an operation that moves pixels is a list of the places where each pixel comes from, one that changes
each value on its own a table of 256 values. Both are made once by torchvision's functions, from an image of places and
one of values, so that they are torchvision's to the pixel. What depends on the image (Equalize, AutoContrast, Contrast)
is a table for each image and channel, so a batch needs one look-up in all. Color and Sharpness mix an image with its
grey or blurred self: a table of 256x256 values, with the single rounding of torchvision's multiply-add.
On a GPU everything is computed for every image and then chosen, so that shapes are fixed and the host looks at nothing;
on a CPU, where looking is free, only for the images that need it. Large images are faster one by one, each in the
cache; those ways share all tables and functions, and no sum in these depends on its order, so the pixels are the same.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from functools import cache, partial

import torch
from torch import Tensor

from dropnas.training import determinism

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
        operations: the list.
        named: for each name in the list, which operations have it, bool (operations,).
        moves, looks_up: which operations move pixels, and which change each value on its own.
        places: int64 (rows, H * W), where each pixel comes from; H * W is grey.
        place_row: int64 (operations,), an operation's row of `places`.
        values: uint8 (operations, 256), what becomes of each value, unless that depends on the image.
        mixes: uint8 (rows, 256 * 256), what becomes of a value (the column) and what it is mixed with (256 columns).
        mix_row: int32 (operations,), an operation's row of `mixes`.
        kept, added: float32 (operations,), the share of the image and that of what is blended with it.
    """

    operations: tuple[Operation, ...]
    named: dict[str, Tensor]
    moves: Tensor
    looks_up: Tensor
    places: Tensor
    place_row: Tensor
    values: Tensor
    mixes: Tensor
    mix_row: Tensor
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
        for name, other in MIXED.items():
            if name in self.named:
                images = _where(self.named[name][numbers], partial(self._mixed, other), images, numbers)
        return images

    def applied_to_one(self, image: Tensor, numbers: Iterable[int]) -> Tensor:
        """The uint8 image (3, H, W) after the operations of these numbers; after none of them, the image itself."""
        for number in numbers:
            if self.operations[number] != NONE:
                image = self._changed(image[None], number)[0]
        return image

    def _changed(self, image: Tensor, number: int) -> Tensor:
        name, only = self.operations[number][0], slice(number, number + 1)
        if name in MOVING:
            return self._moved(image, number)
        if name in MIXED:
            return self._mixed(MIXED[name], image, number)
        values = self.values[only, None].expand(-1, image.shape[1], -1)
        if name in FITTED:
            values = FITTED[name](values, image, self.kept[only], self.added[only])
        return _looked_up(image, values)

    def _moved(self, images: Tensor, numbers: Tensor | int) -> Tensor:
        count, channels = images.shape[:2]
        grey = images.new_full((count, channels, 1), GREY)
        pixels = torch.cat([images.flatten(2), grey], dim=2)  # (B, 3, H * W + 1)
        places = self.places[self.place_row[numbers]].view(-1, 1, pixels.shape[2] - 1)
        return pixels.gather(2, places.expand(-1, channels, -1)).view(images.shape)

    def _mixed(self, other: Callable[[Tensor], Tensor], images: Tensor, numbers: Tensor | int) -> Tensor:
        row = self.mix_row[numbers].view(-1, 1, 1, 1)
        places = images + (VALUES * other(images).int() + VALUES**2 * row)
        return self.mixes.flatten().index_select(0, places.flatten()).view(images.shape)


@cache
def tables(operations: tuple[Operation, ...], height: int, width: int, device: torch.device) -> Tables:
    """The tables of some operations; made on the CPU, so that they are the same everywhere."""
    from dropnas.data.image_operations import enhancement  # late: most trainings do without torchvision

    names = [name for name, _, _ in operations]
    moving = [NONE, *(operation for operation in operations if operation[0] in MOVING)]
    mixing = [NONE, *(operation for operation in operations if operation[0] in MIXED)]
    kept = [enhancement(level, sign) if name in BLENDING else 1.0 for name, level, sign in operations]

    def which(wanted: Collection[str]) -> Tensor:
        return torch.tensor([name in wanted for name in names], device=device)

    def rows(some: list[Operation]) -> list[int]:
        return [some.index(one) if one in some else 0 for one in operations]

    return Tables(
        operations=operations,
        named={name: which([name]) for name in names},
        moves=which(MOVING),
        looks_up=which({*names} - MOVING - MIXED.keys() - {NONE[0]}),
        places=torch.stack([_places(operation, height, width) for operation in moving]).to(device),
        place_row=torch.tensor(rows(moving), device=device),
        values=torch.stack([_values(operation) for operation in operations]).to(device),
        mixes=torch.stack([_mixes(operation) for operation in mixing]).to(device),
        mix_row=torch.tensor(rows(mixing), dtype=torch.int32, device=device),
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


def _mixes(operation: Operation) -> Tensor:
    """What becomes of each value and each other that it is mixed with, uint8 (256 * 256,)."""
    from dropnas.data.image_operations import enhancement

    name, level, sign = operation
    share = enhancement(level, sign) if name in MIXED else 1.0
    others, values = torch.meshgrid(*[torch.arange(VALUES).float()] * 2, indexing="ij")
    if name == "Sharpness":  # where torchvision adds a share of the difference
        others = others - values
    kept = torch.tensor(1.0 if name == "Sharpness" else share)
    return _blended(values, others, kept, torch.tensor(1.0 - share)).flatten()


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
    if images.device.type != "cpu":
        return values.gather(2, images.flatten(2).long()).view(images.shape)
    channels = zip(images.flatten(2).flatten(0, 1).numpy(), values.flatten(0, 1).numpy(), strict=True)
    # Python's own look-up of bytes; torch's would want a number of eight bytes for each
    changed = bytearray().join(channel.tobytes().translate(table.tobytes()) for channel, table in channels)
    return torch.frombuffer(changed, dtype=torch.uint8).view(images.shape)


def _equalised(values: Tensor, images: Tensor, *_: Tensor) -> Tensor:
    """Pillow's histogram equalisation as torchvision computes it; a channel of too few values stays as it is."""
    pixels = images.flatten(2)
    counts = _counts(pixels)
    highest = pixels.amax(dim=2, keepdim=True).long()
    step = (pixels.shape[2] - counts.gather(2, highest)).div(VALUES - 1, rounding_mode="floor")
    below = counts.cumsum(2) - counts + step.div(2, rounding_mode="floor")
    spread = below.div(step.clamp(min=1), rounding_mode="floor").clamp(0, VALUES - 1)
    return torch.where(step > 0, spread.to(torch.uint8), values)


def _counts(pixels: Tensor) -> Tensor:
    """How often each value is in each channel, (B, 3, 256), of uint8 (B, 3, H * W)."""
    shape = (*pixels.shape[:2], VALUES)
    if pixels.device.type == "cpu":  # the faster way; on a GPU it would wait for the host
        counts = [torch.bincount(channel, minlength=VALUES) for channel in pixels.flatten(0, 1)]
        return torch.stack(counts).view(shape)
    ones = torch.ones((), dtype=torch.int32, device=pixels.device).expand_as(pixels)
    with determinism.needless():
        return ones.new_zeros(shape).scatter_add(2, pixels.long(), ones)


def _stretched(values: Tensor, images: Tensor, *_: Tensor) -> Tensor:
    """AutoContrast: from the lowest to the highest value of a channel; one of a single value stays as it is."""
    lowest = images.amin(dim=(2, 3)).float()[:, :, None]
    span = images.amax(dim=(2, 3)).float()[:, :, None] - lowest
    stretched = values.float().sub(lowest).div(span.mul(1 / (VALUES - 1)))
    return torch.where(span > 0, _rounded_down(stretched), values)


def _contrasted(values: Tensor, images: Tensor, kept: Tensor, added: Tensor) -> Tensor:
    sums = _greyscale(images).sum(dim=(1, 2), dtype=torch.float64)  # of whole numbers, so its order plays no part
    mean = sums.div(images[0, 0].numel()).float()
    return _blended(values.float(), mean[:, None, None], kept[:, None, None], added[:, None, None])


def _blurred(images: Tensor) -> Tensor:
    """Means of 3x3 pixels, the middle one counted five times; the outermost pixels stay, and so do they when mixed."""
    height, width = images.shape[2:]
    if height <= 2 or width <= 2:
        return images
    wide = images.short()
    columns = wide[:, :, :-2] + wide[:, :, 1:-1] + wide[:, :, 2:]
    sums = columns[..., :-2] + columns[..., 1:-1] + columns[..., 2:] + 4 * wide[:, :, 1:-1, 1:-1]  # at most 13 * 255
    result = images.clone()
    result[:, :, 1:-1, 1:-1] = (
        sums.float().div(BLUR).round()
    )  # never half-way, so it is the same however it is computed
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
MIXED: dict[str, Callable[[Tensor], Tensor]] = {
    "Color": lambda images: _greyscale(images)[:, None],
    "Sharpness": _blurred,
}
