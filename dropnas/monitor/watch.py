"""The state of a plan's runs, read from the store.

Leases show which runs are running, and manifests show which runs are done. A run's scratch folder contains its last
output line, and the log of its job contains the reason for a failure. The workflow itself is not involved. Any process
that can read the store can therefore watch a workflow without disturbing it, even on a cluster.
"""

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pandas import DataFrame

from dropnas.config import Machine
from dropnas.errors import DropnasError
from dropnas.monitor.estimate import HOUR, number, read_known
from dropnas.monitor.words import RunsById, cells, counted, joined, result
from dropnas.parsing import parse
from dropnas.pipeline.compute import PROGRESS
from dropnas.runs.attempts import read as read_attempts
from dropnas.runs.stage_groups import TRAINING_STAGES
from dropnas.runs.store import Store

EPOCH_LINE = re.compile(r"\bepoch (\d+)/(\d+)")
LOG_TAIL_BYTES = 64_000  # bytes read from the end of a log
MOST_UNFINISHED = 0.99  # largest share of an unfinished run that is shown as done
WAITING = {"state": "waiting", "part": 0.0, "started": 0.0, "line": "", "group": 1, "reason": "", "log": ""}
FINISHED = {**WAITING, "state": "done", "part": 1.0}


@dataclass(frozen=True)
class Snapshot:
    """The state of a plan at one point in time.

    `work` has a row for each run, indexed by id and in the plan's order. It has the columns of `Known.frame` and these:

    - `state`: done, running, waiting or failed
    - `part`: the share of the run that is done, from 0 to 1
    - `started`: the time at which a run in progress started (Unix time)
    - `line`: the last output line of a run in progress
    - `group`: for a run in progress, the number of runs that its job trains together, including this one
    - `reason`: why a run failed or stopped
    - `log`: the log of a failed run
    """

    title: str  # profile and description
    work: DataFrame
    runs: RunsById  # the runs as listed in plan.json
    unit: str  # GPU-hours or CPU-hours
    last: str  # the last result, in words; empty if there is none
    next: str  # the next result, in words; empty if there is none
    time: float  # Unix time

    @property
    def done(self) -> frozenset[str]:
        """The ids of the finished runs."""
        return frozenset(self.work.index[self.work.state == "done"])

    @property
    def complete(self) -> bool:
        """Whether all runs are done."""
        return len(self.done) == len(self.work)

    @property
    def running(self) -> DataFrame:
        """The rows of the runs in progress."""
        return self.work[self.work.state == "running"]

    @property
    def failed(self) -> DataFrame:
        """The rows of runs that failed or stopped."""
        return self.work[self.work.reason != ""]

    @property
    def jobs(self) -> int:
        """The number of trainings that run at the same time; a group counts as one."""
        return round((1 / self.running.group[self.running.stage.isin(TRAINING_STAGES)]).sum())

    @property
    def part(self) -> float:
        """The share of the expected hours that is done, from 0 to 1; unknown hours count as the mean of known ones."""
        hours = self.work.hours
        weights = hours.fillna(hours[hours > 0].mean() if (hours > 0).any() else 1.0)
        weights = weights if weights.any() else weights + 1.0
        return 1.0 if self.complete else min(float(np.average(self.work.part, weights=weights)), MOST_UNFINISHED)


class Watch:
    """Reads the state of the runs of a plan.json that some targets need; by default, all targets not on request."""

    def __init__(self, plan: Mapping[str, Any], root: Path, targets: Sequence[str] = ()) -> None:
        every = {name for run in plan["runs"] for name in run["used_by"]}
        if unknown := sorted(set(targets) - every):
            raise DropnasError(f"no target {unknown[0]!r}", remedy=f"known: {', '.join(sorted(every))}")
        wanted = set(targets) or every - set(plan["on_request"])
        self.plan, self.root, self.store = plan, root, Store(root)
        self.runs = {run["id"]: run for run in plan["runs"] if wanted & set(run["used_by"])}
        self._cells = cells(self.runs)
        self._last_runs = set(self.runs) - {source for run in self.runs.values() for source in run["inputs"]}
        self._jobs = {id_: job for job in plan["jobs"] for id_ in job["runs"]}
        self._done: set[str] = set()
        self._frame = DataFrame()
        self._unit = self._last = ""

    def look(self, *, doubt: bool = False) -> Snapshot:
        """Read the plan's state. With `doubt`, a finished run also gets a `reason` if its job's log has an error."""
        now, states = time.time(), dict.fromkeys(self._done, "done")
        others = [run for id_, run in self.runs.items() if id_ not in states]
        states |= {run["id"]: self.store.state(run["id"], self.root / run["folder"]) for run in others}
        done = {id_ for id_, state in states.items() if state == "done"}
        if done != self._done or self._frame.empty:
            self._read(done)
        needed = self._needed()
        work = self._frame.loc[[id_ in needed for id_ in self.runs]]
        found = [self._now(self.runs[id_], states[id_], now, doubt=doubt) for id_ in work.index]
        work = work.join(DataFrame(found, index=work.index))
        work["left"] = work.hours.fillna(0.0) * (1 - work.part)
        title = f"{self.plan['profile']}: {self.plan['description']}"
        return Snapshot(title, work, self.runs, self._unit, self._last, self._next(work), now)

    def _needed(self) -> set[str]:
        """The runs that are done, and the runs that unfinished targets need; other runs may have been pruned."""
        wanted = set(self._last_runs)
        for id_, run in reversed(self.runs.items()):  # a run comes after its inputs
            if id_ in wanted - self._done:
                wanted |= set(run["inputs"])
        return wanted | self._done

    def _read(self, done: set[str]) -> None:
        """Update the known times and the last result after more runs have finished."""
        known = read_known(self.root, parse(Machine, self.plan["machine"], "plan.json"))
        self._frame, self._unit, self._done = known.frame([*self.runs.values()]), known.unit, done
        self._cells["done"] = self._cells.id.isin(done)
        cells = self._cells.assign(ended=self._cells.folder.map(known.took.set_index("folder").ended))
        last = cells.dropna(subset="ended").sort_values("ended", ascending=False, kind="stable").head(1).cell
        self._last = "".join(result(cell, self.root) for _, cell in cells[cells.cell.isin(last)].groupby("cell"))

    def _next(self, work: DataFrame) -> str:
        """The unfinished table cell whose next training ends first, or else the first unfinished one."""
        ends = (work.left * work.group).where(work.state == "running").where(work.hours.notna())
        waiting = self._cells[~self._cells.done].assign(hours=lambda rows: rows.id.map(ends))
        if waiting.empty:
            return ""
        first = waiting.sort_values("hours", kind="stable").iloc[0]  # unknown hours come last
        cell = self._cells[self._cells.cell == first.cell]
        when = f"in about {number(first.hours)} h" if first.hours >= 0 else ""
        return joined(first.cell, counted(int(cell.done.sum()) + 1, cell), when)

    def _now(self, run: Mapping[str, Any], state: str, now: float, *, doubt: bool) -> dict[str, Any]:
        """The columns that are added to the row of a run."""
        if state == "running":
            return self._running(run, now)
        found, scratch = FINISHED if state == "done" else WAITING, self.store.scratch(run["id"])
        if state == "done" and not doubt:
            return found
        job = self._jobs[run["id"]]
        log = self.root / "logs" / str(self.plan["profile"]) / str(job["rule"]) / str(job["attempts"])
        if reason := failure(_text(log), run):
            return {**found, "state": "done" if state == "done" else "failed", "reason": reason, "log": str(log)}
        stopped = state != "done" and scratch.is_dir() and read_attempts(scratch)
        return {**found, "reason": "stopped" if stopped else ""}

    def _running(self, run: Mapping[str, Any], now: float) -> dict[str, Any]:
        scratch, hours, part = self.store.scratch(run["id"]), self._frame.hours[run["id"]], 0.0
        attempts = read_attempts(scratch)
        started, group = (attempts[-1].started, attempts[-1].group) if attempts else (now, 1)
        line = _text(scratch / PROGRESS).strip().removeprefix(f"{run['name']}: ")
        if epochs := EPOCH_LINE.search(line):
            part, line = int(epochs[1]) / max(int(epochs[2]), 1), epochs[0]
        elif hours > 0:
            part = min((now - started) / HOUR / hours / group, MOST_UNFINISHED)
        return {**WAITING, "state": "running", "part": part, "started": started, "line": line, "group": group}


def time_left(work: DataFrame, jobs: int) -> float:
    """Estimate the hours until all runs are done, given the number of `jobs` that run at the same time.

    The estimate is the remaining hours divided by `jobs`, but at least the hours of the longest chain of runs. In
    `work`, runs come after their inputs.
    """
    chain = dict[str, float]()
    for id_, inputs, left in zip(work.index, work.inputs, work.left, strict=True):
        chain[id_] = left + max((chain.get(source, 0.0) for source in inputs), default=0.0)
    return max(work.left.sum() / max(jobs, 1), max(chain.values(), default=0.0))


def failure(log: str, run: Mapping[str, Any]) -> str:
    """Find in a job's log why a run failed: the error that ended the job, or the run's own error; empty if neither."""
    begin = f"error: {run['stage']} {run['name']}"
    lines = log.splitlines()
    if lines and lines[-1].startswith("error: ") and not lines[-1].startswith(f"error: {run['stage']} "):
        return lines[-1].removeprefix("error: ")
    own = [line for line in lines if line.startswith((begin, f"{run['name']}: ", f"{run['folder']}: "))]
    return own[-1].removeprefix(begin).lstrip(": ") if own and own[-1].startswith(begin) else ""


def _text(path: Path) -> str:
    """The last part of a file; empty if the file does not exist or was removed."""
    try:
        with path.open("rb") as stream:
            stream.seek(max(0, path.stat().st_size - LOG_TAIL_BYTES))
            return stream.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
