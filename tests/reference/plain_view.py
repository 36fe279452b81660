"""The plain way to a view of an image: Pillow cuts the box out and resizes it. The fast way must look like it."""

import numpy as np
import torch
from PIL import Image
from torch import Tensor


def plain_view(image: Tensor, box: tuple[int, int, int, int], size: int) -> Tensor:
    """A part (left, top, right, bottom) of a uint8 image (3, H, W) as uint8 (3, size, size)."""
    part = Image.fromarray(image.permute(1, 2, 0).numpy()).crop(box)
    resized = part.resize((size, size), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(resized)).permute(2, 0, 1)
