"""The one training loop: searches, retrainings and transfers are trainees of it, alone or several as one.

Design: a trainee knows what a step is, the loop knows when to save, stop and resume. An epoch's randomness is derived
from (seed, epoch) when it starts; what moved since lies in the trainee's state. So a checkpoint may be taken between
any two steps, and a resumed run continues bit for bit. Nothing in a step waits for the device: losses are looked at
every few steps, together. Runs that train as one take each step together, and each saves as if it were alone, so that
it may be continued alone or in other company. One whose loss is not finite fails and is saved no more; its place goes
on computing, since the others' numbers must not depend on it.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from dropnas.errors import DropnasError
from dropnas.training import signals
from dropnas.training.checkpoint import Checkpoints, State
from dropnas.training.lockstep import in_step
from dropnas.training.metrics import Row
from dropnas.training.ranks import ALONE, Ranks
from dropnas.training.seeding import global_random_state, set_global_random_state
from dropnas.workspace import Workspace

SPACING = 10.0  # seconds: an epoch's end is saved too, but not more often than this
CHECKED_STEPS = 50  # a loss that is not finite is seen after so many steps at the latest


class Trainee(Protocol):
    """What the loop trains.

    The order of calls is `start_epoch(e)`, then, where a run resumes, `load_state_dict`, then `step(e, s)` for each s,
    then `finish_epoch(e)`. A run that resumes after its last epoch gets `load_state_dict` only.
    """

    @property
    def steps_per_epoch(self) -> int: ...

    def start_epoch(self, epoch: int) -> None:
        """Set learning rates, data order and generators from (seed, epoch) alone, and the epoch's sums to zero."""

    def step(self, epoch: int, step: int) -> Tensor:
        """Train on one batch; gives the loss, a detached scalar, without waiting for the device."""

    def finish_epoch(self, epoch: int) -> Row:
        """Evaluate; gives the epoch's row of the metrics (without the number of the epoch)."""

    def state_dict(self) -> dict[str, Any]:
        """Everything that moved: weights, optimiser, states of generators, sums inside the epoch."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over such a state; its tensors come on the CPU."""


class Company(Protocol):
    """Trainees that train as one, whose order never changes; calls come in the order of a single trainee's."""

    @property
    def steps_per_epoch(self) -> int: ...

    def start_epoch(self, epoch: int) -> None: ...

    def step(self, epoch: int, step: int) -> Tensor:
        """Train each on its batch; gives their losses, detached (K,), without waiting for the device."""

    def finish_epoch(self, epoch: int) -> Sequence[Row | DropnasError]:
        """The row of each, or what it failed by."""

    def state_dicts(self) -> list[dict[str, Any]]:
        """The state of each, with which it can be continued in any company."""

    def load_state_dicts(self, states: Sequence[dict[str, Any]]) -> None:
        """Take over such states, one for each."""


class _Alone:
    """A single trainee as a company."""

    def __init__(self, trainee: Trainee) -> None:
        self.trainee, self.start_epoch = trainee, trainee.start_epoch

    @property
    def steps_per_epoch(self) -> int:
        return self.trainee.steps_per_epoch

    def step(self, epoch: int, step: int) -> Tensor:
        return self.trainee.step(epoch, step)[None]

    def finish_epoch(self, epoch: int) -> list[Row]:
        return [self.trainee.finish_epoch(epoch)]

    def state_dicts(self) -> list[dict[str, Any]]:
        return [self.trainee.state_dict()]

    def load_state_dicts(self, states: Sequence[dict[str, Any]]) -> None:
        self.trainee.load_state_dict(states[0])


def train(trainee: Trainee, epochs: int, workspace: Workspace, *, ranks: Ranks = ALONE) -> list[Row]:
    """Train to the end, from the last checkpoint in `workspace.scratch` where there is one.

    Args:
        ranks: the processes that train together; the leader alone saves and reports.

    Returns:
        one row an epoch: `epoch` (counted from 1), then what `finish_epoch` gave.

    Raises:
        DropnasError: the loss is not finite, or the checkpoint was made on another kind of device.
        SystemExit: with `signals.EXIT_STOPPED`, after SIGTERM, SIGUSR1 or SIGURG, once the state is saved.
    """
    (result,) = _trained(_Alone(trainee), epochs, [workspace], ranks)
    if isinstance(result, DropnasError):
        raise result
    return result


def train_together(company: Company, epochs: int, workspaces: Sequence[Workspace]) -> list[list[Row] | DropnasError]:
    """Train runs as one, from a place at which all have a checkpoint.

    Args:
        workspaces: of each run; the first one's device and interval hold for all.

    Returns:
        of each run its rows, or what it failed by: a loss that is not finite.

    Raises:
        DropnasError: their checkpoints have no place in common, or were made on another kind of device.
        SystemExit: as `train`.
    """
    return _trained(company, epochs, workspaces, ALONE)


def _trained(
    company: Company, epochs: int, workspaces: Sequence[Workspace], ranks: Ranks
) -> list[list[Row] | DropnasError]:
    runs = [_Run(workspace) for workspace in workspaces]
    saved = ranks.share(lambda: in_step([run.checkpoints for run in runs]))
    if len(saved) < len(runs):
        raise DropnasError("the runs cannot be continued as one: their checkpoints stand at different places")
    with signals.caught() as stop_asked:
        _Loop(company, epochs, runs, ranks, stop_asked).train(list(saved.values()))
    return [run.fault or run.rows for run in runs]


class _Run:
    """One run of the loop: its checkpoints, what it has to show so far, and what it failed by."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.checkpoints = Checkpoints(workspace.scratch, workspace.identity, workspace.progress)
        self.rows: list[Row] = []
        self.fault: DropnasError | None = None


class _Loop:
    def __init__(
        self, company: Company, epochs: int, runs: Sequence[_Run], ranks: Ranks, stop_asked: Callable[[], bool]
    ) -> None:
        self.company, self.epochs, self.runs, self.ranks, self.stop_asked = company, epochs, runs, ranks, stop_asked
        self.workspace = runs[0].workspace  # device and interval
        self.interval = self.workspace.checkpoint_seconds
        self.unchecked: list[Tensor] = []
        self.saved_at = time.monotonic()

    @property
    def going(self) -> list[_Run]:
        """The runs that did not fail."""
        return [run for run in self.runs if not run.fault]

    def train(self, states: Sequence[State | None]) -> None:
        """Train all to the end, from the states of one place, or until every run has failed."""
        saved = [state for state in states if state]
        first, step = (saved[0]["epoch"], saved[0]["step"]) if saved else (0, 0)
        if not saved:
            self._tell(f"begins with epoch 1 of {self.epochs}")
        for epoch in range(first, self.epochs):
            self.company.start_epoch(epoch)
            if saved:
                self._restore(saved)
                saved = []
            elif epoch > first:
                self._pause(epoch, 0, min(self.interval, SPACING))
            self._run_epoch(epoch, step)
            step = 0
            if not self.going:
                return
        if saved:  # they were killed after their last epoch
            self._restore(saved)
        elif len(self.runs) > 1 or self._due(min(self.interval, SPACING)):
            self._save(self.epochs, 0)  # several are published one by one: a kill between must leave the rest complete

    def _run_epoch(self, epoch: int, first: int) -> None:
        started, steps = time.monotonic(), self.company.steps_per_epoch
        for step in range(first, steps):
            self.unchecked.append(self.company.step(epoch, step))
            if len(self.unchecked) >= CHECKED_STEPS:
                self._check(epoch, step + 1)
            if step + 1 < steps:
                self._pause(epoch, step + 1, self.interval)
            if not self.going:
                return
        self._check(epoch, steps)
        if self.going:
            rows = self.company.finish_epoch(epoch)
            for run, row in zip(self.runs, rows, strict=True):
                self._finish_epoch(run, epoch, row, time.monotonic() - started)

    def _finish_epoch(self, run: _Run, epoch: int, row: Row | DropnasError, seconds: float) -> None:
        if run.fault:
            return
        if isinstance(row, DropnasError):
            self._fail(run, row)
            return
        run.rows.append({"epoch": epoch + 1, **row})
        numbers = ", ".join(f"{key} {value:.4g}" for key, value in row.items() if value is not None)
        self._tell(f"epoch {epoch + 1}/{self.epochs}: {numbers}, {seconds:.1f} s", run)

    def _pause(self, epoch: int, step: int, spacing: float) -> None:
        """A place where the runs may be left: save where it is time, end where it was asked for."""
        stop = self.ranks.agree(self.stop_asked())
        if stop:
            for run in self.going:
                run.workspace.stopping()
        if stop or self._due(spacing):
            self._save(epoch, step)
        if stop and self.going:
            self.ranks.agree(stop)  # torchrun ends all once one has ended, so none goes before the leader has saved
            self._tell(f"stopped by a signal at epoch {epoch + 1}, step {step}; the state is saved, start it again")
            raise SystemExit(signals.EXIT_STOPPED)

    def _due(self, spacing: float) -> bool:
        return time.monotonic() - self.saved_at >= spacing

    def _save(self, epoch: int, step: int) -> None:
        self._check(epoch, step)
        if self.ranks.leads and self.going:
            random = global_random_state(self.workspace.device)
            made_on = self._made_on
            for run, trainee in zip(self.runs, self.company.state_dicts(), strict=True):
                if not run.fault:
                    state = {"epoch": epoch, "step": step, "rows": run.rows, "trainee": trainee}
                    run.checkpoints.save({**state, "random": random, "made_on": made_on})
        self.saved_at = time.monotonic()

    @property
    def _made_on(self) -> str:
        """What a training cannot change in its midst: the states of generators differ, or the rounding of sums."""
        device = self.workspace.device.partition(":")[0]
        return device if device != "cpu" else f"cpu with threads: {self.workspace.threads}"

    def _restore(self, saved: Sequence[State]) -> None:
        if saved[0]["made_on"] != self._made_on:
            raise DropnasError(
                f"the run was begun on {saved[0]['made_on']}, this is {self._made_on}",
                where=self.workspace.scratch,
                remedy="go on where it was begun, or remove this folder to begin anew",
            )
        self.company.load_state_dicts([state["trainee"] for state in saved])
        for run, state in zip(self.runs, saved, strict=True):
            run.rows = state["rows"]
        set_global_random_state(saved[0]["random"], self.workspace.device)
        self._tell(f"continues from a checkpoint at epoch {saved[0]['epoch'] + 1}, step {saved[0]['step']}")

    def _check(self, epoch: int, step: int) -> None:
        """Look at the losses since the last look; `step` is the number of steps that the epoch has made."""
        if not self.unchecked:
            return
        finite = torch.isfinite(torch.stack(self.unchecked)).T.tolist()  # (K, steps)
        first = step - len(self.unchecked) + 1
        self.unchecked.clear()
        for run, own in zip(self.runs, finite, strict=True):
            if not run.fault and not all(own):
                fault = DropnasError(
                    "the loss is not finite",
                    where=f"epoch {epoch + 1}, step {first + own.index(False)}",
                    remedy="a smaller learning_rate or precision fp32 may mend it",
                )
                self._fail(run, fault)

    def _fail(self, run: _Run, fault: DropnasError) -> None:
        run.fault = fault
        if len(self.runs) > 1:
            self._tell(f"fails: {fault}; {len(self.going)} others go on", run)

    def _tell(self, line: str, *runs: _Run) -> None:
        """Tell a line of some runs, or of all that go on."""
        if self.ranks.leads:
            for run in runs or self.going:
                run.workspace.progress(line)
