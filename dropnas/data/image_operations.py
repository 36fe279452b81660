"""The operations of AutoAugment, implemented with torchvision; `operation_tables` builds its tables from them.

Design choices: each operation takes a fraction of its range, -1..1. The largest translation is 150/331 of the side.
Pixels that come from outside of the image are grey (128), which is close to the mean, as in the original.
"""

import math
from collections.abc import Callable

from torch import Tensor
from torchvision.transforms.v2 import functional

GREY_FILL = [128.0, 128.0, 128.0]
LEVELS = 10


def apply(images: Tensor, name: str, level: int, sign: int) -> Tensor:
    """Apply an operation to uint8 images, at level 0..9 with sign +1 or -1.

    An operation that moves pixels can also be applied to floats.
    """
    return IMAGE_OPERATIONS[name](images, sign * level / (LEVELS - 1))


def enhancement(level: int, sign: int) -> float:
    """The enhancement factor of Brightness, Color, Contrast and Sharpness, from 0.1 to 1.9."""
    return _enhancement(sign * level / (LEVELS - 1))


def _enhancement(share: float) -> float:
    return 1 + 0.9 * share


def _shear(images: Tensor, x: float, y: float) -> Tensor:
    """Shear by these slopes; the top left corner stays where it is."""
    degrees = [math.degrees(math.atan(x)), math.degrees(math.atan(y))]
    moved: Tensor = functional.affine(images, 0.0, [0, 0], 1.0, degrees, fill=GREY_FILL, center=[0.0, 0.0])
    return moved


def _translate(images: Tensor, x: float, y: float) -> Tensor:
    """Translate by x times 150/331 of the width and y times 150/331 of the height, truncated to whole pixels."""
    height, width = images.shape[2:]
    pixels = [int(150 / 331 * width * x), int(150 / 331 * height * y)]
    moved: Tensor = functional.affine(images, 0.0, pixels, 1.0, [0.0, 0.0], fill=GREY_FILL)
    return moved


# each function takes images and a fraction of the operation's range, -1..1
IMAGE_OPERATIONS: dict[str, Callable[[Tensor, float], Tensor]] = {
    "ShearX": lambda images, share: _shear(images, 0.3 * share, 0.0),
    "ShearY": lambda images, share: _shear(images, 0.0, 0.3 * share),
    "TranslateX": lambda images, share: _translate(images, share, 0.0),
    "TranslateY": lambda images, share: _translate(images, 0.0, share),
    "Rotate": lambda images, share: functional.rotate(images, 30.0 * share, fill=GREY_FILL),
    "Brightness": lambda images, share: functional.adjust_brightness(images, _enhancement(share)),
    "Color": lambda images, share: functional.adjust_saturation(images, _enhancement(share)),
    "Contrast": lambda images, share: functional.adjust_contrast(images, _enhancement(share)),
    "Sharpness": lambda images, share: functional.adjust_sharpness(images, _enhancement(share)),
    "Posterize": lambda images, share: functional.posterize(images, 8 - round(4 * share)),
    "Solarize": lambda images, share: functional.solarize(images, math.ceil(255.0 - 255.0 * share)),
    "AutoContrast": lambda images, share: functional.autocontrast(images),
    "Equalize": lambda images, share: functional.equalize(images),
    "Invert": lambda images, share: functional.invert(images),
}
