"""The loop with a small real trainee: resumed, killed, stopped or failing, compared with an undisturbed run."""

import math
import multiprocessing
import os
import random
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dropnas.artifacts.metrics_file import Row
from dropnas.errors import DropnasError
from dropnas.training import signals
from dropnas.training.loop import rows_of, train
from dropnas.training.seeding import generator, seed_global_generators
from dropnas.workspace import Workspace

EPOCHS, STEPS = 4, 12
FORK = multiprocessing.get_context("fork")  # a real process, without the seconds that starting torch takes


class Regression:
    """A small network with batch norm, momentum, noise, and sums within the epoch."""

    steps_per_epoch = STEPS
    stopped = False

    def __init__(self, spoiled_at: tuple[int, int] | None = None) -> None:
        self.network = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 1))
        for parameter in self.network.parameters():
            nn.init.normal_(parameter, generator=generator(0, "weights", parameter.numel()))
        self.optimizer = torch.optim.SGD(self.network.parameters(), lr=0.05, momentum=0.9)
        self.noise, self.sum = generator(0, "noise"), torch.zeros(())
        self.spoiled_at = spoiled_at

    def start_epoch(self, epoch: int) -> None:
        self.order = torch.randperm(STEPS, generator=generator(0, "order", epoch))
        self.noise, self.sum = generator(0, "noise", epoch), torch.zeros(())

    def step(self, epoch: int, step: int) -> Tensor:
        inputs = torch.randn(16, 6, generator=generator(0, "inputs", int(self.order[step])))
        inputs += 0.1 * torch.randn(16, 6, generator=self.noise)
        inputs += 0.1 * torch.rand(16, 6) + 0.1 * random.random() * np.random.rand()  # like a user's own code
        loss = (self.network(inputs) - inputs.sum(1, keepdim=True)).square().mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.sum = self.sum + loss.detach()
        return torch.full((1,), math.nan) if (epoch, step) == self.spoiled_at else loss.detach()[None]

    def finish_epoch(self, epoch: int) -> list[Row | DropnasError]:
        return [{"train_loss": float(self.sum) / STEPS}]

    def state_dicts(self) -> list[dict[str, Any]]:
        state = {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "noise": self.noise.get_state(),
            "sum": self.sum,
        }
        return [state]

    def load_state_dicts(self, states: Sequence[dict[str, Any]]) -> None:
        (state,) = states
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.noise.set_state(state["noise"])
        self.sum = state["sum"]


def workspace(folder: Path, lines: list[str] | None = None, interval: float = 300.0) -> Workspace:
    progress = lines.append if lines is not None else print
    return Workspace(folder / "scratch", "abc123", checkpoint_seconds=interval, progress=progress)


def train_one(trainee: Regression, space: Workspace, epochs: int = EPOCHS) -> list[Row]:
    """Train to the end; raise the run's error."""
    (result,) = train(trainee, epochs, [space])
    return rows_of(result)


def finish(folder: Path, interval: float = 300.0) -> tuple[list[Row], list[dict[str, Any]]]:
    seed_global_generators(1)
    trainee = Regression()
    return train_one(trainee, workspace(folder, interval=interval)), trainee.state_dicts()


def in_a_process(work: Callable[[], object]) -> int:
    """Run in a separate process; return its exit code."""
    process = FORK.Process(target=work)
    process.start()
    process.join()
    return process.exitcode or 0


def finish_into_file(folder: Path, killed_at: int = -1) -> None:
    """Train in a process that is killed with SIGKILL when it has called this many functions."""
    made = count()

    def watch(*event: object) -> None:
        if next(made) == killed_at:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(watch)
    ended = finish(folder, interval=0.0)
    sys.setprofile(None)
    torch.save((*ended, next(made)), folder / "end.pt")


def same(left: Any, right: Any) -> bool:
    """Compare bit by bit."""
    if isinstance(left, Tensor):
        return torch.equal(left, right)
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def test_rows_count_epochs_from_one_and_the_loss_falls(tmp_path: Path) -> None:
    rows, _ = finish(tmp_path)
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4]
    assert rows[-1]["train_loss"] < rows[0]["train_loss"]  # type: ignore[operator]


def test_killed_at_random_moments_it_ends_as_if_left_alone(tmp_path: Path) -> None:
    expected = finish(tmp_path / "alone")  # here, so that no attempt imports anything
    (tmp_path / "counted").mkdir()
    assert in_a_process(lambda: finish_into_file(tmp_path / "counted")) == 0
    calls = torch.load(tmp_path / "counted/end.pt")[2]
    moments, kills = random.Random(0), 0

    def attempt() -> int:
        moment = moments.randrange(calls // 4)  # so at least three attempts are killed
        return in_a_process(lambda: finish_into_file(tmp_path, moment))

    while attempt() == -signal.SIGKILL:
        kills += 1
        assert kills < 100, "it makes no progress"
    assert kills >= 3
    assert same(torch.load(tmp_path / "end.pt")[:2], expected)


@pytest.mark.parametrize("function", ["fsync", "replace"])
@pytest.mark.parametrize("call", [1, 8, 31])
def test_killed_while_it_saves_it_ends_as_if_left_alone(
    tmp_path: Path, function: str, call: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = finish(tmp_path / "alone")
    holder = os if function == "fsync" else Path
    real, calls = getattr(holder, function), 0

    def deadly(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(holder, function, deadly)
        assert in_a_process(lambda: finish_into_file(tmp_path)) == -signal.SIGKILL
    assert in_a_process(lambda: finish_into_file(tmp_path)) == 0
    assert same(torch.load(tmp_path / "end.pt")[:2], expected)


@pytest.mark.parametrize("number", signals.SIGNALS)
def test_a_stop_signal_saves_and_ends_with_its_own_code(tmp_path: Path, number: int) -> None:
    expected = finish(tmp_path / "alone")

    class Signalled(Regression):
        def step(self, epoch: int, step: int) -> Tensor:
            if (epoch, step) == (1, 5):
                for _ in range(
                    1 if number == signal.SIGINT else 3
                ):  # scheduler, container and launcher each forward it
                    os.kill(os.getpid(), number)
            return super().step(epoch, step)

    seed_global_generators(1)
    handler = signal.getsignal(number)
    with pytest.raises(SystemExit) as end:
        train_one(Signalled(), workspace(tmp_path))
    assert end.value.code == signals.EXIT_STOPPED
    assert signal.getsignal(number) == handler
    lines: list[str] = []
    trainee = Regression()
    rows = train_one(trainee, workspace(tmp_path, lines))
    assert lines[0] == "continues from a checkpoint at epoch 2, step 6"
    assert same((rows, trainee.state_dicts()), expected)


def test_after_its_last_epoch_a_killed_run_trains_no_more(tmp_path: Path) -> None:
    rows, state = finish(tmp_path, interval=0.0)

    class Untouched(Regression):
        def step(self, epoch: int, step: int) -> Tensor:
            raise AssertionError("trained again")

    trainee = Untouched()
    again = train_one(trainee, workspace(tmp_path))
    assert same((again, trainee.state_dicts()), (rows, state))


@pytest.mark.parametrize("place", [(0, 0), (2, 7), (3, STEPS - 1)])
@pytest.mark.parametrize("interval", [0.0, 300.0])
def test_a_loss_that_is_not_finite_is_named_with_its_place(
    tmp_path: Path, place: tuple[int, int], interval: float
) -> None:
    with pytest.raises(DropnasError) as error:
        train_one(Regression(spoiled_at=place), workspace(tmp_path, interval=interval))
    assert error.value.where == f"epoch {place[0] + 1}, step {place[1] + 1}"


def test_before_its_time_a_checkpoint_is_written_at_the_end_only(tmp_path: Path) -> None:
    expected = finish(tmp_path, interval=300.0)
    assert len(list((tmp_path / "scratch").iterdir())) == 1
    lines: list[str] = []
    trainee = Regression()
    assert same((train_one(trainee, workspace(tmp_path, lines)), trainee.state_dicts()), expected)
    assert lines == [f"continues from a checkpoint at epoch {EPOCHS + 1}, step 0"]  # nothing is trained again


def test_a_damaged_checkpoint_costs_one_interval(tmp_path: Path) -> None:
    expected = finish(tmp_path, interval=0.0)
    newest = sorted((tmp_path / "scratch").iterdir())[-1]
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1
    newest.write_bytes(content)
    lines: list[str] = []
    seed_global_generators(1)
    trainee = Regression()
    rows = train_one(trainee, workspace(tmp_path, lines))
    assert "checksum" in lines[0] and str(newest) in lines[0]
    assert lines[1] == f"continues from a checkpoint at epoch {EPOCHS}, step {STEPS - 1}"
    assert same((rows, trainee.state_dicts()), expected)


def test_a_run_begun_with_other_threads_is_not_continued(tmp_path: Path) -> None:
    """Sums would be rounded differently from there on, unnoticed."""
    finish(tmp_path, interval=0.0)
    with pytest.raises(DropnasError, match="cpu with threads: 1, but this is cpu with threads: 2"):
        train_one(Regression(), replace(workspace(tmp_path), threads=2))


def test_a_run_reports_a_stop_signal_before_it_saves(tmp_path: Path) -> None:
    seen: list[list[Path]] = []

    class Signalled(Regression):
        def step(self, epoch: int, step: int) -> Tensor:
            os.kill(os.getpid(), signal.SIGTERM)
            return super().step(epoch, step)

    watched = replace(workspace(tmp_path), stopping=lambda: seen.append(list(tmp_path.glob("scratch/*"))))
    with pytest.raises(SystemExit):
        train_one(Signalled(), watched)
    assert seen == [[]] and len(list(tmp_path.glob("scratch/*"))) == 1


def test_a_trainee_may_end_before_its_last_epoch(tmp_path: Path) -> None:
    class Short(Regression):
        def finish_epoch(self, epoch: int) -> list[Row | DropnasError]:
            self.stopped = epoch == 1
            return super().finish_epoch(epoch)

    lines: list[str] = []
    assert [row["epoch"] for row in train_one(Short(), workspace(tmp_path, lines, interval=0.0))] == [1, 2]
    assert lines[-1] == f"ends early, after epoch 2 of {EPOCHS}"
    assert len(train_one(Short(), workspace(tmp_path))) == 2  # and does not continue when it is started again


def test_a_checkpoint_of_an_older_layout_is_refused(tmp_path: Path) -> None:
    finish(tmp_path, interval=0.0)
    newest = sorted((tmp_path / "scratch").iterdir())[-1]
    newest.write_bytes(newest.read_bytes().replace(b"dropnas-checkpoint-2", b"dropnas-checkpoint-1", 1))
    with pytest.raises(DropnasError, match=r"by an older version; finish the run with .* or remove \S+ to start again"):
        finish(tmp_path)
