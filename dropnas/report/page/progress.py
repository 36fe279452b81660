"""How far each table and figure is, what is still to be done, and when it will be finished."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from dropnas.report.page.device_hours import PageCost
from dropnas.report.page.phrases import count
from dropnas.report.page.planned import Content
from dropnas.report.page.survey import Found, State
from dropnas.report.printed import title

HOUR = 3600.0


@dataclass(frozen=True)
class Target:
    """A table or figure: how many of its runs are in which state.

    Attributes:
        name, title: what it is called in the plan and on the page.
        on_request: whether it is built only where somebody asks for it.
        runs: how many runs it needs.
        counts: how many are done, running, missing, excluded, in this order.
        state: of its own last run.
        percent: how many of them are done, rounded down.
    """

    name: str
    title: str
    on_request: bool
    runs: int
    counts: tuple[int, ...]
    state: str
    percent: int


@dataclass(frozen=True)
class Progress:
    """How far the plan is, in sentences: "312 of 1,044 runs done"; its cost; when it will be finished."""

    finished: bool
    done: str
    cost: str
    until: str


def targets(content: Content, found: Mapping[str, Found]) -> list[Target]:
    """Every table and figure of the plan."""
    return [_target(name, content, found) for name in content.folders]


def progress(default: Sequence[Found], cost: PageCost) -> Progress:
    """How far the runs are that are made without being asked for by name."""
    states = in_states(default)
    finished = states[State.DONE] == len(default)
    others = "".join(f", {states[state]} {state}" for state in (State.RUNNING, State.EXCLUDED) if states[state])
    done = f"All {count(len(default), 'run')} done." if finished else ""
    done = done or f"{states[State.DONE]:,} of {count(len(default), 'run')} done{others}."
    return Progress(finished, done, _cost(cost, finished), "" if finished else _until(default, cost))


def in_states(found: Sequence[Found]) -> dict[State, int]:
    """How many runs are in each state."""
    counted = Counter(one.state for one in found)
    return {state: counted[state] for state in State}


def default_runs(content: Content, found: Mapping[str, Found]) -> list[Found]:
    """The runs that are made without being asked for by name."""
    return [one for one in found.values() if content.by_default(one.run)]


def by_stage(found: Sequence[Found], state: State) -> dict[str, list[Found]]:
    """The runs in a state, by stage in the order of the plan."""
    chosen: dict[str, list[Found]] = {}
    for one in found:
        if one.state is state:
            chosen.setdefault(one.run.stage, []).append(one)
    return chosen


def _target(name: str, content: Content, found: Mapping[str, Found]) -> Target:
    own = [one for one in found.values() if name in one.run.used_by]
    counted = in_states(own)
    state = str(found[content.target(name).id].state)
    percent = 100 * counted[State.DONE] // len(own)
    return Target(name, title(name), name in content.on_request, len(own), tuple(counted.values()), state, percent)


def _cost(cost: PageCost, finished: bool) -> str:
    if cost.whole is None or not cost.whole.hours.known:
        return ""
    total, left = (str(hours).replace(">", "more than") for hours in (cost.whole.hours, cost.whole.left))
    return f"Total: {total} {cost.unit}, {'all done' if finished else f'{left} still to do'}."


def _until(default: Sequence[Found], cost: PageCost) -> str:
    """When it will be finished at the pace so far: hours done between the first start and the newest end."""
    timed = [one.record for one in default if one.counts and one.record.get("started") and one.record.get("ended")]
    if not timed or cost.whole is None or not cost.whole.left.known:
        return ""
    first, newest = (pick(_time(record[name]) for record in timed) for pick, name in ((min, "started"), (max, "ended")))
    elapsed = (newest - first).total_seconds() / HOUR
    done = cost.whole.hours.known - cost.whole.left.known
    if elapsed <= 0 or done <= 0:
        return ""
    end = newest + timedelta(hours=cost.whole.left.known * elapsed / done)
    return f"At the pace so far it will be finished around {end:%Y-%m-%d}."


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
