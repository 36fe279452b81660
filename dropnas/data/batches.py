"""The order of the images in an epoch, and the number of its steps.

Design choices: the order depends only on (seed, epoch), so that an epoch can be resumed at any step. As in the authors'
loader, the last, smaller batch is used too; a last batch of one image is left out, since batch norm needs at least two.
"""

import torch
from torch import Tensor

from dropnas.errors import DropnasError
from dropnas.training.seeding import generator


def epoch_order(count: int, seed: int, epoch: int) -> Tensor:
    """A permutation of 0 .. count - 1, int64 (count,), on the CPU."""
    return torch.randperm(count, generator=generator(seed, "order", epoch))


def steps_per_epoch(count: int, batch_size: int) -> int:
    """Number of batches in an epoch; the last one may be smaller, but has at least two images.

    Raises:
        DropnasError: there are fewer than two images.
    """
    if count < 2:
        raise DropnasError(f"{count} images are too few to train on", remedy="use at least 2")
    full, rest = divmod(count, batch_size)
    return full + (rest >= 2)


def sizes(count: int, batch_size: int) -> list[int]:
    """Number of images in each step of an epoch."""
    return [min(batch_size, count - step * batch_size) for step in range(steps_per_epoch(count, batch_size))]
