"""Starts the workflow: freezes the plan of a parameter file, then runs Snakemake on the frozen copy until it ends.

Design: Snakemake and all that it starts here form a process group of their own, so that a terminal's signals reach only
this process. The first SIGINT (Ctrl-C), SIGTERM or SIGHUP asks all of them to stop: trainings save their state and end,
Snakemake begins nothing more. The second kills them; a killed training loses no more than since its last checkpoint.
What runs on a cluster goes on: its scheduler has it.
"""

import ctypes
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from dropnas.errors import DropnasError
from dropnas.pipeline.freeze import PLAN, freeze
from dropnas.runs.files import read_json

STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PR_SET_PDEATHSIG = 1  # of prctl(2)
TARGETS = "DROPNAS_TARGETS"  # that were asked for by name: the results show these and no others


def start(parameters: Path, options: list[str], root: Path) -> int:
    """Run `snakemake` on the frozen plan; further options are Snakemake's.

    Returns:
        its exit status; of a start that was stopped 128 and the number of the signal.

    Raises:
        DropnasError: the parameters or targets are wrong, or Snakemake is not installed.
    """
    if not shutil.which("snakemake", path=os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])):
        raise DropnasError("Snakemake is not installed", remedy="make setup, or pip install 'dropnas[workflow]'")
    frozen = (root / freeze(parameters, root)).resolve()
    targets = _targets(options)
    _require_known(targets, read_json(frozen / PLAN)["targets"])
    source = frozen / "source"
    if not any(option.startswith(("--profile", "--workflow-profile")) for option in options):
        options = ["--workflow-profile", str(source / "profiles" / "default"), *options]
    command = ["--snakefile", str(source / "Snakefile"), "--directory", str(root.resolve()), *options]
    print(f"plan {frozen.name}: {parameters}", flush=True)
    again = f"python -m dropnas run {parameters}"
    return until_stopped([sys.executable, "-m", "snakemake", *command], {TARGETS: " ".join(targets)}, again)


def until_stopped(command: Sequence[str], environment: dict[str, str], again: str) -> int:
    """Run a command as a process group of its own until it ends or is stopped; gives its status.

    Args:
        again: what to type to go on.
    """
    environment = {**os.environ, **environment}
    process = subprocess.Popen(command, env=environment, process_group=0, preexec_fn=_end_with_parent)
    with _passed_on(process.pid) as asked:
        status = process.wait()
    if not asked:
        return status
    print(f"stopped; what was begun is saved. To go on: {again}", file=sys.stderr, flush=True)
    return 128 + asked[0]


def _end_with_parent() -> None:
    """Have Linux kill this process, but not its jobs, when its parent is killed: two of it would share the jobs."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


@contextmanager
def _passed_on(group: int) -> Iterator[list[int]]:
    """Pass signals on to a process group; gives those that came."""
    came: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        came.append(number)
        print(
            "stopping; once more ends everything at once" if len(came) == 1 else "killed", file=sys.stderr, flush=True
        )
        with suppress(ProcessLookupError):
            os.killpg(group, signal.SIGTERM if len(came) == 1 else signal.SIGKILL)

    before = {number: signal.signal(number, stop) for number in STOPS}
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _targets(options: list[str]) -> list[str]:
    """The targets among Snakemake's options, as it reads them."""
    from snakemake.cli import get_argument_parser

    found, _ = get_argument_parser().parse_known_args(options)
    return list(found.targets)


def _require_known(targets: Sequence[str], known: dict[str, list[str]]) -> None:
    receipts = {receipt for some in known.values() for receipt in some}
    for target in targets:
        if target not in known and target not in receipts:
            raise DropnasError("no such target", where=target, remedy=f"known: {', '.join(known)}")
