"""A seeded part of each trial; `make trials` makes them whole."""

from pathlib import Path

import pytest

from tests.trials import damage, full_disk, kills

pytestmark = pytest.mark.trial


def test_killed_runs_end_as_if_left_alone(tmp_path: Path) -> None:
    found = kills.trial(tmp_path, count=6, seed=1, minutes=5)
    assert found.faults(6) == [], str(found)


def test_damaged_checkpoints_are_named_and_left_out(tmp_path: Path) -> None:
    found = damage.trial(tmp_path, count=12, seed=1, minutes=5)
    assert found.faults == [] and found.cases.total() == 12


def test_a_full_disk_is_told_and_loses_nothing(tmp_path: Path) -> None:
    if reason := full_disk.missing():
        pytest.skip(reason)
    found = full_disk.trial(tmp_path, count=12, seed=1, minutes=5)
    assert found.faults == [] and found.full.total() >= 6
