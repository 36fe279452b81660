"""The operations of AutoAugment as tables, for a batch in which each image has its own operation, or for one image.

Design choices: an operation that moves pixels has a table with the source index of each pixel. An operation that
changes each value independently has a table of 256 values. Both tables are computed once by applying torchvision's
functions, to an image of pixel indices or to an image of all 256 values, so every pixel agrees with torchvision.
Equalize, AutoContrast and Contrast depend on the image, so they have a table for each image and channel. Color and
Sharpness blend an image with its grey or blurred version, using a table of 256x256 values. As in torchvision's
multiply-add, the second product of a blend is not rounded before it is added.

On a GPU, every operation is computed for every image, and the right result is selected. Shapes are therefore fixed, and
the host need not wait. On a CPU, an operation is computed only for the images that need it, and large images are faster
one by one, because each fits into the cache. All variants use the same tables and functions, and no sum depends on the
order of its terms, so all variants produce the same pixels.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from functools import cache, partial

import torch
from torch import Tensor

from dropnas.training import determinism

BYTE_VALUES = 256
GREY_VALUE = 128  # the value of pixels that come from outside of the image
BLUR = 13  # sum of the weights of Sharpness' 3x3 mean: 5 for the middle pixel, 1 for each of the others
MOVING = {"ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate"}
BLENDING = {"Brightness", "Color", "Contrast", "Sharpness"}

Operation = tuple[str, int, int]  # name, level 0..9, sign +1 or -1
NONE: Operation = ("none", 0, 1)  # leaves the image unchanged


@dataclass(frozen=True)
class Tables:
    """The tables of a list of operations, for images of one size on one device."""

    operations: tuple[Operation, ...]
    named: dict[str, Tensor]  # maps each name to a mask, bool (operations,), of the operations with this name
    moves: Tensor  # bool (operations,): whether an operation moves pixels
    looks_up: Tensor  # bool (operations,): whether it has a table of 256 values, fixed or made from the image
    sources: Tensor  # int64 (rows, H * W), the source index of each pixel; H * W means grey
    source_row: Tensor  # int64 (operations,), the row of `sources` for each operation
    values: Tensor  # uint8 (operations, 256), the fixed table of each operation, or the identity if it has none
    mixes: Tensor  # uint8 (rows, 256 * 256), at index v + 256 * o: value v blended with value o of the other image
    mix_row: Tensor  # int32 (operations,), the row of `mixes` for each operation
    kept: Tensor  # float32 (operations,), the weight of the image
    added: Tensor  # float32 (operations,), the weight of the image that is blended with it

    def applied(self, images: Tensor, numbers: Tensor) -> Tensor:
        """Apply operation numbers[i] to image i of a uint8 batch (B, 3, H, W); `numbers` is int64 (B,)."""
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
        """Apply the operations with these numbers to a uint8 image (3, H, W), in the given order."""
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
        grey = images.new_full((count, channels, 1), GREY_VALUE)
        pixels = torch.cat([images.flatten(2), grey], dim=2)  # (B, 3, H * W + 1)
        sources = self.sources[self.source_row[numbers]].view(-1, 1, pixels.shape[2] - 1)
        return pixels.gather(2, sources.expand(-1, channels, -1)).view(images.shape)

    def _mixed(self, other: Callable[[Tensor], Tensor], images: Tensor, numbers: Tensor | int) -> Tensor:
        row = self.mix_row[numbers].view(-1, 1, 1, 1)
        indices = images + (BYTE_VALUES * other(images).int() + BYTE_VALUES**2 * row)
        return self.mixes.flatten().index_select(0, indices.flatten()).view(images.shape)


@cache
def tables(operations: tuple[Operation, ...], height: int, width: int, device: torch.device) -> Tables:
    """Build the tables of these operations. They are computed on the CPU, so they are the same on every device."""
    from dropnas.data.image_operations import enhancement  # imported late: most trainings do not need torchvision

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
        sources=torch.stack([_sources(operation, height, width) for operation in moving]).to(device),
        source_row=torch.tensor(rows(moving), device=device),
        values=torch.stack([_values(operation) for operation in operations]).to(device),
        mixes=torch.stack([_mixes(operation) for operation in mixing]).to(device),
        mix_row=torch.tensor(rows(mixing), dtype=torch.int32, device=device),
        kept=torch.tensor(kept, device=device),
        added=torch.tensor([1.0 - share for share in kept], device=device),
    )


def _sources(operation: Operation, height: int, width: int) -> Tensor:
    """The source index of each pixel, int64 (H * W,); H * W means grey.

    256 is added to each index before the image is moved, so that no index is mistaken for grey (128).
    """
    sources = torch.arange(height * width)
    if operation == NONE:
        return sources
    image = (sources + BYTE_VALUES).float().view(1, 1, height, width).expand(-1, 3, -1, -1)
    moved = _torchvisions(image, operation)[0, 0].flatten().long() - BYTE_VALUES
    return moved.where(moved >= 0, height * width)


def _values(operation: Operation) -> Tensor:
    """The new value of each of the 256 values, uint8 (256,)."""
    values = torch.arange(BYTE_VALUES, dtype=torch.uint8)
    if operation[0] in MOVING | MIXED.keys() | FITTED.keys() | {NONE[0]}:
        return values
    return _torchvisions(values.view(1, 1, 1, BYTE_VALUES).expand(-1, 3, -1, -1), operation)[0, 0, 0]


def _mixes(operation: Operation) -> Tensor:
    """Blend each value with each value of the other image. Return a row of `Tables.mixes`, uint8 (256 * 256,)."""
    from dropnas.data.image_operations import enhancement

    name, level, sign = operation
    share = enhancement(level, sign) if name in MIXED else 1.0
    others, values = torch.meshgrid(*[torch.arange(BYTE_VALUES).float()] * 2, indexing="ij")
    if name == "Sharpness":  # torchvision adds a fraction of the difference
        others = others - values
    kept = torch.tensor(1.0 if name == "Sharpness" else share)
    return _blended(values, others, kept, torch.tensor(1.0 - share)).flatten()


def _torchvisions(images: Tensor, operation: Operation) -> Tensor:
    from dropnas.data.image_operations import apply

    return apply(images, *operation)


def _where(wanted: Tensor, change: Callable[..., Tensor], old: Tensor, *others: Tensor) -> Tensor:
    """Apply `change` to the rows of `old` (B, ...) where `wanted`, bool (B,), is true.

    The rows may be images or tables. `change` gets the same rows of `others` (B, ...) as further arguments.
    """
    if old.device.type == "cpu":
        chosen = wanted.nonzero()[:, 0]
        if not len(chosen):
            return old
        return old.index_copy(0, chosen, change(old[chosen], *(other[chosen] for other in others)))
    return _chosen(wanted, change, old, *others)


def _chosen(wanted: Tensor, change: Callable[..., Tensor], old: Tensor, *others: Tensor) -> Tensor:
    """Like `_where`, but change all rows and then select, so that no shape depends on the selection."""
    return torch.where(wanted.view(-1, *[1] * (old.dim() - 1)), change(old, *others), old)


def _looked_up(images: Tensor, values: Tensor) -> Tensor:
    if images.device.type != "cpu":
        return values.gather(2, images.flatten(2).long()).view(images.shape)
    channels = zip(images.flatten(2).flatten(0, 1).numpy(), values.flatten(0, 1).numpy(), strict=True)
    # Python translates bytes directly; a look-up in torch would need an eight-byte index for each value
    changed = bytearray().join(channel.tobytes().translate(table.tobytes()) for channel, table in channels)
    return torch.frombuffer(changed, dtype=torch.uint8).view(images.shape)


def _equalised(values: Tensor, images: Tensor, *_: Tensor) -> Tensor:
    """Pillow's histogram equalisation as torchvision computes it.

    A channel is unchanged if fewer than 255 of its pixels are below its highest value.
    """
    pixels = images.flatten(2)
    counts = _counts(pixels)
    highest = pixels.amax(dim=2, keepdim=True).long()
    step = (pixels.shape[2] - counts.gather(2, highest)).div(BYTE_VALUES - 1, rounding_mode="floor")
    below = counts.cumsum(2) - counts + step.div(2, rounding_mode="floor")
    spread = below.div(step.clamp(min=1), rounding_mode="floor").clamp(0, BYTE_VALUES - 1)
    return torch.where(step > 0, spread.to(torch.uint8), values)


def _counts(pixels: Tensor) -> Tensor:
    """The number of occurrences of each value in each channel, (B, 3, 256), for uint8 (B, 3, H * W)."""
    shape = (*pixels.shape[:2], BYTE_VALUES)
    if pixels.device.type == "cpu":  # bincount is faster, but on a GPU the host would have to wait for it
        counts = [torch.bincount(channel, minlength=BYTE_VALUES) for channel in pixels.flatten(0, 1)]
        return torch.stack(counts).view(shape)
    ones = torch.ones((), dtype=torch.int32, device=pixels.device).expand_as(pixels)
    with determinism.needless():
        return ones.new_zeros(shape).scatter_add(2, pixels.long(), ones)


def _stretched(values: Tensor, images: Tensor, *_: Tensor) -> Tensor:
    """AutoContrast: stretch each channel from its lowest to its highest value; a constant channel is unchanged."""
    lowest = images.amin(dim=(2, 3)).float()[:, :, None]
    span = images.amax(dim=(2, 3)).float()[:, :, None] - lowest
    stretched = values.float().sub(lowest).div(span.mul(1 / (BYTE_VALUES - 1)))
    return torch.where(span > 0, _rounded_down(stretched), values)


def _contrasted(values: Tensor, images: Tensor, kept: Tensor, added: Tensor) -> Tensor:
    sums = _greyscale(images).sum(dim=(1, 2), dtype=torch.float64)  # exact: whole numbers
    mean = sums.div(images[0, 0].numel()).float()
    return _blended(values.float(), mean[:, None, None], kept[:, None, None], added[:, None, None])


def _blurred(images: Tensor) -> Tensor:
    """Blur with a 3x3 mean in which the middle pixel has weight 5; the outermost pixels stay unchanged."""
    height, width = images.shape[2:]
    if height <= 2 or width <= 2:
        return images
    wide = images.short()
    columns = wide[:, :, :-2] + wide[:, :, 1:-1] + wide[:, :, 2:]
    sums = columns[..., :-2] + columns[..., 1:-1] + columns[..., 2:] + 4 * wide[:, :, 1:-1, 1:-1]  # at most 13 * 255
    result = images.clone()
    # the mean is never exactly half-way between two integers, so every method of rounding agrees
    result[:, :, 1:-1, 1:-1] = sums.float().div(BLUR).round()
    return result


def _greyscale(images: Tensor) -> Tensor:
    """Convert images to greyscale, float32 (B, H, W); the values are rounded down to whole numbers."""
    red, green, blue = images.unbind(1)
    return red.mul(0.2989).add_(green, alpha=0.587).add_(blue, alpha=0.114).floor_()


def _blended(image: Tensor, other: Tensor, kept: Tensor, added: Tensor) -> Tensor:
    """image * kept + other * added, as uint8. The second product is not rounded before it is added."""
    together = image.mul(kept).double().add_(other.double() * added.double())
    return _rounded_down(together.float())


def _rounded_down(values: Tensor) -> Tensor:
    return values.clamp(0, BYTE_VALUES - 1).to(torch.uint8)


# For each operation whose table depends on the image: a function of (values, images, kept, added) that makes the table.
FITTED: dict[str, Callable[..., Tensor]] = {"Equalize": _equalised, "AutoContrast": _stretched, "Contrast": _contrasted}
MIXED: dict[str, Callable[[Tensor], Tensor]] = {
    "Color": lambda images: _greyscale(images)[:, None],
    "Sharpness": _blurred,
}
