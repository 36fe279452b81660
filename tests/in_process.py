"""Runs verbs of the command line in the process of the tests, which has already imported their dependencies.

A verb is limited by processor time, not by the clock, so a busy machine causes no failure.
"""

import io
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from unittest.mock import patch

from dropnas import cli
from dropnas.pipeline import compute
from dropnas.training import signals

LONGEST = 10.0  # seconds of processor time that a verb may take
INTERVAL, AWAKE = 30.0, 0.02  # seconds; a verb is stuck if it uses less processor time than AWAKE in INTERVAL
MISTAKE = "by a mistake in the program"


@dataclass(frozen=True)
class Ended:
    """The result of a verb."""

    status: int
    out: str
    err: str

    @property
    def fault(self) -> str:
        """Describe a fault that no input may cause; empty if there is none."""
        if MISTAKE in self.err or "Traceback" in self.err:
            return "traceback"
        if self.status and not self.err.strip():
            return "failed without a message"
        return ""


class Hanging(BaseException):
    """A verb exceeded the time limit."""


def verb_in(folder: Path, *arguments: object) -> Ended:
    """Run `python -m dropnas ARGUMENTS` in a folder."""
    with chdir(folder):
        return verb(*arguments)


def verb(*arguments: object, root: Path | None = None) -> Ended:
    """Run `python -m dropnas ARGUMENTS` in this process."""
    words = ["dropnas", *map(str, arguments), *(["--root", str(root)] if root else [])]
    out, err, status = io.StringIO(), io.StringIO(), 0
    compute._require_input.cache_clear()  # a new process would have an empty cache
    with patch.object(sys, "argv", words), redirect_stdout(out), redirect_stderr(err):
        try:
            with bounded(), unchanged_handlers():
                cli.main()
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else int(end.code is not None)
        except (Exception, Hanging):
            status = 99
            traceback.print_exc()
    return Ended(status, out.getvalue(), err.getvalue())


@contextmanager
def unchanged_handlers() -> Iterator[None]:
    """Restore the signal handlers that a training verb replaces; normally they end with its process."""
    before = {number: signal.getsignal(number) for number in signals.SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def bounded() -> Iterator[None]:
    """End a verb that uses too much processor time, or none at all."""
    used = time.process_time()

    def end(number: int, frame: FrameType | None) -> None:
        nonlocal used
        before, used = used, time.process_time()
        if number == signal.SIGPROF or used - before < AWAKE:
            raise Hanging

    timers = {
        signal.SIGPROF: (signal.ITIMER_PROF, LONGEST, 0.0),
        signal.SIGALRM: (signal.ITIMER_REAL, INTERVAL, INTERVAL),
    }
    before = {number: signal.signal(number, end) for number in timers}
    for timer, *seconds in timers.values():
        signal.setitimer(timer, *seconds)
    try:
        yield
    finally:
        for number, (timer, *_) in timers.items():
            signal.setitimer(timer, 0)
            signal.signal(number, before[number])
