"""Holds a training at a chosen point until a signal ends it, so that no trial depends on the speed of a machine.

Python imports this file in each process of a command whose PYTHONPATH has this folder. HOLD names the point: `start`,
before the first step, or an epoch from 0 up, after whose first step each process waits until it is asked to stop.
"""

import os
import time
from collections.abc import Callable
from typing import Any

from dropnas.training import loop

POLL = 0.01  # seconds


def _hold(until: Callable[[], bool]) -> None:
    print("held by the trial", flush=True)
    while not until():
        time.sleep(POLL)


def _train(*arguments: Any, **options: Any) -> Any:
    _hold(lambda: False)  # a signal's handler ends the process


def _pause(original: Callable[..., None], held: int) -> Callable[..., None]:
    def pause(self: Any, epoch: int, step: int, spacing: float) -> None:
        if (epoch, step) == (held, 1):
            _hold(self.stop_asked)
        original(self, epoch, step, spacing)

    return pause


if os.environ["HOLD"] == "start":
    loop.train = _train
else:
    loop._Loop._pause = _pause(loop._Loop._pause, int(os.environ["HOLD"]))  # type: ignore[method-assign]
