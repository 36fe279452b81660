"""The plain way to crop and resize an image, by Pillow; the fast way must look the same."""

import numpy as np
import torch
from PIL import Image
from torch import Tensor


def plain_view(image: Tensor, box: tuple[int, int, int, int], size: int) -> Tensor:
    """The box (left, top, right, bottom) of a uint8 image (3, H, W), resized to uint8 (3, size, size)."""
    part = Image.fromarray(image.permute(1, 2, 0).numpy()).crop(box)
    resized = part.resize((size, size), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(resized)).permute(2, 0, 1)
