"""What every strategy must do, whatever its method: recorded, interrupted and in a group it gives the same numbers."""

from collections.abc import Sequence

import pytest
import torch

from dropnas.search.config import SearchConfig
from dropnas.search.seed_group import SeedGroup
from dropnas.search.strategy import Batch
from dropnas.training.rehearsal import Rehearsal
from tests.unit.search.groups import assert_equal, assert_near, group_of, resumed, train, values


def batches_seen(group: SeedGroup, monkeypatch: pytest.MonkeyPatch) -> list[Batch]:
    """The batches that the strategy sees from now on."""
    seen, step = list[Batch](), group.strategy.step

    def noting(state: object, batch: Batch) -> object:
        seen.append(batch)
        return step(state, batch)  # type: ignore[arg-type]

    monkeypatch.setattr(group.strategy, "step", noting)
    return seen


def assert_recorded_is_plain(config: SearchConfig, epochs: int, images: int = 14) -> SeedGroup:
    """Replayed from recordings a group has the bits of the plain way; gives the group that was recorded."""
    ours, theirs = (group_of(config, images=images, recorder=recorder) for recorder in (Rehearsal(), None))
    for group in (ours, theirs):
        train(group, last=epochs * group.steps_per_epoch)
    assert_equal(ours, theirs)
    return ours


def assert_resumes(config: SearchConfig, stops: Sequence[int], last: int, images: int = 14) -> None:
    """Killed after any of these steps and resumed, a search ends with the bits of one that was left alone."""
    straight, first = (group_of(config, images=images) for _ in range(2))
    train(straight, last=last)
    begun = 0
    for stop in stops:
        train(first, first=begun, last=stop)
        begun = stop
        second = resumed(group_of(config, images=images), first.state_dicts(), stop)
        train(second, first=stop, last=last)
        assert_equal(second, straight)


def assert_group_is_alone(config: SearchConfig, last: int, images: int = 7) -> None:
    """Each seed of a group has the numbers that it has alone; in double precision."""
    assert torch.get_default_dtype() == torch.float64
    seeds = (3, 5)
    together = group_of(config, seeds, images=images)
    train(together, last=last)
    for index, seed in enumerate(seeds):
        alone = group_of(config, [seed], images=images)
        train(alone, last=last)
        assert_near(values(alone, 0), values(together, index))
