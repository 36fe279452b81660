"""The progress of a plan in sentences, its cost, and its expected end."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dropnas.report.page.phrases import count
from dropnas.report.page.planned import Content
from dropnas.report.page.survey import PlannedState

if TYPE_CHECKING:  # `dropnas.monitor.costs` imports this module without pandas
    from pandas import DataFrame


@dataclass(frozen=True)
class PageCost:
    """The cost of a plan.

    Attributes:
        targets: the cost of each target. A cost has the attributes `hours`, for all runs, and `left`, for the runs
            still to do. Both can be converted to text and have an attribute `known`, the sum of the known hours.
        whole: the cost of the whole plan.
        note: the basis of the estimate.
        unit: the unit of all hours.
    """

    targets: Mapping[str, Any]
    whole: Any
    note: str
    unit: str = "device-hours"


CostOf = Callable[[Content, Path], PageCost]  # computes the cost of a plan, given the root of its store


@dataclass(frozen=True)
class PlanProgress:
    """The progress of a plan as sentences ("312 of 1,044 runs done"), its cost, and its expected end."""

    finished: bool
    done: str
    cost: str
    until: str


def progress(runs: "DataFrame", cost: PageCost) -> PlanProgress:
    """Describe the progress of the runs in a frame, with the cost of their plan."""
    states, total = runs["state"].value_counts(), count(len(runs), "run")
    finished = states.get(PlannedState.DONE, 0) == len(runs)
    others = "".join(
        f", {states[state]} {state}" for state in (PlannedState.RUNNING, PlannedState.EXCLUDED) if state in states
    )
    done = f"All {total} are done." if finished else f"{states.get(PlannedState.DONE, 0):,} of {total} done{others}."
    return PlanProgress(finished, done, _cost(cost, finished), "" if finished else _until(runs, cost))


def _cost(cost: PageCost, finished: bool) -> str:
    if cost.whole is None or not cost.whole.hours.known:
        return ""
    total, left = (str(hours).replace(">", "more than") for hours in (cost.whole.hours, cost.whole.left))
    return f"They took {total} {cost.unit}." if finished else f"Total: {total} {cost.unit}, {left} still to do."


def _until(runs: "DataFrame", cost: PageCost) -> str:
    """State the expected end at the pace so far.

    The pace is the finished hours divided by the time from the first start to the newest end.
    """
    timed = runs[(runs["state"] == PlannedState.DONE) & (runs["started"] != "") & (runs["ended"] != "")]
    if timed.empty or cost.whole is None or not cost.whole.left.known:
        return ""
    first, newest = (datetime.fromisoformat(text) for text in (timed["started"].min(), timed["ended"].max()))
    elapsed, done = newest - first, cost.whole.hours.known - cost.whole.left.known
    if elapsed <= timedelta(0) or done <= 0:
        return ""
    return f"At the pace so far, it will finish around {newest + elapsed * (cost.whole.left.known / done):%Y-%m-%d}."
