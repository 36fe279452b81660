"""Gumbel noise, drawn on the host. The argmax of logits plus this noise is a sample of their softmax."""

import torch
from torch import Tensor


def gumbel(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Return -ln(-ln u) for uniform u; values that are not finite are drawn again."""
    noise = torch.full(shape, torch.inf)
    while not noise.isfinite().all():
        drawn = -torch.rand(shape, generator=generator).log().neg().log()
        noise = torch.where(noise.isfinite(), noise, drawn)
    return noise
