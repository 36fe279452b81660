"""Times several ways of doing the same work in turns, so that other load on the machine affects all of them equally.

Design choices: each repetition times every way once, in rotating order. A ratio is the median of the ratios within the
repetitions, because the two compared times were then measured under the same load.
"""

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

Way = Callable[[], float]  # does its work once and returns its rate, or another measurement


def timed(work: Callable[[], object], amount: int) -> Way:
    """A way whose work contains `amount` units; its rate is units per second."""

    def once() -> float:
        started = time.perf_counter()
        work()
        return amount / (time.perf_counter() - started)

    return once


def in_turns(ways: Mapping[str, Way], repetitions: int) -> dict[str, list[float]]:
    """The measurements of each way by repetition; a first repetition for warm-up is not counted."""
    found: dict[str, list[float]] = {name: [] for name in ways}
    for repetition in range(repetitions + 1):
        for name in list(ways) if repetition % 2 else reversed(list(ways)):
            value = ways[name]()
            if repetition:
                found[name].append(value)
    return found


def compared(found: Mapping[str, list[float]], fast: str) -> dict[str, Any]:
    """The rates with their spread, and the speed-up of the fast way over each other way within the repetitions."""
    others = {name: values for name, values in found.items() if name != fast}
    ratios = {
        name: spread([ours / theirs for ours, theirs in zip(found[fast], values, strict=True)])
        for name, values in others.items()
    }
    return {**{name: spread(values) for name, values in found.items()}, "ratio": ratios}


def spread(values: list[float]) -> dict[str, Any]:
    """The median, quartiles and number of some measurements."""
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return {"median": _short(middle), "quartiles": [_short(low), _short(high)], "n": len(values)}


def _short(value: float) -> float:
    return float(f"{value:.4g}")
