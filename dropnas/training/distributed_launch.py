"""The processes of one training on this host, started as `torchrun` starts them, that end as one.

Design: torch's own launcher starts and watches them. Two things it does otherwise, so they are done here: it would
end the processes 30 seconds after a warning, and it ends with status 1 whatever theirs was. Here a warning is passed
on to each of them and the launcher waits; they agree on a step, the leader saves, and all end with EXIT_STOPPED, and so
does the launcher. Where one fails otherwise, torch's launcher ends the others.
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

OWN_SIGNALS = "SIGINT,SIGHUP,SIGQUIT"  # that torch's launcher may have
STOPPED = {EXIT_STOPPED, *(-number for number in SIGNALS)}  # a warning in the first second comes before all handlers


def launch(processes: int, module: Sequence[str]) -> int:
    """Run `python -m MODULE…` in several processes, with RANK, WORLD_SIZE and LOCAL_RANK in their environment.

    Returns:
        0 if all succeeded, EXIT_STOPPED if all were stopped by a warning, else 1.

    Raises:
        DropnasError: this process is itself one of several.
    """
    if "RANK" in os.environ:
        raise DropnasError("torchrun has started this process", remedy="leave --processes away")
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
    """Have torch's launcher log nothing: the processes report their own errors, and the rest is reported here."""
    logger = logging.getLogger("torch.distributed.elastic")
    logger.addHandler(logging.NullHandler())
    logger.propagate = False


def _pass_on(number: int, frame: FrameType | None) -> None:
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    if not children:
        raise SystemExit(EXIT_STOPPED)  # nothing has begun yet
    for child in children:
        os.kill(int(child), number)
