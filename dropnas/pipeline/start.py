"""Starts the workflow: freezes the plan of a parameter file, then runs Snakemake on the frozen copy until it ends.

Design choices: Snakemake and its local jobs form a separate process group, so a terminal's signals reach only this
process. The first SIGINT (Ctrl-C), SIGTERM or SIGHUP asks the whole group to stop: trainings save their state and end,
and Snakemake starts no further job. The second one kills the group; a killed training loses the work since its last
checkpoint. Jobs on a cluster continue, because its scheduler runs them.
"""

import ctypes
import os
import shlex
import shutil
import signal
import subprocess
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO, Any

from dropnas.config import Parameters
from dropnas.errors import DropnasError
from dropnas.pipeline.freeze import freeze, read_plan
from dropnas.pipeline.plan import PAPER, make_plan

STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PR_SET_PDEATHSIG = 1  # of prctl(2)
SHOWN_ELSEWHERE = (
    "DROPNAS_SHOWN"  # environment variable; if set, another process shows the results, so the Snakefile does not
)
FORCED = ("force", "forceall", "forcerun", "touch")  # options that can cause work even if no run is missing
QUERY_OPTIONS = (  # options with which Snakemake only prints something or cleans up
    *("dryrun", "lint", "summary", "detailed_summary", "dag", "rulegraph", "filegraph", "d3dag", "report", "archive"),
    *("list_rules", "list_target_rules", "list_changes", "list_input_changes", "list_params_changes", "list_untracked"),
    *("unlock", "cleanup_metadata", "cleanup_shadow", "delete_all_output", "delete_temp_output", "containerize"),
    *("generate_unit_tests", "export_cwl", "print_compilation", "list_conda_envs", "container_cleanup_images"),
)


@dataclass(frozen=True)
class Start:
    """A frozen start and Snakemake's arguments for it."""

    folder: Path  # the frozen start
    targets: tuple[str, ...]  # the requested tables and figures, including those of `paper`
    arguments: tuple[str, ...]  # command-line arguments for Snakemake
    is_query: bool  # whether Snakemake only prints something and runs no job
    forced: bool  # whether Snakemake may have work to do even if all runs are done
    resume_command: str  # the command with which the user can continue after a stop

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables that make Python import the package from the frozen copy, not from the checkout."""
        path = os.pathsep.join(filter(None, [str(self.folder / "source"), os.environ.get("PYTHONPATH")]))
        return {SHOWN_ELSEWHERE: "1", "PYTHONPATH": path, "PYTHONSAFEPATH": "1"}


def prepare(parameters: Path, options: Sequence[str], root: Path) -> Start:
    """Freeze the plan for the targets in Snakemake's options; `require_targets` must have checked them.

    Raises a DropnasError if the parameters are wrong, or Snakemake is not installed.
    """
    found = _parsed(options)
    asked = sorted(found.targets)
    frozen = (root / freeze(parameters, root, asked)).resolve()
    known = read_plan(frozen, root)
    profile = ["--workflow-profile", str(frozen / "source" / "profiles" / "default")]
    own = any(option.startswith(("--profile", "--workflow-profile")) for option in options)
    where = ["--snakefile", str(frozen / "source" / "Snakefile"), "--directory", str(root.resolve())]
    default = [name for name in known["folders"] if name not in known["on_request"]] if PAPER in asked else []
    return Start(
        folder=frozen,
        targets=tuple(dict.fromkeys([*default, *(name for name in asked if name != PAPER)])),
        arguments=(*where, *([] if own else profile), *options),
        is_query=any(getattr(found, name, None) for name in QUERY_OPTIONS),
        forced=any(getattr(found, name, None) for name in FORCED),
        resume_command=shlex.join(["python", "-m", "dropnas", "run", str(parameters), *options]),
    )


def require_targets(parameters: Parameters, options: Sequence[str]) -> None:
    """Raise a DropnasError if a target in Snakemake's options is not in the plan."""
    if asked := _parsed(options).targets:
        known = [PAPER, *make_plan(parameters).targets]
        for target in asked:
            if target not in known:
                raise DropnasError("no such target", where=target, remedy=f"known: {', '.join(known)}")


def _parsed(options: Sequence[str]) -> Namespace:
    if not shutil.which("snakemake", path=os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])):
        raise DropnasError("Snakemake is not installed", remedy="make setup, or pip install 'dropnas[workflow]'")
    if not options:
        return Namespace(targets=())
    from snakemake.cli import get_argument_parser  # this import takes a second

    found: Namespace = get_argument_parser().parse_known_args(options)[0]
    return found


def run_query(start: Start) -> None:
    """Run Snakemake in this process, for options with which it only prints or cleans up. This ends the process."""
    from snakemake.cli import main

    main(list(start.arguments))


def until_stopped(
    command: Sequence[str],
    environment: dict[str, str],
    resume_command: str,
    output: IO[str] | None = None,
    follow: Callable[["subprocess.Popen[bytes]"], object] = lambda process: process.wait(),
) -> int:
    """Run a command in its own process group until it ends or is stopped.

    Args:
        environment: variables to add to this process's environment.
        resume_command: the command with which the user can continue after a stop.
        output: file for the command's output; by default, the output of this process.
        follow: is called with the process, and must return once the process has ended.

    Returns:
        The exit status; for a stopped command, 128 plus the number of the signal.
    """
    how: Any = {"stdout": output, "stderr": output, "process_group": 0, "preexec_fn": _end_with_parent}
    process = subprocess.Popen(command, env={**os.environ, **environment}, **how)
    with _passed_on(process.pid) as asked:
        follow(process)
        status = process.wait()
    if not asked:
        return status if status >= 0 else 1  # killed from outside
    ended = "stopped; the trainings saved their state" if len(asked) == 1 else "killed; the last checkpoints remain"
    print(f"{ended}. To continue: {resume_command}", file=sys.stderr, flush=True)
    return 128 + asked[0]


def _end_with_parent() -> None:
    """Let Linux kill this process when its parent dies; otherwise it would run the same jobs as a new start."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


@contextmanager
def _passed_on(group: int) -> Iterator[list[int]]:
    """Forward stop signals to a process group; yield the signals received so far."""
    came: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        came.append(number)
        print("stopping; a second signal kills everything" if len(came) == 1 else "killed", file=sys.stderr, flush=True)
        with suppress(ProcessLookupError):
            os.killpg(group, signal.SIGTERM if len(came) == 1 else signal.SIGKILL)

    before = {number: signal.signal(number, stop) for number in STOPS}
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
