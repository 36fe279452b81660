"""How fast a plan proceeds, and how long it will still take. Pure.

Design choices: the rate is that of the present stretch of work, back to the last pause, since a night in which nothing
ran says nothing of the speed. The time to go is the larger of two bounds: all remaining hours shared by as many jobs
as run now, and the longest chain of runs that wait for each other.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

HOUR = 3600.0
PAUSE = 600.0  # seconds without any training after which a stretch of work is over


@dataclass(frozen=True)
class Rate:
    """What was done since a time, in seconds since the epoch: trainings and device-hours, an hour."""

    since: float
    trainings: float
    device_hours: float


def rate(finished: Iterable[tuple[float, float]], running: Iterable[float], now: float) -> Rate | None:
    """The rate of the present stretch; None where nothing was finished in it.

    Args:
        finished: start and end of each finished training, in seconds since the epoch.
        running: starts of those that run.
        now: in seconds since the epoch.
    """
    spans = sorted([*finished, *((start, now) for start in running)], key=lambda span: span[1], reverse=True)
    since, inside = now, []
    for start, end in spans:
        if end < since - PAUSE:
            break
        inside.append((start, end))
        since = min(since, start)
    done = sum(end < now for _, end in inside)
    hours = (now - since) / HOUR
    worked = sum(end - start for start, end in inside) / HOUR
    return Rate(since, done / hours, worked / hours) if done and hours > 0 else None


def hours_to_go(runs: Sequence[Mapping[str, Any]], left: Mapping[str, float], jobs: int) -> float:
    """Hours until all runs are done.

    Args:
        runs: with their ids and inputs, inputs before what reads them.
        left: device-hours of those that are not done, by id.
        jobs: how many work at a time.
    """
    chain: dict[str, float] = {}
    for run in runs:
        before = max((chain.get(source, 0.0) for source in run["inputs"]), default=0.0)
        chain[run["id"]] = before + left.get(run["id"], 0.0)
    return max(sum(left.values()) / max(jobs, 1), max(chain.values(), default=0.0))
