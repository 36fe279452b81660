"""The progress of each table and figure, the remaining runs and their cost, and the expected end."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from dropnas.report.page.phrases import count
from dropnas.report.page.planned import Content
from dropnas.report.page.survey import Found, State

HOUR = 3600.0


class Hours(Protocol):
    """Device-hours: the known part; its text says whether another part is unknown."""

    @property
    def known(self) -> float: ...


class Cost(Protocol):
    """The cost of a target: of all its runs, and of those that are not done."""

    @property
    def hours(self) -> Hours: ...
    @property
    def left(self) -> Hours: ...


@dataclass(frozen=True)
class PageCost:
    """The cost of each target and in total, its unit, and the basis of the estimate."""

    targets: Mapping[str, Cost]
    whole: Cost | None
    note: str
    unit: str = "device-hours"


CostOf = Callable[[Content, Path], PageCost]  # computes the cost of a plan, given the root of its store


@dataclass(frozen=True)
class Target:
    """A table or figure: whether it is built only on request, its runs in each state, the state of its last run."""

    name: str
    on_request: bool
    counts: dict[State, int]
    state: str

    @property
    def runs(self) -> int:
        """The number of runs that it needs."""
        return sum(self.counts.values())


@dataclass(frozen=True)
class Progress:
    """The progress of a plan as sentences ("312 of 1,044 runs done"), its cost, and its expected end."""

    finished: bool
    done: str
    cost: str
    until: str


def targets(content: Content, found: Mapping[str, Found]) -> list[Target]:
    """Every table and figure of the plan."""
    return [
        Target(
            name,
            name in content.on_request,
            in_states([one for one in found.values() if name in one.run.used_by]),
            str(found[content.target(name).id].state),
        )
        for name in content.folders
    ]


def progress(default: Sequence[Found], cost: PageCost) -> Progress:
    """The progress of the runs that are built by default."""
    states = in_states(default)
    finished = states[State.DONE] == len(default)
    others = "".join(f", {states[state]} {state}" for state in (State.RUNNING, State.EXCLUDED) if states[state])
    done = f"All {count(len(default), 'run')} are done." if finished else ""
    done = done or f"{states[State.DONE]:,} of {count(len(default), 'run')} done{others}."
    return Progress(finished, done, _cost(cost, finished), "" if finished else _until(default, cost))


def in_states(found: Sequence[Found]) -> dict[State, int]:
    """The number of runs in each state."""
    counted = Counter(one.state for one in found)
    return {state: counted[state] for state in State}


def by_stage(found: Sequence[Found], state: State) -> dict[str, list[Found]]:
    """The runs in a state, by stage in the order of the plan."""
    chosen: dict[str, list[Found]] = {}
    for one in found:
        if one.state is state:
            chosen.setdefault(one.run.stage, []).append(one)
    return chosen


def _cost(cost: PageCost, finished: bool) -> str:
    if cost.whole is None or not cost.whole.hours.known:
        return ""
    total, left = (str(hours).replace(">", "more than") for hours in (cost.whole.hours, cost.whole.left))
    return f"They took {total} {cost.unit}." if finished else f"Total: {total} {cost.unit}, {left} still to do."


def _until(default: Sequence[Found], cost: PageCost) -> str:
    """The expected end at the pace so far: the finished hours between the first start and the newest end."""
    timed = [one.record for one in default if one.counts and one.record.get("started") and one.record.get("ended")]
    if not timed or cost.whole is None or not cost.whole.left.known:
        return ""
    first = min(datetime.fromisoformat(record["started"]) for record in timed)
    newest = max(datetime.fromisoformat(record["ended"]) for record in timed)
    elapsed, done = (newest - first).total_seconds() / HOUR, cost.whole.hours.known - cost.whole.left.known
    if elapsed <= 0 or done <= 0:
        return ""
    end = newest + timedelta(hours=cost.whole.left.known * elapsed / done)
    return f"At the pace so far, it will finish around {end:%Y-%m-%d}."
