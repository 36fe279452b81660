"""Records the attempts at a run in its scratch folder: their times, their machines, and whether they make progress.

Design choices: an attempt makes progress if it saves a checkpoint. Only the names of the newest checkpoints are
compared, so this works for any kind of training. A run fails after two attempts in a row that received a stop signal
and saved no checkpoint. Otherwise a job that is resubmitted after each signal would never end. An attempt that was
killed without a stop signal does not count, because only a person restarts such a run. A damaged log counts as empty,
because it holds no results.
"""

import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from dropnas.errors import DropnasError
from dropnas.runs.files import write_json

LOG = "attempts.json"
CHECKPOINT = "checkpoint-*.pt"
UNKNOWN_MACHINE = "a machine that is not recorded"


@dataclass(frozen=True)
class Attempt:
    """One attempt."""

    started: float  # start time, in seconds since the epoch
    seconds: float = 0.0  # working time, which is determined when the next attempt begins; 0 until then
    newest: str = ""  # name of the newest checkpoint when the attempt began; empty if there was none
    warned: bool = False  # whether the attempt received a stop signal
    group: int = 1  # number of runs that shared the attempt's time, including this one
    # the machine, on which rounding depends, as returned by `environment.machine_name`; empty until it is known
    machine: str = ""
    # the machines that computed the checkpoint `newest`, in order
    before: tuple[str, ...] = ()


class Attempts:
    """The attempts at a run; the last one is the attempt of this process."""

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        earlier = read(scratch)
        if earlier and not earlier[-1].seconds:
            earlier[-1] = replace(earlier[-1], seconds=_worked(earlier[-1], scratch))
        newest = _newest(scratch)
        self.earlier = earlier
        self.own = Attempt(time.time(), newest=newest, before=_machines(earlier, newest))

    def begin(self) -> None:
        """Record the start of this attempt. If a stop signal ends the attempt later, call `stopped`.

        Raises a DropnasError if each of the two previous attempts received a stop signal and saved no new checkpoint.
        """
        self._write()
        self._require_progress(self.earlier)

    @property
    def seconds(self) -> float:
        """The time that earlier attempts spent on this run, in seconds.

        An attempt's time ends with the last file that it wrote. This time is divided equally among the runs of a group.
        """
        return sum(attempt.seconds / attempt.group for attempt in self.earlier)

    def note(self, **facts: Any) -> None:
        """Record facts of this attempt, such as its machine."""
        self.own = replace(self.own, **facts)
        self._write()

    @property
    def machines(self) -> tuple[str, ...]:
        """All machines that computed the run, in order; more than one if the run moved."""
        return _joined(self.own.before, self.own.machine)

    def cancel(self) -> None:
        """Discard this attempt; other runs are computed first."""
        if self.earlier:
            write_json(self.scratch / LOG, [asdict(attempt) for attempt in self.earlier])
        else:
            (self.scratch / LOG).unlink(missing_ok=True)

    def warned(self) -> None:
        """Record that this attempt received a stop signal; call this before the last checkpoint is saved."""
        self.note(warned=True)

    def stopped(self) -> None:
        """Record that this attempt ends because of a stop signal.

        Raises a DropnasError if neither this attempt nor the previous one saved anything new.
        """
        self.warned()
        if _newest(self.scratch) == self.own.newest:
            self._require_progress([*self.earlier, self.own])

    def _require_progress(self, attempts: list[Attempt]) -> None:
        last = attempts[-2:]
        if len(last) < 2 or not all(attempt.warned and attempt.newest == self.own.newest for attempt in last):
            return
        self.earlier, self.own = [], replace(self.own, warned=False, group=1)  # so that the next start can try again
        self._write()
        raise DropnasError(
            "no progress: two attempts in a row were asked to stop before they had saved anything new",
            where=self.scratch,
            remedy="allow more time (machine.runtime_minutes) or save more often (machine.checkpoint_seconds)",
        )

    def _write(self) -> None:
        write_json(self.scratch / LOG, [asdict(attempt) for attempt in (*self.earlier, self.own)])


def read(scratch: Path) -> list[Attempt]:
    """The attempts so far; empty if the log is missing or damaged."""
    try:
        return TypeAdapter(list[Attempt]).validate_json((scratch / LOG).read_bytes())
    except (FileNotFoundError, ValidationError):
        return []


def _worked(attempt: Attempt, scratch: Path) -> float:
    """Seconds from an attempt's start until it last wrote a file. The lease is ignored: this process holds it now."""
    signs = [path for path in scratch.rglob("*") if path.is_file() and not path.name.startswith("lease.")]
    return max([0.0, *(path.stat().st_mtime - attempt.started for path in signs)])


def _machines(earlier: list[Attempt], newest: str) -> tuple[str, ...]:
    """The machines that computed the newest checkpoint: those of the attempts that saved a checkpoint."""
    if not newest:
        return ()
    if not earlier:
        return (UNKNOWN_MACHINE,)
    last = earlier[-1]
    return last.before if newest == last.newest else _joined(last.before, last.machine or UNKNOWN_MACHINE)


def _joined(before: tuple[str, ...], machine: str) -> tuple[str, ...]:
    return before if before[-1:] == (machine,) else (*before, machine)


def _newest(scratch: Path) -> str:
    names = (path.name for path in scratch.glob(CHECKPOINT))
    return max(names, key=lambda name: (len(name), name), default="")
