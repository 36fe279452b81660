"""Training images that are set apart: for the alphas of a two-level search, or to choose epoch and seed.

Design choices: the split is fixed for a whole run and drawn from a generator of its own; with the same generator a
larger part contains a smaller one. With nothing set apart the images keep their order, so that nothing changes.
"""

import torch
from torch import Tensor

from dropnas.errors import DropnasError


def apart(count: int, held_out: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Indices of the images that are trained on and of those set apart, int64, each part in rising order.

    Args:
        count: how many training images there are.
        held_out: how many of them are set apart.
        generator: on the CPU, drawn from once.

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
