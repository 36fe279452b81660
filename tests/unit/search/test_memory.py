"""How many searches fit: the estimated memory of a step compared with that of a whole batch, and the bound."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from dropnas.data.arrays import ImageArrays
from dropnas.search import memory
from dropnas.search.config import SearchConfig
from dropnas.search.memory import fitting
from dropnas.search.stage import even_part, new_group
from dropnas.workspace import Workspace

CONFIG = SearchConfig(cells=3, channels=4, batch_size=32)
MIB = 2**20


def images_of(device: str = "cpu") -> ImageArrays:
    pixels = torch.zeros((64, 3, 16, 16), dtype=torch.uint8, device=device)
    mean, std = (torch.full((3,), 0.5, device=device) for _ in range(2))
    return ImageArrays(pixels, torch.arange(64, device=device) % 5, 5, mean, std)


def test_a_few_images_show_what_a_batch_keeps() -> None:
    whole = memory._kept(CONFIG, images_of())
    assert memory._needed(CONFIG, images_of()) == pytest.approx(whole, rel=0.02)


def test_a_search_of_phases_needs_what_the_largest_of_them_does() -> None:
    needed = {
        cells: memory._needed(replace(CONFIG, strategy="stacnas", options={"added_cells": cells}), images_of())
        for cells in (0, 6)
    }
    assert needed[6] > 1.5 * needed[0]


def test_a_two_level_search_has_a_batch_for_each_level() -> None:
    assert memory._needed(replace(CONFIG, strategy="darts-first-order"), images_of()) > 0


def test_more_memory_and_smaller_batches_hold_more_seeds() -> None:
    def fit(memory_mb: int, batch_size: int = 32) -> int:
        space = Workspace(Path(), "run", memory_mb=memory_mb)
        return fitting([replace(CONFIG, batch_size=batch_size)], images_of(), space, new_group)

    assert fit(1) == 1  # it must continue, as a single search does
    assert fit(2 * 10**5) > 1.8 * fit(10**5) > 3
    assert fit(10**5, batch_size=16) > 1.5 * fit(10**5)


@pytest.mark.parametrize(
    ("count", "most", "part"), [(5, 3, 3), (5, 4, 3), (8, 8, 8), (8, 100, 8), (9, 8, 5), (3, 1, 1)]
)
def test_parts_are_of_equal_size(count: int, most: int, part: int) -> None:
    assert even_part(count, most) == part
