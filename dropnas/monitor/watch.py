"""What a plan's runs do now, read from the store again and again until all are done.

The workflow is not asked. Leases say what runs, manifests what is done; the last line of a running run is in its
scratch folder, and the reason of a failure in its job's log. So it watches a cluster as well as this host, from any
process that sees the store, and disturbs nothing.
"""

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

from dropnas.config import Machine
from dropnas.errors import DropnasError
from dropnas.monitor.estimate import Estimate, Known, read_known
from dropnas.monitor.timings import HOUR
from dropnas.monitor.words import cells
from dropnas.monitor.work import COSTLY
from dropnas.parsing import parse
from dropnas.pipeline.compute import PROGRESS
from dropnas.runs.attempts import read as read_attempts
from dropnas.runs.store import Store

EPOCH = re.compile(r"\bepoch (\d+)/(\d+)")
TAIL = 64_000  # bytes of a log that are read
NEARLY = 0.99  # the part of a run that is done if it takes longer than expected


@dataclass(frozen=True)
class Running:
    """A run at work.

    Attributes:
        started: seconds since the epoch; None in its first moment.
        line: its last line.
        part: how much of it is done, from 0 to 1.
        group: how many runs share its time.
    """

    run: dict[str, Any]
    started: float | None
    line: str
    part: float
    group: int

    @property
    def epoch(self) -> str:
        """Its last epoch, or its last line before the first one ends."""
        found = EPOCH.search(self.line)
        return found[0] if found else self.line


@dataclass(frozen=True)
class Failed:
    """A run that was begun and that nobody works on: why, and in which log; None if it was stopped."""

    run: dict[str, Any]
    reason: str
    log: Path | None


@dataclass(frozen=True)
class Snapshot:
    """A plan at a moment.

    Attributes:
        title: profile and description.
        runs: that are watched, in the plan's order.
        done: their ids.
        running, failed: of them.
        spent: device-hours of what is done.
        left: device-hours of the trainings that are not done, if known.
        unknown: how many trainings have unknown hours.
        part: how much is done by expected hours, from 0 to 1.
        unit: GPU-hours or CPU-hours.
        jobs: how many trainings run at a time; a group counts as one.
        hours: until all is done, if as many jobs run as now.
        last, next: the last result and the next one, in words; empty if there is none.
        time: seconds since the epoch.
    """

    title: str
    runs: Sequence[dict[str, Any]]
    done: frozenset[str]
    running: Sequence[Running]
    failed: Sequence[Failed]
    spent: float
    left: dict[str, float]
    unknown: int
    part: float
    unit: str
    jobs: int
    hours: float
    last: str
    next: str
    time: float

    @property
    def complete(self) -> bool:
        """Whether all is done."""
        return len(self.done) == len(self.runs)


@dataclass
class Watch:
    """Reads the state of a plan's runs; what is done is not read twice.

    Args:
        plan: as plan.json holds it.
        root: of the store.
        targets: names of tables and figures; by default all that are built by default.
    """

    plan: dict[str, Any]
    root: Path
    targets: Sequence[str] = ()
    _done: set[str] = field(default_factory=set)
    _known: Known | None = None
    _estimates: dict[str, Estimate] = field(default_factory=dict)
    _last: str = ""

    def __post_init__(self) -> None:
        """Find the runs that are watched.

        Raises:
            DropnasError: a target that the plan lacks.
        """
        every = {name for run in self.plan["runs"] for name in run["used_by"]}
        unknown = sorted(set(self.targets) - every)
        if unknown:
            raise DropnasError(f"no target {unknown[0]!r}", remedy=f"known: {', '.join(sorted(every))}")
        wanted = set(self.targets) or every - set(self.plan["on_request"])
        self.runs = [run for run in self.plan["runs"] if wanted & set(run["used_by"])]
        self.by_id = {run["id"]: run for run in self.runs}
        self._last_runs = set(self.by_id) - {source for run in self.runs for source in run["inputs"]}
        self.cells = list(cells(self.by_id))
        self.store = Store(self.root)
        self._jobs = {id_: job for job in self.plan["jobs"] for id_ in job["runs"]}

    def look(self) -> Snapshot:
        """The plan now."""
        now = time.time()
        states = {id_: "done" if id_ in self._done else self._state(run) for id_, run in self.by_id.items()}
        known = self._renewed({id_ for id_, state in states.items() if state == "done"})
        runs = list(self._needed())
        running = [self._running(run, now) for run in runs if states[run["id"]] == "running"]
        parts = dict.fromkeys(self._done, 1.0) | {one.run["id"]: one.part for one in running}
        trainings = {run["id"]: self._estimates[run["id"]].hours for run in runs if run["stage"] in COSTLY}
        hours = {id_: expected for id_, expected in trainings.items() if expected is not None}
        left = {id_: expected * (1 - parts.get(id_, 0)) for id_, expected in hours.items() if id_ not in self._done}
        shares = [1 / one.group for one in running if one.run["id"] in trainings]
        return Snapshot(
            title=f"{self.plan['profile']}: {self.plan['description']}",
            runs=runs,
            done=frozenset(self._done),
            running=running,
            failed=list(self._failed([run for run in runs if states[run["id"]] == "missing"])),
            spent=sum(expected * parts.get(id_, 0) for id_, expected in hours.items()),
            left=left,
            unknown=len(trainings) - len(hours),
            part=self._part(runs, hours, parts),
            unit=known.device.unit if known.device else "device-hours",
            jobs=round(sum(shares)),
            hours=hours_left(runs, left, round(sum(shares))),
            last=self._last,
            next=self._next(running, left),
            time=now,
        )

    def _needed(self) -> Iterator[dict[str, Any]]:
        """The runs that are done, and those that a target which is not done waits for; others may have been pruned."""
        wanted = set(self._last_runs)
        for run in reversed(self.runs):  # what reads a run comes after it
            if run["id"] in wanted - self._done:
                wanted |= set(run["inputs"])
        return (run for run in self.runs if run["id"] in wanted | self._done)

    def _state(self, run: dict[str, Any]) -> str:
        return self.store.state(run["id"], self.root / run["folder"])

    def _renewed(self, done: set[str]) -> Known:
        """What is known, read again if further runs are done."""
        if self._known is None or done != self._done:
            self._done = done
            self._known = read_known(self.root, parse(Machine, self.plan["machine"], "plan.json"))
            self._estimates = self._known.estimates(self.runs)
            self._last = self._last_result(self._known)
        return self._known

    def _last_result(self, known: Known) -> str:
        """The first cell with the training that ended last."""
        ended = {one.folder: one.ended for one in known.took.values()}
        results = [(ended[path], cell) for cell in self.cells for path in cell.trainings.values() if path in ended]
        return max(results, key=lambda one: one[0])[1].result(self._done, self.root) if results else ""

    def _next(self, running: Sequence[Running], left: Mapping[str, float]) -> str:
        """The cell whose next training ends first, or else the first cell that is not done."""
        soon = {one.run["id"]: left[one.run["id"]] * one.group for one in running if one.run["id"] in left}
        waiting = [(cell, id_) for cell in self.cells for id_ in cell.trainings if id_ not in self._done]
        if not waiting:
            return ""
        cell, id_ = min(waiting, key=lambda one: soon.get(one[1], float("inf")))
        done = sum(training in self._done for training in cell.trainings)
        when = f" in about {duration(soon[id_] * HOUR)}" if id_ in soon else ""
        return cell.name + cell.count(done + 1, ", ") + when

    def _part(self, runs: Sequence[Mapping[str, Any]], hours: Mapping[str, float], parts: Mapping[str, float]) -> float:
        """How much is done. A training with unknown hours counts as the mean of the others."""
        typical = fmean(hours.values()) if hours else 1.0
        weights = {run["id"]: hours.get(run["id"], typical) for run in runs if run["stage"] in COSTLY}
        if not sum(weights.values()):
            weights = {run["id"]: 1.0 for run in runs}
        done = sum(weight * parts.get(id_, 0) for id_, weight in weights.items()) / sum(weights.values())
        return 1.0 if len(self._done) == len(runs) else min(done, NEARLY)

    def _running(self, run: dict[str, Any], now: float) -> Running:
        scratch = self.store.scratch(run["id"])
        attempts = read_attempts(scratch)
        started, group = (attempts[-1].started, attempts[-1].group) if attempts else (None, 1)
        line = _text(scratch / PROGRESS).strip().removeprefix(f"{run['name']}: ")
        hours, part = self._estimates[run["id"]].hours, 0.0
        if epochs := EPOCH.search(line):
            part = int(epochs[1]) / max(int(epochs[2]), 1)
        elif started and hours:
            part = min((now - started) / HOUR / hours / group, NEARLY)
        return Running(run, started, line, part, group)

    def _failed(self, missing: Sequence[dict[str, Any]]) -> Iterator[Failed]:
        """Of the runs that nobody works on, those that failed, by their logs, and those that were stopped."""
        for run in missing:
            log = self._log(run)
            if reason := failure(_text(log), run):
                yield Failed(run, reason, log)
            elif (scratch := self.store.scratch(run["id"])).is_dir() and read_attempts(scratch):
                yield Failed(run, "stopped", None)

    def refused(self) -> Iterator[Failed]:
        """Published runs that their jobs do not accept, such as damaged ones, by their logs."""
        for run in self.runs:
            log = self._log(run)
            if run["id"] in self._done and (reason := failure(_text(log), run)):
                yield Failed(run, reason, log)

    def _log(self, run: Mapping[str, Any]) -> Path:
        job = self._jobs[run["id"]]
        return self.root / "logs" / str(self.plan["profile"]) / str(job["rule"]) / str(job["attempts"])


def hours_left(runs: Sequence[Mapping[str, Any]], left: Mapping[str, float], jobs: int) -> float:
    """Hours until all runs are done: those left shared by the jobs, or the longest chain of runs if that is more.

    Args:
        runs: with their ids and inputs, inputs before what reads them.
        left: device-hours of those that are not done, by id.
        jobs: how many run at a time.
    """
    chain: dict[str, float] = {}
    for run in runs:
        before = max((chain.get(source, 0.0) for source in run["inputs"]), default=0.0)
        chain[run["id"]] = before + left.get(run["id"], 0.0)
    return max(sum(left.values()) / max(jobs, 1), max(chain.values(), default=0.0))


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
