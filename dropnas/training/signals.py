"""The signals that make a run save and end with EXIT_STOPPED: SIGTERM, SIGINT (Ctrl-C), SIGHUP, SIGUSR1, SIGURG.

Design choices: inside the training loop, a handler only sets a flag, which the loop checks between two steps. Outside
the loop (start-up, waiting for a lease or a GPU), there is nothing to save, and the process ends at once. A repeated
signal has no further effect, because the scheduler, the container and the launcher may each pass on the same signal,
and SLURM sends SIGTERM again some seconds before it kills the job. The exception is a second SIGINT, which ends the run
immediately, because a user who types Ctrl-C twice does not want to wait. A scheduler should send SIGURG to all
processes of a job: processes without a handler ignore it, whereas the other signals end Snakemake and the process that
serves a container's image.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

EXIT_STOPPED = 75  # EX_TEMPFAIL of sysexits.h, a temporary failure: start the run again
SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGURG, signal.SIGINT, signal.SIGHUP)
_asked = threading.Event()  # shared by the whole process, because a signal goes to the process
_typed = threading.Event()  # set by the first SIGINT


def obey() -> Callable[[], bool]:
    """Install handlers so that the first signal outside `caught` ends this process with EXIT_STOPPED.

    Returns:
        a function that returns whether a signal was received.
    """
    _asked.clear()
    _typed.clear()
    for number in SIGNALS:
        signal.signal(number, _leave)
    return _asked.is_set


@contextmanager
def caught() -> Iterator[Callable[[], bool]]:
    """Yield a function that returns whether a stop was requested since the outermost `caught` context began.

    Outside the main thread, Python allows no handlers, so no signal is caught there.
    """
    if threading.current_thread() is not threading.main_thread():
        yield threading.Event().is_set
    elif signal.getsignal(SIGNALS[0]) is _note:
        yield _asked.is_set
    else:
        before = {number: signal.signal(number, _note) for number in SIGNALS}
        if _leave not in before.values():  # if `obey` is active, an earlier signal has already ended the process
            _asked.clear()
            _typed.clear()
        try:
            yield _asked.is_set
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def ignore(worker: int = 0) -> None:
    """Ignore the signals in a helper process of a training; a scheduler sends them to each process of a job."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _note(number: int, frame: FrameType | None) -> None:
    _end_if_typed_twice(number, frame)
    _asked.set()


def _end_if_typed_twice(number: int, frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt on the second SIGINT."""
    if number == signal.SIGINT:
        if _typed.is_set():
            signal.default_int_handler(number, frame)
        _typed.set()


def _leave(number: int, frame: FrameType | None) -> None:
    _end_if_typed_twice(number, frame)
    if not _asked.is_set():
        _asked.set()
        raise SystemExit(EXIT_STOPPED)
