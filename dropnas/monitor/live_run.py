"""The verb `run`: starts the workflow and shows its progress until it ends. Snakemake's own output goes to a log file.

Design choices: the progress is read from the store, as in `watch`. A separate process makes the results with the frozen
copy of the source, so editing the checkout does not affect them. Neither disturbs the workflow.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO

from dropnas.errors import DropnasError
from dropnas.monitor.display import failures, show
from dropnas.monitor.estimate import HOUR
from dropnas.monitor.watch import Snapshot, Watch
from dropnas.pipeline.freeze import read_plan
from dropnas.pipeline.start import Start, until_stopped
from dropnas.runs.stage_groups import RESULT_STAGES

SNAKEMAKE = ("-m", "snakemake")
LOG_TAIL_LINES = 15  # lines of Snakemake's log that are shown if no run failed


def run(start: Start, parameters: Path, root: Path, *, verbose: bool = False) -> int:
    """Run Snakemake on the frozen plan of a parameter file, and show the progress.

    Args:
        verbose: whether to show Snakemake's output instead of the progress.

    Returns:
        Snakemake's exit status, or 128 plus the number of the signal if a signal stopped the workflow.
    """
    plan = read_plan(start.folder, root)
    watch = Watch(plan, root, start.targets)
    log = root / "logs" / plan["profile"] / f"snakemake-{datetime.now():%Y%m%d-%H%M%S}.log"
    print(f"plan {start.folder.name}: {parameters}", flush=True)
    complete = False
    with suppress(DropnasError, OSError):  # the workflow itself reports unreadable files
        complete = watch.look().complete
    if complete and not start.forced:
        print(f"nothing to do: all {len(watch.runs)} runs are done", flush=True)
        status = 0
    elif verbose:
        status = until_stopped([sys.executable, *SNAKEMAKE, *start.arguments], start.environment, start.resume_command)
    else:
        status = _shown(start, watch, log, root)
    if status < 128:
        print(_begin_results(start, root, subprocess.PIPE).communicate()[0], end="", flush=True)
    if 0 < status < 128:
        print(*_reasons(watch, log, start.resume_command), sep="\n", file=sys.stderr, flush=True)
    return status


def _shown(start: Start, watch: Watch, log: Path, root: Path) -> int:
    """Run Snakemake and show the progress; return Snakemake's exit status."""
    print(f"Snakemake's output: {log}", flush=True)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w", encoding="utf-8") as output:
        renewal = Renewal(lambda: _begin_results(start, root, output))

        def follow(process: "subprocess.Popen[bytes]") -> None:
            def ended(seconds: float) -> bool:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(seconds)
                return process.returncode is not None

            try:
                show(watch, over=ended, seen=renewal)
            except (DropnasError, OSError) as error:  # a damaged record must not stop the workflow
                print(f"the progress cannot be shown: {error}", file=sys.stderr, flush=True)

        command = [sys.executable, *SNAKEMAKE, *start.arguments]
        return until_stopped(command, start.environment, start.resume_command, output, follow)


@dataclass
class Renewal:
    """Updates the results during the workflow: after each table or figure, and every hour if a run has finished."""

    begin: Callable[[], "subprocess.Popen[str]"]  # starts a process that updates the results
    _shown: Snapshot | None = None  # the snapshot at the last update, which may still be in progress
    _process: "subprocess.Popen[str] | None" = None

    def __call__(self, snapshot: Snapshot) -> None:
        """Start an update if one is due and none is in progress."""
        self._shown = self._shown or snapshot
        new = snapshot.done - self._shown.done
        finished = any(id_ in new and run["stage"] in RESULT_STAGES for id_, run in snapshot.runs.items())
        busy = self._process is not None and self._process.poll() is None
        if new and not busy and (finished or snapshot.time >= self._shown.time + HOUR):
            self._shown, self._process = snapshot, self.begin()


def _begin_results(start: Start, root: Path, output: IO[str] | int) -> "subprocess.Popen[str]":
    """Start a process that copies the finished tables to `results/`, makes the page, and prints a summary."""
    command = [sys.executable, "-m", "dropnas", "results", str(start.folder), *start.targets, "--root", str(root)]
    environment = {**os.environ, **start.environment}
    return subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT, text=True)


def _reasons(watch: Watch, log: Path, again: str) -> list[str]:
    """What `run` prints when Snakemake failed: the failed runs or the end of Snakemake's log, and how to continue."""
    found, done = [], ""
    with suppress(DropnasError, OSError):
        snapshot = watch.look(doubt=True)
        found = list(failures(snapshot.failed, snapshot.runs))
        done = f"{len(snapshot.done)} of {len(snapshot.runs)} runs are done and will not be repeated. "
    if not found:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
        found = [f"Snakemake failed; the last lines of {log}:", *(f"    {line}" for line in lines[-LOG_TAIL_LINES:])]
    return ["", *found, f"{done}To continue: {again}"]
