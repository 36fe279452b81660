"""A scheduler's stop signal to the real commands: they save, end with status 75, and resume to the same bytes."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dropnas.training.signals import EXIT_STOPPED
from tests.trials.bench import HELD, Bench, Command, Run

pytestmark = pytest.mark.trial
BEGUN = (": begins with", ": continues from")


def group(command: Command, number: int) -> None:
    """Send a signal to each process of the job, as a scheduler does."""
    os.killpg(command.process.pid, number)


def alone(command: Command, number: int) -> None:
    os.kill(command.process.pid, number)


WARNINGS = [(signal.SIGUSR1, alone), (signal.SIGTERM, group), (signal.SIGURG, group)]


def finish(bench: Bench, *options: str) -> str:
    command = Command([*bench.arguments, *options])
    assert command.wait() == 0, command.text
    assert bench.differences() == []
    return command.text


@pytest.mark.parametrize(("number", "send"), WARNINGS)
def test_a_warned_transfer_saves_and_goes_on(
    runs: dict[str, Run], tmp_path: Path, number: int, send: Callable[[Command, int], None]
) -> None:
    """The process that decodes images must not die of the signal before the training has saved."""
    run = runs["transfer"]
    decoding = {**run.spec, "machine": {**run.spec["machine"], "workers": 1}}
    bench = Run(decoding, run.done).bench(tmp_path / "store", 300.0)
    command = Command(bench.arguments, hold=1)  # each epoch starts a decoding process
    assert command.wait_for(HELD), command.text
    for _ in range(3):  # the scheduler, the container and the workflow each forward it
        send(command, number)
        time.sleep(0.01)
    assert command.wait() == EXIT_STOPPED, command.text
    assert "the state is saved" in command.lines[-1][1] and "error: " not in command.text
    assert ": continues from a checkpoint at epoch 2" in finish(bench)


def test_an_attempt_without_progress_ends_the_series(runs: dict[str, Run], tmp_path: Path) -> None:
    """One signal before the training begins is accepted; two in a row are an error, after which a user may retry."""
    bench, statuses = runs["search"].bench(tmp_path / "store", 300.0), []
    for _ in range(2):
        command = Command(bench.arguments, hold="start")
        assert command.wait_for(HELD), command.text
        alone(command, signal.SIGTERM)
        statuses.append(command.wait())
    assert statuses == [EXIT_STOPPED, 1], command.text
    assert command.lines[-1][1].startswith("error: search ") and "no progress" in command.lines[-1][1]
    assert "Traceback" not in command.text
    finish(bench)


def test_kills_without_a_signal_are_no_series(runs: dict[str, Run], tmp_path: Path) -> None:
    bench = runs["search"].bench(tmp_path / "store", 300.0)
    for _ in range(2):
        command = Command(bench.arguments)
        assert command.wait_for(*BEGUN)
        group(command, signal.SIGKILL)
        command.wait()
    finish(bench)


def together(bench: Bench, hold: int | None = None) -> Command:
    return Command([*bench.arguments, "--processes", "2"], hold)


@pytest.fixture(scope="module")
def by_two(runs: dict[str, Run], tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The undisturbed transfer by two processes, whose rounding differs from that of one process."""
    root = tmp_path_factory.mktemp("two") / "store"
    bench = runs["transfer"].bench(root, 300.0)
    command = together(bench)
    assert command.wait() == 0, command.text
    return Run(runs["transfer"].spec, root)


@pytest.mark.parametrize(("number", "send"), WARNINGS)
def test_two_processes_are_stopped_as_one(
    by_two: Run, tmp_path: Path, number: int, send: Callable[[Command, int], None]
) -> None:
    bench = by_two.bench(tmp_path / "store", 300.0)
    command = together(bench, hold=1)
    assert command.wait_for(HELD), command.text
    send(command, number)
    assert command.wait() == EXIT_STOPPED, command.text
    assert list(bench.scratch.glob("checkpoint-*.pt")) and not bench.published
    assert ": continues from a checkpoint at epoch 2" in finish(bench, "--processes", "2")


def test_two_processes_of_which_one_is_killed_end_with_an_error_and_go_on(by_two: Run, tmp_path: Path) -> None:
    bench = by_two.bench(tmp_path / "store", 0.2)
    command = together(bench, hold=1)
    assert command.wait_for(HELD), command.text
    children = Path(f"/proc/{command.process.pid}/task/{command.process.pid}/children").read_text().split()
    os.kill(int(children[-1]), signal.SIGKILL)
    assert command.wait() == 1, command.text
    finish(bench, "--processes", "2")
