"""The one training loop: searches, retrainings and transfers are trainees of it.

Design: a trainee knows what a step is, the loop knows when to save, stop and resume. An epoch's randomness is derived
from (seed, epoch) when it starts; what moved since lies in the trainee's state. So a checkpoint may be taken between
any two steps, and a resumed run continues bit for bit. Nothing in a step waits for the device: losses are looked at
every few steps, together.
"""

import time
from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor

from dropnas.errors import DropnasError
from dropnas.training import signals
from dropnas.training.checkpoint import Checkpoints, State
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
    checkpoints = Checkpoints(workspace.scratch, workspace.identity, workspace.progress)
    saved = ranks.share(checkpoints.load)
    with signals.caught() as stop_asked:
        return _Loop(trainee, epochs, workspace, ranks, checkpoints, stop_asked).run(saved)


class _Loop:
    def __init__(
        self,
        trainee: Trainee,
        epochs: int,
        workspace: Workspace,
        ranks: Ranks,
        checkpoints: Checkpoints,
        stop_asked: Callable[[], bool],
    ) -> None:
        self.trainee, self.epochs, self.workspace = trainee, epochs, workspace
        self.ranks, self.checkpoints, self.stop_asked = ranks, checkpoints, stop_asked
        self.interval = workspace.checkpoint_seconds
        self.rows: list[Row] = []
        self.unchecked: list[Tensor] = []
        self.saved_at = time.monotonic()

    def run(self, saved: State | None) -> list[Row]:
        first, step = (saved["epoch"], saved["step"]) if saved else (0, 0)
        if not saved:
            self._tell(f"begins with epoch 1 of {self.epochs}")
        for epoch in range(first, self.epochs):
            self.trainee.start_epoch(epoch)
            if saved:
                self._restore(saved)
                saved = None
            elif epoch > first:
                self._pause(epoch, 0, min(self.interval, SPACING))
            self._run_epoch(epoch, step)
            step = 0
        if saved:  # it was killed after its last epoch
            self._restore(saved)
        elif self._due(min(self.interval, SPACING)):
            self._save(self.epochs, 0)
        return self.rows

    def _run_epoch(self, epoch: int, first: int) -> None:
        started, steps = time.monotonic(), self.trainee.steps_per_epoch
        for step in range(first, steps):
            self.unchecked.append(self.trainee.step(epoch, step))
            if len(self.unchecked) >= CHECKED_STEPS:
                self._check(epoch, step + 1)
            if step + 1 < steps:
                self._pause(epoch, step + 1, self.interval)
        self._check(epoch, steps)
        row: Row = {"epoch": epoch + 1, **self.trainee.finish_epoch(epoch)}
        self.rows.append(row)
        self._report(row, time.monotonic() - started)

    def _pause(self, epoch: int, step: int, spacing: float) -> None:
        """A place where the run may be left: save where it is time, end where it was asked for."""
        stop = self.ranks.agree(self.stop_asked())
        if stop:
            self.workspace.stopping()
        if stop or self._due(spacing):
            self._save(epoch, step)
        if stop:
            self.ranks.agree(stop)  # torchrun ends all once one has ended, so none goes before the leader has saved
            self._tell(f"stopped by a signal at epoch {epoch + 1}, step {step}; the state is saved, start it again")
            raise SystemExit(signals.EXIT_STOPPED)

    def _due(self, spacing: float) -> bool:
        return time.monotonic() - self.saved_at >= spacing

    def _save(self, epoch: int, step: int) -> None:
        self._check(epoch, step)
        if self.ranks.leads:
            state = {
                "epoch": epoch,
                "step": step,
                "rows": self.rows,
                "trainee": self.trainee.state_dict(),
                "random": global_random_state(self.workspace.device),
                "made_on": self._made_on,
            }
            self.checkpoints.save(state)
        self.saved_at = time.monotonic()

    @property
    def _made_on(self) -> str:
        """What a training cannot change in its midst: the states of generators differ, or the rounding of sums."""
        device = self.workspace.device.partition(":")[0]
        return device if device != "cpu" else f"cpu with threads: {self.workspace.threads}"

    def _restore(self, saved: State) -> None:
        if saved["made_on"] != self._made_on:
            raise DropnasError(
                f"the run was begun on {saved['made_on']}, this is {self._made_on}",
                where=self.workspace.scratch,
                remedy="go on where it was begun, or remove this folder to begin anew",
            )
        self.trainee.load_state_dict(saved["trainee"])
        self.rows = saved["rows"]
        set_global_random_state(saved["random"], self.workspace.device)
        self._tell(f"continues from a checkpoint at epoch {saved['epoch'] + 1}, step {saved['step']}")

    def _check(self, epoch: int, step: int) -> None:
        """Look at the losses since the last look; `step` is the number of steps that the epoch has made."""
        if not self.unchecked:
            return
        finite = torch.isfinite(torch.stack(self.unchecked)).tolist()
        self.unchecked.clear()
        if not all(finite):
            number = step - len(finite) + finite.index(False) + 1
            raise DropnasError(
                "the loss is not finite",
                where=f"epoch {epoch + 1}, step {number}",
                remedy="a smaller learning_rate or precision fp32 may mend it",
            )

    def _report(self, row: Row, seconds: float) -> None:
        numbers = ", ".join(f"{key} {value:.4g}" for key, value in row.items() if value is not None and key != "epoch")
        self._tell(f"epoch {row['epoch']}/{self.epochs}: {numbers}, {seconds:.1f} s")

    def _tell(self, line: str) -> None:
        if self.ranks.leads:
            self.workspace.progress(line)
