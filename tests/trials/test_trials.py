"""A seeded part of each trial; `make trials` makes them whole."""

from pathlib import Path

import pytest

from tests.trials import damage, full_disk, kills
from tests.trials.bench import Run

pytestmark = pytest.mark.trial


def test_killed_runs_end_as_if_left_alone(runs: dict[str, Run], tmp_path: Path) -> None:
    found = kills.trial(runs, tmp_path, count=4, seed=1, minutes=5)
    assert not found.mismatches and found.kills.total() == 4 and found.resumes, str(found)
    assert max(found.twice) <= kills.INTERVAL + kills.SLACK


def test_damaged_checkpoints_are_named_and_left_out(runs: dict[str, Run], tmp_path: Path) -> None:
    found = damage.trial(runs, tmp_path, count=9, seed=1, minutes=5)
    assert found.faults == [] and found.cases.total() == 9


def test_a_full_disk_is_told_and_loses_nothing(runs: dict[str, Run], tmp_path: Path) -> None:
    if reason := full_disk.missing():
        pytest.skip(reason)
    found = full_disk.trial(runs, tmp_path, count=6, seed=1, minutes=5)
    assert found.faults == [] and found.full.total() >= 3
