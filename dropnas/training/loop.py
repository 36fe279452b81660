"""The training loop of searches, retrainings and transfers: for one run, or for several runs that share each step.

Design choices: the trainee defines a step; the loop decides when to save, stop and resume. The random numbers of an
epoch depend only on the seed and the epoch. A checkpoint may therefore be taken between any two steps, and a resumed
run continues bit for bit. No step waits for the device: losses are checked every few steps. Runs that share each step
are saved separately, so that each may continue in another group. A run whose loss is not finite fails and is not saved
again. Its steps are still computed, because the other runs' numbers must not depend on the failure.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from dropnas.artifacts.metrics_file import Row
from dropnas.errors import DropnasError, not_finite
from dropnas.training import signals
from dropnas.training.checkpoint import Checkpoints, CheckpointState, common_checkpoint
from dropnas.training.distributed import SINGLE, Ranks
from dropnas.training.seeding import global_random_state, set_global_random_state
from dropnas.workspace import Workspace

SPACING = 10.0  # minimum seconds between two checkpoints at the ends of epochs
CHECKED_STEPS = 50  # steps between two checks for a loss that is not finite


class Trainee(Protocol):
    """The object that the loop trains: one run, or several that share each step. Lists are in the order of the runs.

    The calls come in this order: `start_epoch(e)`, then `load_state_dicts` if runs resume, then `step(e, s)` for each
    s, then `finish_epoch(e)`. Runs that resume after their last epoch get `load_state_dicts` only.
    """

    @property
    def steps_per_epoch(self) -> int: ...

    @property
    def stopped(self) -> bool:
        """Whether the training ends with this epoch, although more epochs were planned."""

    def start_epoch(self, epoch: int) -> None:
        """Set learning rates, data order and generators from (seed, epoch) only; reset the epoch's sums to zero."""

    def step(self, epoch: int, step: int) -> Tensor:
        """Train each run on its batch, without waiting for the device; return the detached losses (K,)."""

    def finish_epoch(self, epoch: int) -> Sequence[Row | DropnasError]:
        """Evaluate; return each run's row of metrics (without the epoch's number), or its error."""

    def state_dicts(self) -> list[dict[str, Any]]:
        """The state of each run: weights, optimiser, sums within the epoch. From it, a run can resume in any group."""

    def load_state_dicts(self, states: Sequence[dict[str, Any]]) -> None:
        """Load one state for each run; the tensors of the states are on the CPU."""


Result = list[Row] | DropnasError


def train(trainee: Trainee, epochs: int, workspaces: Sequence[Workspace], ranks: Ranks = SINGLE) -> list[Result]:
    """Train to the end, starting from the newest checkpoint that all runs have in common.

    Args:
        workspaces: one for each run; the device and the checkpoint interval of the first one apply to all runs.
        ranks: the processes that train one run; only the leader saves and reports.

    Returns:
        for each run, one row for each epoch: `epoch` (counted from 1) and the values of `finish_epoch`; or the error of
            a run whose loss is not finite.

    Raises:
        DropnasError: the runs have no checkpoints at a common position, or a checkpoint is from another kind of device.
        SystemExit: a signal from `signals.SIGNALS` was received, and the state was saved. The exit status is
            `signals.EXIT_STOPPED`.
    """
    runs = [_Run(workspace) for workspace in workspaces]
    saved = ranks.share(lambda: common_checkpoint([run.checkpoints for run in runs]))
    if len(saved) < len(runs):
        raise DropnasError("the runs cannot continue as a group: their checkpoints are at different steps")
    with signals.caught() as stop_asked:
        _Loop(trainee, epochs, runs, ranks, stop_asked).train(list(saved.values()))
    return [run.fault or run.rows for run in runs]


def rows_of(result: Result) -> list[Row]:
    """Return the rows of a run, or raise its error."""
    if isinstance(result, DropnasError):
        raise result
    return result


class _Run:
    """One run of the loop: its checkpoints, its rows so far, and its error."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.checkpoints = Checkpoints(workspace.scratch, workspace.identity, workspace.progress)
        self.rows: list[Row] = []
        self.fault: DropnasError | None = None


class _Loop:
    def __init__(
        self, trainee: Trainee, epochs: int, runs: Sequence[_Run], ranks: Ranks, stop_asked: Callable[[], bool]
    ) -> None:
        self.trainee, self.epochs, self.runs, self.ranks, self.stop_asked = trainee, epochs, runs, ranks, stop_asked
        self.workspace = runs[0].workspace  # device and interval
        self.interval = self.workspace.checkpoint_seconds
        self.unchecked: list[Tensor] = []
        self.saved_at = time.monotonic()

    @property
    def going(self) -> list[_Run]:
        """The runs that have not failed."""
        return [run for run in self.runs if not run.fault]

    def train(self, states: Sequence[CheckpointState | None]) -> None:
        """Train all runs from states at the same step, to the end or until every run has failed."""
        saved = [state for state in states if state]
        first, step = (saved[0]["epoch"], saved[0]["step"]) if saved else (0, 0)
        if not saved:
            self._log(f"begins with epoch 1 of {self.epochs}")
        for epoch in range(first, self.epochs):
            self.trainee.start_epoch(epoch)
            if saved:
                self._restore(saved)
                saved = []
            elif epoch > first:
                self._pause(epoch, 0, min(self.interval, SPACING))
            self._run_epoch(epoch, step)
            step = 0
            if not self.going:
                return
            if self.trainee.stopped:
                self._log(f"ends early, after epoch {epoch + 1} of {self.epochs}")
                break
        if saved:  # the runs were killed after their last epoch
            self._restore(saved)
        else:
            self._save(self.epochs, 0)  # so that nothing is lost if a signal comes before the run is published

    def _run_epoch(self, epoch: int, first: int) -> None:
        started, steps = time.monotonic(), self.trainee.steps_per_epoch
        for step in range(first, steps):
            self.unchecked.append(self.trainee.step(epoch, step))
            if len(self.unchecked) >= CHECKED_STEPS:
                self._check(epoch, step + 1)
            if step + 1 < steps:
                self._pause(epoch, step + 1, self.interval)
            if not self.going:
                return
        self._check(epoch, steps)
        if self.going:
            rows = self.trainee.finish_epoch(epoch)
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
        self._log(f"epoch {epoch + 1}/{self.epochs}: {numbers}, {seconds:.1f} s", run)

    def _pause(self, epoch: int, step: int, spacing: float) -> None:
        """Save if a checkpoint is due; save and exit if a stop was requested."""
        stop = self.ranks.agree(self.stop_asked())
        if stop:
            for run in self.going:
                run.workspace.stopping()
        if stop or time.monotonic() - self.saved_at >= spacing:
            self._save(epoch, step)
        if stop and self.going:
            self.ranks.agree(stop)  # torchrun ends all processes if one ends, so all wait until the leader has saved
            self._log(f"stopped by a signal at epoch {epoch + 1}, step {step}; the state is saved, start the run again")
            raise SystemExit(signals.EXIT_STOPPED)

    def _save(self, epoch: int, step: int) -> None:
        self._check(epoch, step)
        if self.ranks.leads and self.going:
            random = global_random_state(self.workspace.device)
            made_on = self._made_on
            for run, trained in zip(self.runs, self.trainee.state_dicts(), strict=True):
                if not run.fault:
                    state = {"epoch": epoch, "step": step, "rows": run.rows, "trainee": trained}
                    run.checkpoints.save({**state, "random": random, "made_on": made_on})
        self.saved_at = time.monotonic()

    @property
    def _made_on(self) -> str:
        """The kind of device in use; for a CPU, this includes the number of threads.

        A run cannot continue on another kind of device, where the generators or the rounding of sums differ.
        """
        device = self.workspace.device.partition(":")[0]
        return device if device != "cpu" else f"cpu with threads: {self.workspace.threads}"

    def _restore(self, saved: Sequence[CheckpointState]) -> None:
        if saved[0]["made_on"] != self._made_on:
            raise DropnasError(
                f"the run was started on {saved[0]['made_on']}, but this is {self._made_on}",
                where=self.workspace.scratch,
                remedy="continue on the device where it was started, or remove this folder to start again",
            )
        self.trainee.load_state_dicts([state["trainee"] for state in saved])
        for run, state in zip(self.runs, saved, strict=True):
            run.rows = state["rows"]
        set_global_random_state(saved[0]["random"], self.workspace.device)
        self._log(f"continues from a checkpoint at epoch {saved[0]['epoch'] + 1}, step {saved[0]['step']}")

    def _check(self, epoch: int, step: int) -> None:
        """Check that the losses since the last check are finite; `step` counts the finished steps of the epoch."""
        if not self.unchecked:
            return
        finite = torch.isfinite(torch.stack(self.unchecked)).T.tolist()  # (K, steps)
        first = step - len(self.unchecked) + 1
        self.unchecked.clear()
        for run, own in zip(self.runs, finite, strict=True):
            if not run.fault and not all(own):
                self._fail(run, not_finite("the loss", f"epoch {epoch + 1}, step {first + own.index(False)}"))

    def _fail(self, run: _Run, fault: DropnasError) -> None:
        run.fault = fault
        if len(self.runs) > 1:
            self._log(f"fails: {fault}; {len(self.going)} others go on", run)

    def _log(self, line: str, *runs: _Run) -> None:
        """Report a line of progress for the given runs or, by default, for all runs that have not failed."""
        if self.ranks.leads:
            for run in runs or self.going:
                run.workspace.progress(line)
