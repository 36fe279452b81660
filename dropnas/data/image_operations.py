"""The operations of AutoAugment, by name, through torchvision's functions.

Design: each takes a share -1..1 of its range; a translation is 150/331 of the side at the highest level. What moves
into the image is grey (128), close to the mean, as in the original.
"""

import math
from collections.abc import Callable

from torch import Tensor
from torchvision.transforms.v2 import functional

GREY = [128.0, 128.0, 128.0]


def _shear(images: Tensor, x: float, y: float) -> Tensor:
    """Shear by these slopes; the top left corner stays."""
    degrees = [math.degrees(math.atan(x)), math.degrees(math.atan(y))]
    moved: Tensor = functional.affine(images, 0.0, [0, 0], 1.0, degrees, fill=GREY, center=[0.0, 0.0])
    return moved


def _translate(images: Tensor, x: float, y: float) -> Tensor:
    """Translate by these shares of 150/331 of the width and the height, in whole pixels."""
    height, width = images.shape[2:]
    pixels = [int(150 / 331 * width * x), int(150 / 331 * height * y)]
    moved: Tensor = functional.affine(images, 0.0, pixels, 1.0, [0.0, 0.0], fill=GREY)
    return moved


# of uint8 images and the share -1..1 of the operation's range
OPERATIONS: dict[str, Callable[[Tensor, float], Tensor]] = {
    "ShearX": lambda images, share: _shear(images, 0.3 * share, 0.0),
    "ShearY": lambda images, share: _shear(images, 0.0, 0.3 * share),
    "TranslateX": lambda images, share: _translate(images, share, 0.0),
    "TranslateY": lambda images, share: _translate(images, 0.0, share),
    "Rotate": lambda images, share: functional.rotate(images, 30.0 * share, fill=GREY),
    "Brightness": lambda images, share: functional.adjust_brightness(images, 1 + 0.9 * share),
    "Color": lambda images, share: functional.adjust_saturation(images, 1 + 0.9 * share),
    "Contrast": lambda images, share: functional.adjust_contrast(images, 1 + 0.9 * share),
    "Sharpness": lambda images, share: functional.adjust_sharpness(images, 1 + 0.9 * share),
    "Posterize": lambda images, share: functional.posterize(images, 8 - round(4 * share)),
    "Solarize": lambda images, share: functional.solarize(images, math.ceil(255.0 - 255.0 * share)),
    "AutoContrast": lambda images, share: functional.autocontrast(images),
    "Equalize": lambda images, share: functional.equalize(images),
    "Invert": lambda images, share: functional.invert(images),
}
