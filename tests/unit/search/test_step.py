"""The inputs and records of a step: images cropped and flipped as drawn, hits, and draws that differ."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from dropnas.data.arrays import ImageArrays
from dropnas.search.epoch_draws import draw_epoch
from dropnas.search.strategies.grouped_dropout import GroupedDropout
from dropnas.search.strategy import Batch, make_strategy
from tests.unit.search.groups import CONFIG, SIDE, SMALL, TINY, group_of, images_of

PADDING = TINY.crop_padding


class Noting(GroupedDropout):
    """A strategy that keeps the input and output of its last step."""

    seen: tuple[Batch, Tensor]

    def step(self, state: Any, batch: Batch) -> tuple[Tensor, Tensor]:
        losses, logits = super().step(state, batch)
        type(self).seen = batch, logits
        return losses, logits


def by_hand(images: ImageArrays, number: int, corner: list[int], flipped: bool) -> Tensor:
    """Process one image (3, H, W): pad with black, crop, mirror, scale, normalise."""
    padded = torch.zeros(1, SIDE + 2 * PADDING, SIDE + 2 * PADDING)
    padded[:, PADDING:-PADDING, PADDING:-PADDING] = images.images[number] / 255
    row, column = corner
    window = padded[:, row : row + SIDE, column : column + SIDE]
    window = window.flip(2) if flipped else window
    return (window.expand(3, -1, -1) - images.mean.view(3, 1, 1)) / images.std.view(3, 1, 1)


@pytest.mark.parametrize("flip", [True, False])
def test_images_are_those_drawn_and_hits_are_counted(flip: bool) -> None:
    group = group_of(replace(TINY, flip=flip, strategy=f"{__name__}:Noting"), images=7)
    group.start_epoch(0)
    for step, size in enumerate(group.sizes):
        group.step(0, step)
        batch, logits = Noting.seen
        for seed, run in enumerate(group.runs):
            drawn = draw_epoch(run.config, group.strategy, run.trained, run.held_out, 0, cells=1)
            order, corners, flips = (drawn[name][step] for name in ("order", "corners", "flips"))
            for index in range(size):
                wanted = by_hand(group.images, int(order[index]), corners[:, index].tolist(), bool(flips[index]))
                torch.testing.assert_close(batch.images[seed, index], wanted)
            right = (logits[seed].argmax(dim=1) == group.images.labels[order[:size]]).sum()
            assert group.tables.hits[seed, step] == right
        assert batch.images.shape[1] == size
    accuracies = [row["train_accuracy"] for row in group.finish_epoch(0) if isinstance(row, dict)]
    assert accuracies == pytest.approx((100 * group.tables.hits.sum(dim=1) / 7).tolist())


def test_held_out_images_are_augmented_anew_in_each_step_and_epoch() -> None:
    config = replace(CONFIG, strategy="darts-first-order", crop_padding=4)
    strategy, images = make_strategy(config, SMALL), images_of(24)
    half = torch.arange(len(images)).chunk(2)
    first, second = (draw_epoch(config, strategy, *half, epoch, cells=3) for epoch in (0, 1))
    for name in ("held_out_order", "held_out_corners", "held_out_flips"):
        seen = [*first[name], *second[name]]
        assert len({tuple(values.flatten().tolist()) for values in seen}) > len(seen) // 2, name
        assert not torch.equal(first[name], second[name]), name
