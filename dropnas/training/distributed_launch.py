"""Starts the processes of one training on this host, as `torchrun` does, and returns an exit status for all of them.

Design choices: torch's own launcher starts and watches the processes. By itself, it would end them 30 seconds after a
signal, and report every failure as status 1. Here a signal is passed on to each process, and the launcher waits. The
processes agree on the step after which they stop, and the leader saves. Then all processes and the launcher end with
EXIT_STOPPED. If one process fails in another way, torch's launcher ends the others.
"""

import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import parse_args, run

from dropnas.errors import DropnasError
from dropnas.training.signals import EXIT_STOPPED, SIGNALS

OWN_SIGNALS = "SIGQUIT"  # the only signal that torch's launcher may handle
# if a signal comes before a process has set its handlers, its exit code is minus the signal's number
STOPPED = {EXIT_STOPPED, *(-number for number in SIGNALS)}


def launch(processes: int, module: Sequence[str]) -> int:
    """Run `python -m MODULE…` in several processes, with RANK, WORLD_SIZE and LOCAL_RANK in their environment.

    Returns:
        0 if all succeeded, EXIT_STOPPED if a signal stopped all of them, otherwise 1.

    Raises:
        DropnasError: this process was itself started by torchrun.
    """
    if "RANK" in os.environ:
        raise DropnasError("torchrun has started this process", remedy="remove --processes")
    for number in SIGNALS:
        signal.signal(number, _pass_on)
    _silence()
    count = ["--standalone", "--nproc-per-node", str(processes), "--signals-to-handle", OWN_SIGNALS]
    try:
        run(parse_args([*count, "--module", *module]))  # type: ignore[no-untyped-call]
    except ChildFailedError as error:
        rank, first = error.get_first_failure()
        others = {failure.exitcode for failure in error.failures.values() if failure.exitcode > 0} - {EXIT_STOPPED}
        if first.exitcode in STOPPED and not others:
            return EXIT_STOPPED
        print(f"error: process {rank} of {processes} ended first, with status {first.exitcode}", file=sys.stderr)
        return 1
    return 0


def _silence() -> None:
    """Switch off the log of torch's launcher; the processes and this module report all errors."""
    logger = logging.getLogger("torch.distributed.elastic")
    logger.addHandler(logging.NullHandler())
    logger.propagate = False


def _pass_on(number: int, frame: FrameType | None) -> None:
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    if not children:
        raise SystemExit(EXIT_STOPPED)  # no process has started yet
    # a terminal sends SIGINT to the processes too, and a second SIGINT would end them at once
    passed = signal.SIGTERM if number == signal.SIGINT else number
    for child in children:
        os.kill(int(child), passed)
