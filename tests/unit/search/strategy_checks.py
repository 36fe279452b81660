"""Requirements on every strategy: recorded, interrupted or in a group, it gives the same numbers."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import torch

from dropnas.search.config import SearchConfig
from dropnas.search.seed_group import SeedGroup
from dropnas.space.spaces import SearchSpace
from dropnas.training.rehearsal import Rehearsal
from tests.unit.search.groups import SIDE, SMALL, assert_equal, assert_near, group_of, resumed, train, values

IMAGES = 14  # for two-level methods, seven train w and seven are held out: two steps per epoch


def assert_replays(
    config: SearchConfig, last: int, seeds: Sequence[int] = (3, 5), images: int = IMAGES, space: SearchSpace = SMALL
) -> SeedGroup:
    """Check that a group replayed from recordings, as on a GPU, has the bits of the plain way; return it."""
    static = replace(config, group_seeds=True)
    ours, theirs = (group_of(static, seeds, space, images, recorder) for recorder in (Rehearsal(), None))
    for group in (ours, theirs):
        train(group, last)
    assert_equal(ours, theirs)
    assert all(programs.replays for programs in ours.programs.values())
    return ours


def assert_resumes(
    config: SearchConfig,
    stops: Sequence[int],
    last: int,
    seeds: Sequence[int] = (3,),
    images: int = IMAGES,
    space: SearchSpace = SMALL,
) -> None:
    """Check that a group killed after each of these numbers of steps, ascending, continues to the bit."""
    straight, killed = (group_of(config, seeds, space, images) for _ in range(2))
    for first, stop in pairwise((0, *stops)):
        train(straight, stop, first)
        train(killed, stop, first)
        assert_equal(killed, straight)
        killed = resumed(group_of(config, seeds, space, images), killed.state_dicts(), stop)
    for group in (straight, killed):
        train(group, last, first=stops[-1])
    assert_equal(killed, straight)


def assert_seeds_do_not_mix(
    config: SearchConfig, last: int, images: int = IMAGES, space: SearchSpace = SMALL, side: int = SIDE
) -> None:
    """Check that two seeds in a group equal single seeds up to rounding, in double precision."""
    assert torch.get_default_dtype() == torch.float64
    group = group_of(config, (3, 5), space, images, side=side)
    train(group, last)
    for index, seed in enumerate((3, 5)):
        single = group_of(config, (seed,), space, images, side=side)
        train(single, last)
        assert_near(values(single, 0), values(group, index))
