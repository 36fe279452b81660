"""What asks a run to stop: SIGTERM, SIGINT (Ctrl-C), SIGHUP, SIGUSR1 and SIGURG let it save and end with EXIT_STOPPED.

Design: inside the training loop a handler only takes a note, and the loop looks at it between two steps. Elsewhere in a
verb that trains (start-up, waiting for a lease or a GPU) there is nothing to save, and the verb ends where it is. A
further signal changes nothing: scheduler, container and launcher may each pass the same warning on, and SLURM sends
SIGTERM after it, some seconds before it kills. Only a second SIGINT ends the run immediately: a person who types Ctrl-C
twice cannot wait. A scheduler should send SIGURG to all processes of a job: processes without a handler ignore it,
while the other signals end Snakemake and the process that serves a container's image.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

EXIT_STOPPED = 75  # EX_TEMPFAIL of sysexits.h: nothing is wrong, start it again
SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGURG, signal.SIGINT, signal.SIGHUP)
_asked = threading.Event()  # of the whole process, as signals are
_typed = threading.Event()  # SIGINT came once


def obey() -> Callable[[], bool]:
    """From now on the first warning that comes outside `caught` ends this process with EXIT_STOPPED.

    Returns:
        A function that says whether a warning came.
    """
    _asked.clear()
    _typed.clear()
    for number in SIGNALS:
        signal.signal(number, _leave)
    return _asked.is_set


@contextmanager
def caught() -> Iterator[Callable[[], bool]]:
    """Give a function that says whether a stop was asked for since the outermost such context was entered.

    Outside the main thread, where Python allows no handlers, nothing is caught.
    """
    if threading.current_thread() is not threading.main_thread():
        yield threading.Event().is_set
    elif signal.getsignal(SIGNALS[0]) is _note:
        yield _asked.is_set
    else:
        before = {number: signal.signal(number, _note) for number in SIGNALS}
        if _leave not in before.values():  # under `obey`, what came in before has ended the process
            _asked.clear()
            _typed.clear()
        try:
            yield _asked.is_set
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def ignore(worker: int = 0) -> None:
    """Ignore warnings in a process that serves a training; a scheduler sends them to each process of a job."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _note(number: int, frame: FrameType | None) -> None:
    _end_if_typed_twice(number, frame)
    _asked.set()


def _end_if_typed_twice(number: int, frame: FrameType | None) -> None:
    """Raises KeyboardInterrupt on the second SIGINT."""
    if number == signal.SIGINT:
        if _typed.is_set():
            signal.default_int_handler(number, frame)
        _typed.set()


def _leave(number: int, frame: FrameType | None) -> None:
    _end_if_typed_twice(number, frame)
    if not _asked.is_set():
        _asked.set()
        raise SystemExit(EXIT_STOPPED)
