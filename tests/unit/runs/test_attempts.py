"""Attempts: their working time, and the error that ends a series of attempts without progress."""

import os
import time

import pytest

from dropnas.errors import DropnasError
from dropnas.runs.attempts import Attempts, read


def checkpoint(scratch, number):
    (scratch / f"checkpoint-{number:08d}.pt").write_bytes(b"a state")


def begun(scratch):
    attempt = Attempts(scratch)
    attempt.begin()
    return attempt


def stopped(scratch, saves=None):
    """An attempt that is asked to stop, before or after it saved something."""
    attempt = begun(scratch)
    if saves is not None:
        checkpoint(scratch, saves)
    attempt.stopped()


@pytest.mark.parametrize("before", [None, 5])
def test_the_second_stop_in_a_row_without_progress_is_an_error(tmp_path, before):
    if before is not None:
        checkpoint(tmp_path, before)
    stopped(tmp_path)
    with pytest.raises(DropnasError, match="no progress") as error:
        stopped(tmp_path)
    assert str(tmp_path) in str(error.value) and "runtime_minutes" in error.value.remedy


def test_a_new_start_after_that_error_may_try_again(tmp_path):
    stopped(tmp_path)
    with pytest.raises(DropnasError):
        stopped(tmp_path)
    stopped(tmp_path)


def test_an_attempt_that_saved_something_resets_the_count(tmp_path):
    for number in (None, 1, None, 2, 3, None, 4):
        stopped(tmp_path, saves=number)


def test_kills_without_a_signal_never_count(tmp_path):
    for _ in range(5):
        begun(tmp_path)  # no file changes after that
    stopped(tmp_path)
    begun(tmp_path)
    stopped(tmp_path)


def test_a_kill_after_a_signal_and_before_a_save_counts(tmp_path):
    """The series ends when the third attempt begins, because the first two could not report anything."""
    for _ in range(2):
        begun(tmp_path).warned()
    with pytest.raises(DropnasError, match="no progress"):
        begun(tmp_path)
    begun(tmp_path)


@pytest.mark.parametrize("content", [b"", b"[", b"{}", b"[1, 2]", b'[{"started": "x"}]', bytes(300), b"\xff\xfe"])
def test_a_damaged_log_stops_nothing(tmp_path, content):
    (tmp_path / "attempts.json").write_bytes(content)
    assert read(tmp_path) == []
    assert begun(tmp_path).seconds == 0
    assert len(read(tmp_path)) == 1


def test_seconds_end_at_the_last_change_of_a_file(tmp_path):
    first = begun(tmp_path)
    checkpoint(tmp_path, 1)
    for path in tmp_path.iterdir():
        os.utime(path, (first.own.started + 50,) * 2)
    (tmp_path / "dangling").symlink_to("nowhere")
    assert begun(tmp_path).seconds == pytest.approx(50, abs=1)
    assert time.time() - read(tmp_path)[-1].started < 60
