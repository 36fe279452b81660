"""The choice of runs that continue as one group, from real checkpoints."""

import random
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dropnas.errors import DropnasError
from dropnas.training.checkpoint import Checkpoints, CheckpointState, common_checkpoint, position
from dropnas.training.loop import train
from dropnas.workspace import Workspace, silent
from tests.unit.training.test_training_loop import EPOCHS, Regression, same, train_one

HISTORIES = st.lists(st.lists(st.integers(1, 6), max_size=4, unique=True).map(sorted), min_size=1, max_size=5)


def state(step: int) -> CheckpointState:
    return {"epoch": 0, "step": step, "made_on": "cpu"}


def saved(folder: Path, steps: Sequence[int]) -> Checkpoints:
    checkpoints = Checkpoints(folder, "run", silent)
    for step in steps:
        checkpoints.save(state(step))
    return Checkpoints(folder, "run", silent)


@settings(max_examples=40, deadline=None)
@given(HISTORIES)
def test_the_runs_behind_continue_with_those_one_checkpoint_ahead(histories: list[list[int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = common_checkpoint([saved(Path(folder, str(index)), steps) for index, steps in enumerate(histories)])
    full = [[0, *steps] for steps in histories]  # the start counts as a position, too
    least = min(steps[-1] for steps in full)
    assert list(found) == [index for index, steps in enumerate(full) if least in steps[-2:]]
    assert {position(one)[1] for one in found.values()} == {least}
    assert all((one is None) == (least == 0) for one in found.values())


@settings(max_examples=40, deadline=None)
@given(HISTORIES)
def test_all_are_trained_if_each_group_is_trained_to_the_end(histories: list[list[int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        left = {index: Path(folder, str(index)) for index in range(len(histories))}
        for index, steps in enumerate(histories):
            saved(left[index], steps)
        while left:
            keys = list(left)
            group = common_checkpoint([Checkpoints(left[key], "run", silent) for key in keys])
            assert group
            for index in group:
                del left[keys[index]]


def test_a_group_that_goes_back_by_one_keeps_later_checkpoints_until_the_next(tmp_path: Path) -> None:
    """If they are killed before that, all runs keep their positions."""
    ahead, behind = saved(tmp_path / "ahead", [1, 2]), saved(tmp_path / "behind", [1])
    assert list(common_checkpoint([ahead, behind])) == [0, 1]
    assert [position(one)[1] for one in Checkpoints(tmp_path / "ahead", "run", silent).states()] == [2, 1, 0]
    ahead.save(state(3))
    assert [position(one)[1] for one in Checkpoints(tmp_path / "ahead", "run", silent).states()] == [3, 1, 0]


def test_runs_made_on_other_devices_continue_separately(tmp_path: Path) -> None:
    first, second = saved(tmp_path / "first", []), saved(tmp_path / "second", [])
    first.save({**state(1), "made_on": "cuda"})
    second.save(state(1))
    assert len(common_checkpoint([first, second])) == 1


class Regressions:
    """Train ordinary trainees, step by step."""

    stopped = False

    def __init__(self, members: Sequence[Regression]) -> None:
        self.members, self.steps_per_epoch = members, members[0].steps_per_epoch

    def start_epoch(self, epoch: int) -> None:
        for member in self.members:
            member.start_epoch(epoch)

    def step(self, epoch: int, step: int) -> Tensor:
        return torch.cat([member.step(epoch, step) for member in self.members])

    def finish_epoch(self, epoch: int) -> list[dict[str, float | int | None] | DropnasError]:
        return [member.finish_epoch(epoch)[0] for member in self.members]

    def state_dicts(self) -> list[CheckpointState]:
        return [member.state_dicts()[0] for member in self.members]

    def load_state_dicts(self, states: Sequence[CheckpointState]) -> None:
        for member, one in zip(self.members, states, strict=True):
            member.load_state_dicts([one])


class Quiet(Regression):
    """A trainee without draws from the global generators, which several in one process would share."""

    def __init__(self, seed: int, spoiled_at: tuple[int, int] | None = None) -> None:
        super().__init__(spoiled_at)
        self.seed = seed

    def step(self, epoch: int, step: int) -> Tensor:
        torch.manual_seed(1000 * self.seed + 100 * epoch + step)
        random.seed(step)
        np.random.seed(step)
        return super().step(epoch, step)


def spaces(folder: Path, count: int, lines: list[str] | None = None, interval: float = 0.0) -> list[Workspace]:
    tell = silent if lines is None else lines.append
    return [Workspace(folder / str(at), f"run{at}", checkpoint_seconds=interval, progress=tell) for at in range(count)]


def test_each_run_of_a_group_has_the_rows_and_checkpoints_of_a_run_alone(tmp_path: Path) -> None:
    rows = train(Regressions([Quiet(0), Quiet(1)]), EPOCHS, spaces(tmp_path / "together", 2))
    for seed, workspace in enumerate(spaces(tmp_path / "alone", 2)):
        assert train_one(Quiet(seed), workspace) == rows[seed]
        alone, together = (
            next(Checkpoints(tmp_path / way / str(seed), f"run{seed}", silent).states())
            for way in ("alone", "together")
        )
        assert alone is not None and together is not None
        assert same({**alone, "random": None}, {**together, "random": None})


@pytest.mark.parametrize("places", [(0, 0), (2, 7), (EPOCHS - 1, Regression.steps_per_epoch - 1)])
@pytest.mark.parametrize("interval", [0.0, 300.0])
def test_a_run_that_is_not_finite_ends_alone(tmp_path: Path, places: tuple[int, int], interval: float) -> None:
    lines: list[str] = []
    group = Regressions([Quiet(0), Quiet(1, spoiled_at=places), Quiet(2)])
    found = train(group, EPOCHS, spaces(tmp_path, 3, lines, interval))
    assert isinstance(found[1], DropnasError) and found[1].where == f"epoch {places[0] + 1}, step {places[1] + 1}"
    expected = [train_one(Quiet(seed), spaces(tmp_path / "alone", 3)[seed]) for seed in (0, 2)]
    assert [found[0], found[2]] == expected
    assert sum("fails: " in line for line in lines) == 1
    last = next(Checkpoints(tmp_path / "1", "run1", silent).states())
    assert last is None or position(last)[:2] <= places


def test_if_all_runs_have_failed_nothing_more_is_trained(tmp_path: Path) -> None:
    first, second = Quiet(0, spoiled_at=(0, 3)), Quiet(1, spoiled_at=(1, 2))
    found = train(Regressions([first, second]), EPOCHS, spaces(tmp_path, 2))
    assert [str(one.where) for one in found if isinstance(one, DropnasError)] == ["epoch 1, step 4", "epoch 2, step 3"]


def test_runs_at_different_steps_are_refused(tmp_path: Path) -> None:
    train_one(Quiet(0), spaces(tmp_path, 2)[0])
    with pytest.raises(DropnasError, match="different steps"):
        train(Regressions([Quiet(0), Quiet(1)]), EPOCHS, spaces(tmp_path, 2))
