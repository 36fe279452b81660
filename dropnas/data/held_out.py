"""Held-out training images: for the alphas of a two-level search, or to choose the epoch and the seed.

Design choices: the split stays the same during a run and is drawn from a separate generator. With the same generator, a
larger held-out part contains a smaller one. If nothing is held out, the images keep their order.
"""

import torch
from torch import Tensor

from dropnas.errors import DropnasError


def apart(count: int, held_out: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Split the indices into images to train on and held-out images, int64, each in ascending order.

    Args:
        count: number of training images.
        held_out: number of these that are held out.
        generator: random generator on the CPU, used once.

    Raises:
        DropnasError: fewer than two images would be left to train on.
    """
    if held_out > count - 2:
        raise DropnasError(
            f"{held_out} of {count} training images cannot be held out",
            remedy="hold out fewer, so that at least two are left to train on",
        )
    order = torch.randperm(count, generator=generator)
    return order[held_out:].sort().values, order[:held_out].sort().values
