"""How far each table and figure is, what was kept out of the numbers, and what is still to be done."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from dropnas.report.page.planned import Content
from dropnas.report.page.survey import Found, State
from dropnas.report.printed import title


@dataclass(frozen=True)
class Target:
    """A table or figure: how many of its runs are in which state.

    Attributes:
        name, title: what it is called in the plan and on the page.
        on_request: whether it is built only where somebody asks for it.
        runs: how many runs it needs.
        counts: how many are done, running, missing, excluded, in this order.
        state: of its own last run.
        built_of: how many of them are done, in percent, rounded down.
    """

    name: str
    title: str
    on_request: bool
    runs: int
    counts: tuple[int, ...]
    state: str
    built_of: int


def targets(content: Content, found: Mapping[str, Found]) -> list[Target]:
    """Every table and figure of the plan."""
    return [_target(name, content, found) for name in content.folders]


def _target(name: str, content: Content, found: Mapping[str, Found]) -> Target:
    own = [one for one in found.values() if name in one.run.used_by]
    counted = count(own)
    return Target(
        name=name,
        title=title(name),
        on_request=name in content.on_request,
        runs=len(own),
        counts=tuple(counted.values()),
        state=found[content.target(name).id].state,
        built_of=100 * counted[State.DONE] // len(own),
    )


def count(found: list[Found]) -> dict[State, int]:
    """How many runs are in each state."""
    counted = Counter(one.state for one in found)
    return {state: counted[state] for state in State}


def default_runs(content: Content, found: Mapping[str, Found]) -> list[Found]:
    """The runs that are made without being asked for by name."""
    return [one for one in found.values() if content.by_default(one.run)]


def in_state(found: list[Found], state: State) -> dict[str, list[Found]]:
    """The runs in a state, by stage in the order of the plan."""
    chosen: dict[str, list[Found]] = {}
    for one in found:
        if one.state is state:
            chosen.setdefault(one.run.stage, []).append(one)
    return chosen
