"""What a plan's runs do at the moment, read from the store again and again until all are done.

Design choices: nothing is asked of the workflow; leases say what runs, manifests what is done, the last line of a
running one lies in its scratch folder, and why a run failed stands in its job's log. So it watches a cluster as well
as this host, from any process that sees the store, and disturbs nothing.
"""

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from dropnas.config import Machine
from dropnas.errors import DropnasError
from dropnas.monitor.estimate import Estimate, Known, read_known
from dropnas.monitor.pace import HOUR, Rate, hours_to_go, rate
from dropnas.monitor.work import COSTLY
from dropnas.parsing import parse
from dropnas.runs.attempts import read as read_attempts
from dropnas.runs.store import Store

EPOCH = re.compile(r"\bepoch (\d+)/(\d+)")
TAIL = 64_000  # bytes of a log that are looked at
NEARLY = 0.99  # a run that takes longer than expected is nearly done


@dataclass(frozen=True)
class Running:
    """A run in work: since when (seconds since the epoch; None in its first moment), and its last line."""

    run: dict[str, Any]
    started: float | None
    line: str


@dataclass(frozen=True)
class Failed:
    """A run that nobody works on although it was begun: why, and in which log that stands; None if it was stopped."""

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
        left: device-hours of the trainings that are not done, where known.
        unknown: how many trainings' hours are not.
        rate: of the present stretch of work.
        hours: until all is done, if as many jobs go on as run now.
        time: of the snapshot, in seconds since the epoch.
    """

    title: str
    runs: Sequence[dict[str, Any]]
    done: frozenset[str]
    running: Sequence[Running]
    failed: Sequence[Failed]
    left: dict[str, float]
    unknown: int
    rate: Rate | None
    hours: float
    time: float

    @property
    def complete(self) -> bool:
        """Whether all is done."""
        return len(self.done) == len(self.runs)


@dataclass
class Watch:
    """Looks at a plan's runs again and again; what is done is not looked at twice.

    Args:
        plan: as plan.json holds it.
        root: of the store.
        targets: names of tables and figures; without them all that are built by default.
    """

    plan: dict[str, Any]
    root: Path
    targets: Sequence[str] = ()
    _done: set[str] = field(default_factory=set)
    _known: Known | None = None
    _estimates: dict[str, Estimate] = field(default_factory=dict)

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
        self.store = Store(self.root)

    def look(self) -> Snapshot:
        """The plan now."""
        now = time.time()
        states = {run["id"]: self._state(run) for run in self.runs}
        new = {id_ for id_, found in states.items() if found == "done"} - self._done
        if new or self._known is None:
            self._done |= new
            self._known = read_known(self.root, parse(Machine, self.plan["machine"], "plan.json"))
            self._estimates = self._known.estimates(self.runs)
        running = [self._running(run) for run in self.runs if states[run["id"]] == "running"]
        left = {run["id"]: hours for run in self.runs if (hours := self._left(run)) is not None}
        for one in running:
            if one.run["id"] in left:
                left[one.run["id"]] *= 1 - self._part(one, now)
        jobs = sum(one.run["stage"] in COSTLY for one in running)
        return Snapshot(
            title=f"{self.plan['profile']}: {self.plan['description']}",
            runs=self.runs,
            done=frozenset(self._done),
            running=running,
            failed=list(self._failed([run for run in self.runs if states[run["id"]] == "missing"])),
            left=left,
            unknown=sum(estimate.hours is None for estimate in self._estimates.values()),
            rate=rate(self._spans(self._known), [one.started for one in running if one.started], now),
            hours=hours_to_go(self.runs, left, jobs),
            time=now,
        )

    def _state(self, run: dict[str, Any]) -> str:
        return "done" if run["id"] in self._done else self.store.state(run["id"], self.root / run["folder"])

    def _left(self, run: dict[str, Any]) -> float | None:
        """Device-hours of a training that is not done; None of others, and where they are unknown."""
        return self._estimates[run["id"]].hours if run["stage"] in COSTLY and run["id"] not in self._done else None

    def _spans(self, known: Known) -> Iterator[tuple[float, float]]:
        for run in self.runs:
            if run["folder"] in known.took:
                took = known.took[run["folder"]]
                yield datetime.fromisoformat(took.started).timestamp(), datetime.fromisoformat(took.ended).timestamp()

    def _running(self, run: dict[str, Any]) -> Running:
        scratch = self.store.scratch(run["id"])
        return Running(run, _started(scratch), _text(scratch / "progress.txt").strip().removeprefix(f"{run['name']}: "))

    def _part(self, one: Running, now: float) -> float:
        """How much of a run is done, by its last epoch or else by the time that it takes."""
        if epochs := EPOCH.search(one.line):
            return int(epochs[1]) / max(int(epochs[2]), 1)
        hours = self._estimates[one.run["id"]].hours
        return min((now - one.started) / HOUR / hours, NEARLY) if one.started and hours else 0.0

    def _failed(self, missing: Sequence[dict[str, Any]]) -> Iterator[Failed]:
        """Of the runs that nobody works on, those that failed, by their logs, and those that were stopped."""
        jobs = {id_: job for job in self.plan["jobs"] for id_ in job["runs"]}
        for run in missing:
            job = jobs[run["id"]]
            log = self.root / "logs" / self.plan["profile"] / job["stage"] / f"{job['name']}.log"
            if reason := failure(_text(log), run):
                yield Failed(run, reason, log)
            elif read_attempts(self.store.scratch(run["id"])):
                yield Failed(run, "stopped", None)


def failure(log: str, run: dict[str, Any]) -> str:
    """Why a run failed: the last line of its job's log that is about it, or that ended the whole job; empty if none is.

    Lines about a run begin with its name or folder, or, of an error, with its stage and name.
    """
    begin = f"error: {run['stage']} {run['name']}"
    lines = log.splitlines()
    if lines and lines[-1].startswith("error: ") and not lines[-1].startswith(f"error: {run['stage']} "):
        return lines[-1].removeprefix("error: ")
    own = [line for line in lines if line.startswith((begin, f"{run['name']}: ", f"{run['folder']}: "))]
    return own[-1].removeprefix(begin).lstrip(": ") if own and own[-1].startswith(begin) else ""


def _text(path: Path) -> str:
    """The last part of a file; nothing where it is not there (any more)."""
    try:
        with path.open("rb") as stream:
            stream.seek(max(0, path.stat().st_size - TAIL))
            return stream.read().decode(errors="replace")
    except FileNotFoundError:
        return ""


def _started(scratch: Path) -> float | None:
    """When the attempt at a run began; None before it says so."""
    attempts = read_attempts(scratch)
    return attempts[-1].started if attempts else None
