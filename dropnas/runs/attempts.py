"""The attempts at a run, kept in its scratch folder: how long they worked, on what, and whether they get anywhere.

Design: an attempt that saved a checkpoint made progress; so the number of the newest checkpoint shows how far an
attempt got, whatever kind of training it is. Only warned attempts count as stopped without progress, because a job that
is resubmitted after each warning would otherwise go on for ever. An attempt that was killed without a warning is
started again by a person. A damaged log counts as an empty one, since it holds no results.
"""

import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from dropnas.errors import DropnasError
from dropnas.runs.files import write_json

LOG = "attempts.json"
CHECKPOINT = "checkpoint-*.pt"
UNKNOWN = "a machine that is not recorded"


@dataclass(frozen=True)
class Attempt:
    """One attempt.

    Attributes:
        started: seconds since the epoch.
        seconds: that it worked; 0 until the next one begins.
        newest: name of the newest checkpoint when it began; empty where there was none.
        warned: whether it was asked to stop.
        group: how many runs shared its time, this one included.
        machine: what rounded its sums, as `environment.machine_name` calls it; empty before that is known.
        before: those that computed the newest checkpoint when it began, in their order.
    """

    started: float
    seconds: float = 0.0
    newest: str = ""
    warned: bool = False
    group: int = 1
    machine: str = ""
    before: tuple[str, ...] = ()


class Attempts:
    """The attempts at a run, of which the last one is this process's."""

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        earlier = read(scratch)
        if earlier and not earlier[-1].seconds:
            earlier[-1] = replace(earlier[-1], seconds=_worked(earlier[-1], scratch))
        newest = _newest(scratch)
        self.earlier = earlier
        self.own = Attempt(time.time(), newest=newest, before=_machines(earlier, newest))

    def begin(self) -> None:
        """Note that the attempt begins; from now on `stopped` must be called if a warning ends it.

        Raises:
            DropnasError: the last two were warned and left no checkpoint.
        """
        self._write()
        self._require_progress(self.earlier)

    @property
    def seconds(self) -> float:
        """That the earlier attempts worked, up to their last sign of life in the scratch folder; the run's share."""
        return sum(attempt.seconds / attempt.group for attempt in self.earlier)

    def share(self, group: int) -> None:
        """Note that so many runs, this one included, train as one group."""
        self.own = replace(self.own, group=group)
        self._write()

    def work_on(self, machine: str) -> None:
        """Note which machine this attempt works on."""
        self.own = replace(self.own, machine=machine)
        self._write()

    @property
    def machines(self) -> tuple[str, ...]:
        """All that computed the run, in their order; more than one where it moved in its midst."""
        return _joined(self.own.before, self.own.machine)

    def cancel(self) -> None:
        """Note that nothing was attempted: other runs are computed first."""
        if self.earlier:
            write_json(self.scratch / LOG, [asdict(attempt) for attempt in self.earlier])
        else:
            (self.scratch / LOG).unlink(missing_ok=True)

    def warned(self) -> None:
        """Note that this attempt is asked to stop; to be called before it saves."""
        self.own = replace(self.own, warned=True)
        self._write()

    def stopped(self) -> None:
        """Note that this attempt ends because it was asked to.

        Raises:
            DropnasError: like the one before, it saved nothing.
        """
        self.warned()
        if _newest(self.scratch) == self.own.newest:
            self._require_progress([*self.earlier, self.own])

    def _require_progress(self, attempts: list[Attempt]) -> None:
        last = attempts[-2:]
        if len(last) < 2 or not all(attempt.warned and attempt.newest == self.own.newest for attempt in last):
            return
        self.earlier, self.own = [], replace(self.own, warned=False, group=1)  # a new start may try again
        self._write()
        raise DropnasError(
            "no progress: two attempts in a row were asked to stop before they had saved anything new",
            where=self.scratch,
            remedy="allow more time (machine.runtime_minutes) or save more often (machine.checkpoint_seconds)",
        )

    def _write(self) -> None:
        write_json(self.scratch / LOG, [asdict(attempt) for attempt in (*self.earlier, self.own)])


def read(scratch: Path) -> list[Attempt]:
    """The attempts so far; none where the log is missing or damaged."""
    try:
        return TypeAdapter(list[Attempt]).validate_json((scratch / LOG).read_bytes())
    except (FileNotFoundError, ValidationError):
        return []


def _worked(attempt: Attempt, scratch: Path) -> float:
    """Seconds from an attempt's start to its last sign of life; the lease is ours by now."""
    signs = [path for path in scratch.rglob("*") if path.is_file() and not path.name.startswith("lease.")]
    return max([0.0, *(path.stat().st_mtime - attempt.started for path in signs)])


def _machines(earlier: list[Attempt], newest: str) -> tuple[str, ...]:
    """What computed the newest checkpoint: the attempts that each left a newer one than they began with."""
    if not newest:
        return ()
    if not earlier:
        return (UNKNOWN,)
    last = earlier[-1]
    return last.before if newest == last.newest else _joined(last.before, last.machine or UNKNOWN)


def _joined(before: tuple[str, ...], machine: str) -> tuple[str, ...]:
    return before if before[-1:] == (machine,) else (*before, machine)


def _newest(scratch: Path) -> str:
    names = (path.name for path in scratch.glob(CHECKPOINT))
    return max(names, key=lambda name: (len(name), name), default="")
