"""Every registered method, including new ones, continues if it is killed before any step."""

from dataclasses import replace
from typing import Any

import pytest

from dropnas.search.config import PRESETS, Scalar
from dropnas.search.methods import METHODS
from dropnas.search.seed_group import SeedGroup
from dropnas.space.spaces import ORIGINAL
from tests.unit.search.groups import CONFIG, SMALL, assert_equal, group_of
from tests.unit.search.strategy_checks import IMAGES

EPOCHS = {"p-darts": 2, "stacnas": 2, "proxylessnas": 4}  # of each phase; other methods have three
OPTIONS: dict[str, dict[str, Scalar]] = {  # for short searches that still train the alphas
    "p-darts": {"added_cells_2": 0, "added_cells_3": 0, "skip_dropout_1": 0.1},
    "stacnas": {"added_cells": 0},
    "proxylessnas": {"held_out": 0.5, "alpha_every": 1},
    "asap": {"threshold": 0.99},
    "random-weight-sharing": {"architectures": 3, "finalists": 2, "batches": 1, "short": "all"},
}


OTHERS = sorted({*PRESETS} - {"dropnas"})  # the same class with other options


def new_group(name: str) -> SeedGroup:
    changes: dict[str, Any] = {"epochs": EPOCHS.get(name, 3), "options": OPTIONS.get(name, {})}
    config = replace(CONFIG, strategy=name, cells=1, channels=4 if name == "pc-darts" else 2, **changes)
    return group_of(config, (3,), ORIGINAL if name in ("p-darts", "stacnas") else SMALL, IMAGES)


def continued(killed: SeedGroup, name: str, epoch: int) -> SeedGroup:
    """Another process continues like the loop, from the first or any later step of an epoch."""
    found = new_group(name)
    found.start_epoch(epoch)
    found.load_state_dicts(killed.state_dicts())
    return found


@pytest.mark.parametrize("name", [name for name in METHODS if name not in OTHERS])
def test_killed_before_each_step_it_continues_to_the_bit(name: str) -> None:
    """The same at any step, for example at the start of a phase or of the alphas' training, or in the selection."""
    straight, killed = new_group(name), new_group(name)
    for epoch in range(straight.epochs):
        straight.start_epoch(epoch)
        killed.start_epoch(epoch)
        for step in range(straight.steps_per_epoch):
            killed = continued(killed, name, epoch)
            assert straight.step(epoch, step).tolist() == killed.step(epoch, step).tolist()
        assert straight.finish_epoch(epoch) == killed.finish_epoch(epoch)
        assert straight.stopped == killed.stopped
    last = new_group(name)  # killed after its last epoch
    last.load_state_dicts(killed.state_dicts())
    assert_equal(straight, last)
    assert end_of(straight) == end_of(last)


def end_of(group: SeedGroup) -> tuple[Any, Any]:
    """The results that are written in addition to the tensors."""
    return group.strategy.derive(group.runs[0]), group.strategy.results(group.runs[0])
