"""A polite stop: SIGTERM and SIGUSR1 let a run save where it is and end.

Design: the handler only takes a note, the loop looks at it between two steps. After the first signal the default
handlers are back, so a second one ends the process at once. SLURM and Snakemake send SIGTERM before they kill; SIGUSR1
is for `sbatch --signal`.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

EXIT_STOPPED = 75  # EX_TEMPFAIL of sysexits.h: nothing is wrong, start it again
SIGNALS = (signal.SIGTERM, signal.SIGUSR1)


@contextmanager
def caught() -> Iterator[Callable[[], bool]]:
    """Give a function that says whether a stop was asked for since the context was entered.

    Outside the main thread, where Python allows no handlers, nothing is caught.
    """
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def note(number: int, frame: FrameType | None) -> None:
        asked.set()
        restore()

    for number in SIGNALS:
        signal.signal(number, note)
    try:
        yield asked.is_set
    finally:
        restore()
