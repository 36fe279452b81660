"""The bytes of an image as pixels, and pixels at another size.

Design: torchvision's binding of libjpeg-turbo decodes a JPEG straight into a tensor, in less time than Pillow and with
the very same pixels. What it does not take, or not in one or three components, goes to Pillow: ImageNet holds a PNG
and some twenty CMYK images under the name of .JPEG. Pixels are resized by torch's antialiased bilinear filter in whole
numbers: the faster of the two, the same on every instruction set, and a level of 256 away from Pillow's now and then.
(torchvision's own `resize` computes in whole or in broken numbers as the processor has it, so it is not used.)
torchvision's decoder is to move to torchcodec one day; where it is gone, Pillow decodes, to the same pixels.
Nothing is decoded at a reduced size: libjpeg halves at least, and no crop of an image of ImageNet's usual 375 pixels on
the shorter side has 448, twice what the network sees.
"""

import io
from collections.abc import Callable
from functools import cache

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

COMPONENTS = (1, 3)  # of a JPEG that both decoders read alike: grey and colour


def decode(data: bytes) -> Tensor:
    """An image file as uint8 (3, H, W), in its own size.

    Raises:
        OSError, ValueError, SyntaxError, PIL.Image.DecompressionBombError: what Pillow says of bytes it cannot decode.
    """
    decode_jpeg = jpeg_decoder()
    if decode_jpeg is None or not data:
        return _by_pillow(data)
    try:
        pixels = decode_jpeg(torch.frombuffer(bytearray(data), dtype=torch.uint8))
    except RuntimeError:  # no JPEG, or a damaged one
        return _by_pillow(data)
    return pixels.expand(3, -1, -1) if len(pixels) in COMPONENTS else _by_pillow(data)


@cache
def jpeg_decoder() -> Callable[[Tensor], Tensor] | None:
    """torchvision's decoder, where it still has one; imported late, since prepared arrays do without it."""
    try:
        from torchvision.io import decode_jpeg
    except ImportError:
        return None
    found: Callable[[Tensor], Tensor] = decode_jpeg
    return found


def _by_pillow(data: bytes) -> Tensor:
    with Image.open(io.BytesIO(data)) as image:
        return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)


def resize(pixels: Tensor, height: int, width: int) -> Tensor:
    """uint8 (3, H, W) at another size, antialiased; at least two pixels a side, since torch fails on one."""
    return functional.interpolate(pixels[None], (height, width), mode="bilinear", antialias=True)[0]
