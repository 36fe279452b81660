"""Alternates between several ways of doing the same work, so that other load on the machine slows all of them equally.

Design choices: each repetition times every way once; the order is reversed in every second repetition. The ratio of two
ways is computed within each repetition, that is, under the same load, and the median of these ratios is reported.
"""

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

Way = Callable[[], float]  # does its work once and returns its rate, or another measurement


def timed(work: Callable[[], object], amount: int) -> Way:
    """A way that does `work` and returns units per second; `amount` is the number of units that `work` processes."""

    def once() -> float:
        started = time.perf_counter()
        work()
        return amount / (time.perf_counter() - started)

    return once


def in_turns(ways: Mapping[str, Way], repetitions: int) -> dict[str, list[float]]:
    """The measurements of each way, one per repetition, after a first repetition that serves only as a warm-up."""
    found: dict[str, list[float]] = {name: [] for name in ways}
    for repetition in range(repetitions + 1):
        for name in list(ways) if repetition % 2 else reversed(list(ways)):
            value = ways[name]()
            if repetition:
                found[name].append(value)
    return found


def compared(found: Mapping[str, list[float]], fast: str) -> dict[str, Any]:
    """The spread of each way's rates, and the spread of the speedups of the fast way over each other way."""
    others = {name: values for name, values in found.items() if name != fast}
    ratios = {
        name: spread([ours / theirs for ours, theirs in zip(found[fast], values, strict=True)])
        for name, values in others.items()
    }
    return {**{name: spread(values) for name, values in found.items()}, "ratio": ratios}


def spread(values: list[float]) -> dict[str, Any]:
    """The median, the quartiles and the number of the values."""
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return {"median": _short(middle), "quartiles": [_short(low), _short(high)], "n": len(values)}


def _short(value: float) -> float:
    return float(f"{value:.4g}")
