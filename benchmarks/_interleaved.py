"""Ways of doing the same work, timed in turns, so that what else the machine does falls on all of them alike.

Design: each repetition times every way once, in an order that turns round; a ratio is the median of the ratios
within the repetitions, since the two that it compares were then under the same load.
"""

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

Way = Callable[[], float]  # does its work once and gives its rate, or whatever is measured


def timed(work: Callable[[], object], amount: int) -> Way:
    """A way that does a piece of work, `amount` of something in it; its rate is that amount per second."""

    def once() -> float:
        started = time.perf_counter()
        work()
        return amount / (time.perf_counter() - started)

    return once


def in_turns(ways: Mapping[str, Way], repetitions: int) -> dict[str, list[float]]:
    """What each way measures in each repetition; a first one that warms up is not counted."""
    found: dict[str, list[float]] = {name: [] for name in ways}
    for repetition in range(repetitions + 1):
        for name in list(ways) if repetition % 2 else reversed(list(ways)):
            value = ways[name]()
            if repetition:
                found[name].append(value)
    return found


def compared(found: Mapping[str, list[float]], fast: str) -> dict[str, Any]:
    """Rates with their spread, and how many times faster one way is than each other, repetition by repetition."""
    others = {name: values for name, values in found.items() if name != fast}
    ratios = {
        name: spread([ours / theirs for ours, theirs in zip(found[fast], values, strict=True)])
        for name, values in others.items()
    }
    return {**{name: spread(values) for name, values in found.items()}, "ratio": ratios}


def spread(values: list[float]) -> dict[str, Any]:
    """Median, quartiles and number of some measurements."""
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return {"median": _short(middle), "quartiles": [_short(low), _short(high)], "n": len(values)}


def _short(value: float) -> float:
    return float(f"{value:.4g}")
