"""Everything random of an epoch, drawn before it: the order of the images, crops, flips and masks.

Design choices: a search draws from the generators that its seed and the epoch name, in the order in which a search by
itself draws step by step, so it gets the same numbers in any company and on any device. The draws of a smaller last
batch are filled up to the size of the others and never looked at there.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from dropnas.data import augment, batches
from dropnas.search.config import SearchConfig
from dropnas.search.dropout import KINDS, drop_groups, drop_probabilities, sample_kept
from dropnas.search.options import options_of
from dropnas.search.supernet import cell_kinds
from dropnas.space.spaces import EDGES, SearchSpace
from dropnas.training.seeding import generator

COMPANY = (1, 2, 1, 1, 1)  # the axis of the K searches in each tensor


class Draws(NamedTuple):
    """What K searches draw for the steps of an epoch; without K, what one does.

    Attributes:
        order: int64 (steps, K, B), the images of each batch.
        places: int64 (steps, 2, K, B), row and column of each crop.
        flips: bool (steps, K, B).
        cells: bool (steps, K, cells, edges, operations), the operations that run.
        kinds: bool (steps, K, 2, edges, operations), the alphas that take part.
    """

    order: Tensor
    places: Tensor
    flips: Tensor
    cells: Tensor
    kinds: Tensor

    def take_over(self, searches: Sequence["Draws"]) -> None:
        """Copy the draws of K searches into these tensors, which stay where they are."""
        for values, parts, axis in zip(self, zip(*searches, strict=True), COMPANY, strict=True):
            values.copy_(torch.stack(parts, dim=axis))

    def of_step(self, counter: Tensor) -> "Draws":
        """Those of one step, without that axis; counter is int64 (1,), on the same device."""
        return Draws(*(values.index_select(0, counter)[0] for values in self))


def blank(steps: int, searches: int, size: int, cells: int, operations: int, device: str) -> Draws:
    """Tensors for the draws of K searches, all zero."""

    def zeros(*shape: int, dtype: torch.dtype = torch.bool) -> Tensor:
        return torch.zeros(steps, *shape, dtype=dtype, device=device)

    return Draws(
        order=zeros(searches, size, dtype=torch.int64),
        places=zeros(2, searches, size, dtype=torch.int64),
        flips=zeros(searches, size),
        cells=zeros(searches, cells, EDGES, operations),
        kinds=zeros(searches, KINDS, EDGES, operations),
    )


def drawn(config: SearchConfig, space: SearchSpace, count: int, epoch: int) -> Draws:
    """What one search draws for an epoch over `count` images: on the CPU."""
    sizes = batches.sizes(count, config.batch_size)
    order = batches.epoch_order(count, config.seed, epoch)[: sum(sizes)]
    places, flips = _augmentation(config, sizes, epoch)
    options, kinds, masks = options_of(config), cell_kinds(config.cells), generator(config.seed, "masks", epoch)
    probabilities, groups = drop_probabilities(options, space), drop_groups(options, space)
    kept = [sample_kept(options.masks, kinds, probabilities, groups, masks) for _ in sizes]
    return Draws(
        order=_filled(torch.split(order, sizes), sizes[0]),  # type: ignore[no-untyped-call]
        places=_filled(places, sizes[0]),
        flips=_filled(flips, sizes[0]),
        cells=torch.stack([of_step.cells for of_step in kept]),
        kinds=torch.stack([of_step.kinds for of_step in kept]),
    )


def _augmentation(config: SearchConfig, sizes: list[int], epoch: int) -> tuple[list[Tensor], list[Tensor]]:
    """Crops and flips of each batch, drawn in turns."""
    random = generator(config.seed, "augmentation", epoch)
    places, flips = [], []
    for size in sizes:
        places.append(augment.crop_places(size, config.crop_padding, random))
        flips.append(augment.flips(size, random) if config.flip else torch.zeros(size, dtype=torch.bool))
    return places, flips


def _filled(rows: Sequence[Tensor], size: int) -> Tensor:
    return torch.stack([functional.pad(row, (0, size - row.shape[-1])) for row in rows])
