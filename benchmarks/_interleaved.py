"""Alternates between several ways of doing the same work, so that other load on the machine slows all of them equally.

Design choices: each repetition runs all alternatives once, and every second repetition runs them in reverse order.
Speedups are computed within a repetition, that is, under the same load, and their median is reported.
"""

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

Way = Callable[[], float]  # does the work once; returns the rate or another measured value


def timed(work: Callable[[], object], amount: int) -> Way:
    """Return a function that does `work`, which processes `amount` units, and returns the units per second."""

    def once() -> float:
        started = time.perf_counter()
        work()
        return amount / (time.perf_counter() - started)

    return once


def in_turns(ways: Mapping[str, Way], repetitions: int) -> dict[str, list[float]]:
    """Measure each way once per repetition; an additional first repetition serves only as a warm-up."""
    found: dict[str, list[float]] = {name: [] for name in ways}
    for repetition in range(repetitions + 1):
        for name in list(ways) if repetition % 2 else reversed(list(ways)):
            value = ways[name]()
            if repetition:
                found[name].append(value)
    return found


def compared(found: Mapping[str, list[float]], fast: str) -> dict[str, Any]:
    """Summarise the rates of each way, and the speedups of the way `fast` over each of the others."""
    others = {name: values for name, values in found.items() if name != fast}
    ratios = {
        name: spread([ours / theirs for ours, theirs in zip(found[fast], values, strict=True)])
        for name, values in others.items()
    }
    return {**{name: spread(values) for name, values in found.items()}, "ratio": ratios}


def spread(values: list[float]) -> dict[str, Any]:
    """The median and the quartiles of the values, and how many values there are."""
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return {"median": _short(middle), "quartiles": [_short(low), _short(high)], "n": len(values)}


def _short(value: float) -> float:
    return float(f"{value:.4g}")
