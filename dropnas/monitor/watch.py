"""What a plan's runs do now, read from the store again and again until all are done.

The workflow is not asked. Leases say what runs, manifests what is done; the last line of a running run is in its
scratch folder, and the reason of a failure in its job's log. So it watches a cluster as well as this host, from any
process that sees the store, and disturbs nothing.
"""

import re
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from dropnas.config import Machine
from dropnas.errors import DropnasError
from dropnas.monitor.estimate import HOUR, Estimate, read_known
from dropnas.monitor.words import Runs, cells
from dropnas.monitor.work import COSTLY
from dropnas.parsing import parse
from dropnas.pipeline.compute import PROGRESS
from dropnas.runs.attempts import read as read_attempts
from dropnas.runs.store import Store

EPOCH = re.compile(r"\bepoch (\d+)/(\d+)")
TAIL = 64_000  # bytes of a log that are read
NEARLY = 0.99  # the part of a run that is done if it takes longer than expected


@dataclass(frozen=True)
class Watched:
    """A run at a moment."""

    run: dict[str, Any]  # as plan.json describes it
    state: str  # done, running, waiting or failed
    hours: float | None = 0.0  # device-hours of a training, None if unknown; of all else 0
    part: float = 0.0  # how much of it is done, from 0 to 1
    started: float = 0.0  # if it is at work, seconds since the epoch
    line: str = ""  # the last that it said
    group: int = 1  # how many runs share its time
    reason: str = ""  # why it failed; `stopped` if somebody stopped it
    log: Path | None = None  # where more is said of a failure

    @property
    def left(self) -> float:
        """Its device-hours that are left, as far as they are known."""
        return (self.hours or 0.0) * (1 - self.part)


@dataclass(frozen=True)
class Snapshot:
    """A plan at a moment."""

    title: str  # profile and description
    work: tuple[Watched, ...]  # in the plan's order
    unit: str  # GPU-hours or CPU-hours
    last: str  # the last result, in words; empty if there is none
    next: str  # the next one
    time: float  # seconds since the epoch

    @property
    def runs(self) -> Runs:
        """The runs by their ids."""
        return {one.run["id"]: one.run for one in self.work}

    @property
    def done(self) -> frozenset[str]:
        """The ids of those that are done."""
        return frozenset(one.run["id"] for one in self.work if one.state == "done")

    @property
    def complete(self) -> bool:
        """Whether all is done."""
        return len(self.done) == len(self.work)

    @property
    def running(self) -> list[Watched]:
        """Those at work."""
        return [one for one in self.work if one.state == "running"]

    @property
    def failed(self) -> list[Watched]:
        """Those that were begun and that nobody works on."""
        return [one for one in self.work if one.reason]

    @property
    def jobs(self) -> int:
        """How many trainings run at a time; a group counts as one."""
        return round(sum(1 / one.group for one in self.running if one.run["stage"] in COSTLY))

    @property
    def part(self) -> float:
        """How much is done by expected hours, from 0 to 1; unknown hours of a training count as the mean of others."""
        known = [one.hours for one in self.work if one.hours]
        usual = fmean(known) if known else 1.0
        weights = [usual if one.hours is None else one.hours for one in self.work]
        weights = weights if any(weights) else [1.0] * len(weights)
        return 1.0 if self.complete else min(fmean([one.part for one in self.work], weights), NEARLY)


class Watch:
    """Reads the state of the runs of a plan.json, or of those behind some targets; what is done is not read twice."""

    def __init__(self, plan: dict[str, Any], root: Path, targets: Sequence[str] = ()) -> None:
        every = {name for run in plan["runs"] for name in run["used_by"]}
        if unknown := sorted(set(targets) - every):
            raise DropnasError(f"no target {unknown[0]!r}", remedy=f"known: {', '.join(sorted(every))}")
        wanted = set(targets) or every - set(plan["on_request"])
        self.plan, self.root, self.store = plan, root, Store(root)
        self.runs = [run for run in plan["runs"] if wanted & set(run["used_by"])]
        self.by_id = {run["id"]: run for run in self.runs}
        self.cells = list(cells(self.by_id))
        self._last_runs = set(self.by_id) - {source for run in self.runs for source in run["inputs"]}
        self._jobs = {id_: job for job in plan["jobs"] for id_ in job["runs"]}
        self._done: set[str] = set()
        self._estimates: dict[str, Estimate] = {}
        self._unit = self._last = ""

    def look(self) -> Snapshot:
        """The plan now."""
        now, states = time.time(), dict.fromkeys(self._done, "done")
        others = [run for id_, run in self.by_id.items() if id_ not in states]
        states |= {run["id"]: self.store.state(run["id"], self.root / run["folder"]) for run in others}
        done = {id_ for id_, state in states.items() if state == "done"}
        if done != self._done or not self._estimates:
            self._read(done)
        work = tuple(self._watched(run, states[run["id"]], now) for run in self._needed())
        title = f"{self.plan['profile']}: {self.plan['description']}"
        return Snapshot(title, work, self._unit, self._last, self._next(work), now)

    def _needed(self) -> Iterator[dict[str, Any]]:
        """The runs that are done, and those that a target which is not done waits for; others may have been pruned."""
        wanted = set(self._last_runs)
        for run in reversed(self.runs):  # what reads a run comes after it
            if run["id"] in wanted - self._done:
                wanted |= set(run["inputs"])
        return (run for run in self.runs if run["id"] in wanted | self._done)

    def _read(self, done: set[str]) -> None:
        """Read what is known, which changes when further runs are done."""
        known = read_known(self.root, parse(Machine, self.plan["machine"], "plan.json"))
        self._estimates = known.estimates(self.runs)
        self._unit = known.device.unit if known.device else "device-hours"
        ended = {folder: one.ended for folder, one in known.took.items()}
        results = [(ended[path], cell) for cell in self.cells for path in cell.trainings.values() if path in ended]
        last = max(results, key=lambda one: one[0], default=None)  # the first cell with the last training
        self._last = last[1].result(done, self.root) if last else ""
        self._done = done

    def _next(self, work: Sequence[Watched]) -> str:
        """The cell whose next training ends first, or else the first cell that is not done."""
        soon = [one for one in work if one.state == "running" and one.hours is not None]
        hours = {one.run["id"]: one.left * one.group for one in soon}
        waiting = [(cell, id_) for cell in self.cells for id_ in cell.trainings if id_ not in self._done]
        if not waiting:
            return ""
        cell, id_ = min(waiting, key=lambda one: hours.get(one[1], float("inf")))
        when = f" in about {duration(hours[id_] * HOUR)}" if id_ in hours else ""
        return cell.name + cell.count(len(self._done & set(cell.trainings)) + 1, ", ") + when

    def _watched(self, run: dict[str, Any], state: str, now: float) -> Watched:
        hours, scratch = self._estimates[run["id"]].hours, self.store.scratch(run["id"])
        if state == "done":
            return Watched(run, state, hours, 1.0)
        if state == "running":
            return self._running(run, hours, scratch, now)
        reason, log = self._failure(run)
        if reason:
            return Watched(run, "failed", hours, reason=reason, log=log)
        return Watched(run, "waiting", hours, reason="stopped" if scratch.is_dir() and read_attempts(scratch) else "")

    def _running(self, run: dict[str, Any], hours: float | None, scratch: Path, now: float) -> Watched:
        attempts, part = read_attempts(scratch), 0.0
        started, group = (attempts[-1].started, attempts[-1].group) if attempts else (now, 1)
        line = _text(scratch / PROGRESS).strip().removeprefix(f"{run['name']}: ")
        if epochs := EPOCH.search(line):
            part, line = int(epochs[1]) / max(int(epochs[2]), 1), epochs[0]
        elif hours:
            part = min((now - started) / HOUR / hours / group, NEARLY)
        return Watched(run, "running", hours, part, started, line, group)

    def refused(self) -> list[Watched]:
        """Published runs that their jobs do not accept, such as damaged ones, by their logs."""
        done = ((run, *self._failure(run)) for run in self.runs if run["id"] in self._done)
        return [Watched(run, "failed", reason=reason, log=log) for run, reason, log in done if reason]

    def _failure(self, run: dict[str, Any]) -> tuple[str, Path]:
        job = self._jobs[run["id"]]
        log = self.root / "logs" / str(self.plan["profile"]) / str(job["rule"]) / str(job["attempts"])
        return failure(_text(log), run), log


def time_left(work: Iterable[Watched], jobs: int) -> float:
    """Hours until all runs are done, inputs first: those left shared by jobs, or the longest chain if that is more."""
    chain, total = dict[str, float](), 0.0
    for one in work:
        before = max((chain.get(source, 0.0) for source in one.run["inputs"]), default=0.0)
        chain[one.run["id"]] = before + one.left
        total += one.left
    return max(total / max(jobs, 1), max(chain.values(), default=0.0))


def duration(seconds: float) -> str:
    """Days and hours, hours and minutes, or minutes and seconds."""
    minutes, rest = divmod(round(max(seconds, 0.0)), 60)
    hours, minutes = divmod(minutes, 60)
    if hours >= 48:
        return f"{hours // 24} d {hours % 24} h"
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def failure(log: str, run: dict[str, Any]) -> str:
    """Why a run failed: the last line of its job's log if that is its error, or one that ended the job; else empty."""
    begin = f"error: {run['stage']} {run['name']}"
    lines = log.splitlines()
    if lines and lines[-1].startswith("error: ") and not lines[-1].startswith(f"error: {run['stage']} "):
        return lines[-1].removeprefix("error: ")
    own = [line for line in lines if line.startswith((begin, f"{run['name']}: ", f"{run['folder']}: "))]
    return own[-1].removeprefix(begin).lstrip(": ") if own and own[-1].startswith(begin) else ""


def _text(path: Path) -> str:
    """The last part of a file; empty if it does not exist (any more)."""
    try:
        with path.open("rb") as stream:
            stream.seek(max(0, path.stat().st_size - TAIL))
            return stream.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
