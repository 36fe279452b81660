"""Which training images are held out, in which order an epoch uses the others, and how large its batches are.

Design choices: the order depends only on (seed, epoch), so that an epoch can be resumed at any step. As in the authors'
loader, a smaller last batch is used as well. A last batch of a single image is left out, because batch norm needs at
least two. Held-out images train the alphas of a two-level search, or serve to choose the epoch and the seed. With the
same generator, a larger held-out set contains the smaller ones.
"""

import torch
from torch import Tensor

from dropnas.errors import DropnasError
from dropnas.training.seeding import generator


def apart(count: int, held_out: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """Split the indices of `count` images into training indices and held-out indices, each int64 in ascending order.

    Raises:
        DropnasError: fewer than two images would be left to train on.
    """
    if held_out > count - 2:
        raise DropnasError(
            f"{held_out} of {count} training images cannot be held out",
            remedy="hold out fewer, so that at least two are left to train on",
        )
    order = torch.randperm(count, generator=random)
    return order[held_out:].sort().values, order[:held_out].sort().values


def epoch_order(count: int, seed: int, epoch: int) -> Tensor:
    """A permutation of 0 .. count - 1, int64 (count,), on the CPU."""
    return torch.randperm(count, generator=generator(seed, "order", epoch))


def sizes(count: int, batch_size: int) -> list[int]:
    """Number of images in each step of an epoch; the last batch may be smaller, but has at least two images.

    Raises:
        DropnasError: there are fewer than two images.
    """
    if count < 2:
        raise DropnasError(f"{count} images are too few to train on", remedy="use at least 2")
    full, rest = divmod(count, batch_size)
    return [batch_size] * full + ([rest] if rest >= 2 else [])
