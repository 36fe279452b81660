"""Decodes and resizes images; docs/decisions.md, "ImageNet's pixels", compares the results with Pillow's.

Design choices: torchvision (libjpeg-turbo) decodes JPEGs. Pillow decodes everything else: ImageNet contains a PNG and
about twenty CMYK images named .JPEG. If torchvision no longer has a decoder, Pillow decodes all images. Images
are resized by torch's antialiased bilinear filter, which uses integer arithmetic. Its result therefore does not depend
on the instruction set, whereas the result of torchvision's `resize` does.
"""

import io
from collections.abc import Callable
from functools import cache

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

COMPONENTS = (1, 3)  # numbers of components (grey or colour) for which both decoders give the same pixels


def decode(data: bytes) -> Tensor:
    """Decode an image file to uint8 (3, H, W), in its original size.

    Raises:
        OSError, ValueError, SyntaxError, PIL.Image.DecompressionBombError: Pillow cannot decode the bytes.
    """
    decode_jpeg = jpeg_decoder()
    if decode_jpeg is None or not data:
        return _by_pillow(data)
    try:
        pixels = decode_jpeg(torch.frombuffer(bytearray(data), dtype=torch.uint8))
    except RuntimeError:  # not a JPEG, or a damaged one
        return _by_pillow(data)
    return pixels.expand(3, -1, -1) if len(pixels) in COMPONENTS else _by_pillow(data)


@cache
def jpeg_decoder() -> Callable[[Tensor], Tensor] | None:
    """torchvision's decoder, if it still has one; imported late, since prepared arrays do not need it."""
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
    """Resize uint8 (3, H, W) bilinearly, with antialiasing."""
    return functional.interpolate(pixels[None], (height, width), mode="bilinear", antialias=True)[0]
