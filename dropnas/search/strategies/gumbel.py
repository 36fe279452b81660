"""Gumbel noise: what turns logits into samples of their softmax, drawn on the host."""

import torch
from torch import Tensor


def gumbel(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """-ln(-ln u) for uniform u; where that is not finite it is drawn again."""
    noise = torch.full(shape, torch.inf)
    while not noise.isfinite().all():
        drawn = -torch.rand(shape, generator=generator).log().neg().log()
        noise = torch.where(noise.isfinite(), noise, drawn)
    return noise
