"""The order in which an epoch sees its images, and into how many steps it falls.

Design: the order follows from (seed, epoch) alone, so that an epoch can be entered anywhere. As in the authors'
loader the last, smaller batch is used too; a single image is left out, since batch norm cannot do with one.
"""

import torch
from torch import Tensor

from dropnas.errors import DropnasError
from dropnas.training.seeding import generator


def epoch_order(count: int, seed: int, epoch: int) -> Tensor:
    """A permutation of 0 .. count - 1, int64 (count,), on the CPU."""
    return torch.randperm(count, generator=generator(seed, "order", epoch))


def steps_per_epoch(count: int, batch_size: int) -> int:
    """Number of batches of an epoch; the last one may be smaller, but has at least two images.

    Raises:
        DropnasError: there are not two images.
    """
    if count < 2:
        raise DropnasError(f"{count} images are too few to train on", remedy="take at least 2")
    full, rest = divmod(count, batch_size)
    return full + (rest >= 2)


def sizes(count: int, batch_size: int) -> list[int]:
    """Images of each step of an epoch."""
    return [min(batch_size, count - step * batch_size) for step in range(steps_per_epoch(count, batch_size))]
