"""Searches replayed from recordings on a CPU, with the events of a GPU, always have the bits of the plain way."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from dropnas.errors import DropnasError
from dropnas.search.config import FIRST_ORDER, SECOND_ORDER, SearchConfig
from dropnas.search.memory import fitting_by_peaks
from dropnas.search.seed_group import SeedGroup
from dropnas.search.strategies.grouped_dropout import GroupedDropout
from dropnas.search.strategy import Batch
from dropnas.training.rehearsal import Rehearsal
from tests.unit.search.groups import SMALL, TINY, assert_equal, group_of, resumed, train
from tests.unit.search.strategy_checks import assert_resumes

STATIC = replace(TINY, group_seeds=True)  # so that the plain way, too, computes all operations
SEEDS = {1: (3,), 2: (3, 5), 3: (3, 5, 8)}


def both(config: SearchConfig, **changes: Any) -> tuple[SeedGroup, SeedGroup]:
    return group_of(config, recorder=Rehearsal(), **changes), group_of(config, **changes)


@pytest.mark.parametrize("seeds", [1, 2, 3])
@pytest.mark.parametrize("images", [4, 7, 8, 12, 19])  # 1, 2, 2, 3 and 5 steps an epoch; the last one of 4 or 3 images
def test_any_epoch_is_the_plain_one(seeds: int, images: int) -> None:
    ours, theirs = both(STATIC, seeds=SEEDS[seeds], images=images)
    for group in (ours, theirs):
        train(group, last=2 * group.steps_per_epoch)
    assert_equal(ours, theirs)


@pytest.mark.parametrize("stopped", range(5))
def test_resumed_at_any_step_of_an_epoch_it_is_the_plain_one(stopped: int) -> None:
    """Near the end of an epoch, fewer steps are left than a warm-up makes."""
    first, straight = (group_of(STATIC, images=19) for _ in range(2))
    first.start_epoch(0)
    train(first, last=stopped)
    ours = resumed(group_of(STATIC, images=19, recorder=Rehearsal()), first.state_dicts(), stopped)
    train(ours, first=stopped, last=10)
    train(straight, last=10)
    assert_equal(ours, straight)


@pytest.mark.parametrize("strategy", [FIRST_ORDER, SECOND_ORDER, "one-level-darts"])
def test_other_methods_too(strategy: str) -> None:
    ours, theirs = both(replace(STATIC, strategy=strategy, options={}), images=14)
    for group in (ours, theirs):
        train(group, last=2 * group.steps_per_epoch)
    assert_equal(ours, theirs)


@pytest.mark.parametrize(
    ("strategy", "options", "steps"),
    [
        ("warm_dropout.strategy:WarmDropout", {"warm_part": 0.5}, 4),
        ("halving.strategy:Halving", {"added_cells": 1}, 6),  # the third epoch is in its second phase
    ],
)
def test_a_strategy_of_the_users(
    strategy: str, options: dict[str, Any], steps: int, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.syspath_prepend(str(request.config.rootpath / "tests/example"))
    ours, theirs = both(replace(STATIC, strategy=strategy, options=options, epochs=2))
    for group in (ours, theirs):
        train(group, last=steps)
    assert_equal(ours, theirs)
    assert len(ours.programs) == 1 and ours.programs[""].replays
    assert_resumes(replace(ours.config, group_seeds=False), range(1, steps), steps, images=7)


IMPORTS = """
import torch
from torch import Tensor
from dropnas.search.state import SearchState
from dropnas.search.strategy import Batch, Strategy
from dropnas.space.spaces import EDGES

"""


def test_the_method_of_the_documentation(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    blocks = (request.config.rootpath / "docs/extending.md").read_text().split("```python")
    (method,) = (block.partition("```")[0] for block in blocks if "class NoisyMixture" in block)
    (tmp_path / "noisy_mixture.py").write_text(IMPORTS + method)
    monkeypatch.syspath_prepend(str(tmp_path))
    ours, theirs = both(replace(STATIC, strategy="noisy_mixture:NoisyMixture", options={}))
    for group in (ours, theirs):
        train(group, last=2 * group.steps_per_epoch)
    assert_equal(ours, theirs)


class Looking(GroupedDropout):
    """A strategy whose step asks the host."""

    def step(self, state: Any, batch: Batch) -> Any:
        if bool(batch.drawn["cells"].all()):
            return super().step(state, batch)
        return super().step(state, batch)


def test_a_strategy_that_reads_values_is_refused_in_one_line() -> None:
    group = group_of(replace(STATIC, strategy=f"{__name__}:Looking"), recorder=Rehearsal())
    with pytest.raises(DropnasError, match=r"cannot be recorded as a CUDA graph: .* reads a value back") as raised:
        train(group, last=1)
    assert "\n" not in str(raised.value)


GIB = 2**30


def fit(free: float, peaks: list[int | None], images: int = 7) -> tuple[int, list[SeedGroup]]:
    """The number of searches that fit if the probes have these peaks, and the groups that were tried."""
    configs, made = [replace(STATIC, seed=seed) for seed in range(4)], list[SeedGroup]()

    def make(chosen: Any) -> SeedGroup:
        made.append(group_of(STATIC, [config.seed for config in chosen], SMALL, images, Rehearsal()))
        return made[-1]

    def peak(work: Callable[[], None]) -> int | None:
        work()
        return peaks.pop(0)

    return fitting_by_peaks(free, configs, make, peak), made


def test_the_memory_probe_runs_both_programs_of_an_epoch() -> None:
    count, made = fit(10.5 * GIB, [2 * GIB, 3 * GIB])
    assert count == 9 and [len(group.runs) for group in made] == [1, 2]
    for group in made:
        assert sorted(group.programs[""].replays) == [3, 4]
        assert torch.isfinite(group.tables.losses).all() and (group.tables.losses > 0).all()


def test_an_epoch_of_one_step_can_be_probed() -> None:
    assert fit(10 * GIB, [2 * GIB, 3 * GIB], images=4)[0] == 9


@pytest.mark.parametrize("peaks", [[11 * GIB, None], [None, None]])
def test_a_gpu_too_small_for_one_search_is_one_clear_line(peaks: list[int | None]) -> None:
    with pytest.raises(DropnasError, match=r"one search does not fit into the 10.0 GiB .* smaller batch_size"):
        fit(10 * GIB, peaks)


def test_where_two_do_not_fit_one_is_trained() -> None:
    assert fit(10 * GIB, [9 * GIB, None])[0] == 1
