"""A polite stop: SIGTERM and SIGUSR1 let a run save where it is and end.

Design: the handler only takes a note, the loop looks at it between two steps. A further signal changes nothing, since a
scheduler sends more than one, and to every process of a job: SLURM first the warning (`sbatch --signal=USR1@180`), then
SIGTERM, some seconds before it kills. Who cannot wait kills: a run resumes from that too. Contexts nest, so that a
signal that comes before the loop, or between the runs of one process, is not lost.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

EXIT_STOPPED = 75  # EX_TEMPFAIL of sysexits.h: nothing is wrong, start it again
SIGNALS = (signal.SIGTERM, signal.SIGUSR1)
_asked = threading.Event()


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
        _asked.clear()
        before = {number: signal.signal(number, _note) for number in SIGNALS}
        try:
            yield _asked.is_set
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _note(number: int, frame: FrameType | None) -> None:
    _asked.set()
