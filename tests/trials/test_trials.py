"""A seeded part of each trial, which `make trials` runs in full.

No test depends on timing: the moment of a kill decides what it interrupts, but never whether the run ends correctly.
`python -m tests.trials.kills` counts the interrupted writes and the repeated work.
"""

from pathlib import Path

import pytest

from tests.trials import damage, full_disk, kills, stops
from tests.trials.bench import Run

pytestmark = pytest.mark.trial
MINUTES = 60  # more than any machine needs


def test_killed_runs_end_as_if_left_alone(runs: dict[str, Run], tmp_path: Path) -> None:
    found = kills.trial(runs, tmp_path, count=4, seed=1, minutes=MINUTES)
    assert not found.mismatches and found.kills.total() == 4 and found.runs, str(found)


def test_damaged_checkpoints_are_named_and_skipped(runs: dict[str, Run], tmp_path: Path) -> None:
    found = damage.trial(runs, tmp_path, count=9, seed=1, minutes=MINUTES)
    assert found.faults == [] and found.cases.total() == 9


def test_a_full_disk_is_reported_and_loses_nothing(runs: dict[str, Run], tmp_path: Path) -> None:
    if reason := full_disk.missing():
        pytest.skip(reason)
    found = full_disk.trial(runs, tmp_path, count=6, seed=1, minutes=MINUTES)
    assert found.faults == [] and found.full.total() >= 3


def test_a_stopped_start_saves_and_says_how_to_go_on(tmp_path: Path) -> None:
    found = stops.trial(tmp_path, count=3, seed=1)
    assert found.faults == [] and found.stops.total() == 3, str(found)
