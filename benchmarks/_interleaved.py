"""Times of several ways to do one thing, measured in turns, and what the device itself can do in the same minutes.

Design choices: on a shared machine times drift, ratios within a round do not, so every round runs each way once and
ratios are taken round by round. Spread is the range of the middle half.
"""

import time
from collections.abc import Callable, Mapping
from statistics import median, quantiles
from typing import Any

import torch

COPIED = 2**24  # values of the copy
SIDE = 1024  # of the matrices


def rounds(ways: Mapping[str, Callable[[], object]], count: int, device: str) -> dict[str, list[float]]:
    """Seconds of each way in each round; one more round goes before and is not counted."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(count + 1):
        for name, way in ways.items():
            took = seconds(way, device)
            if number:
                times[name].append(took)
    return times


def seconds(way: Callable[[], object], device: str) -> float:
    """Seconds until its work is done on the device."""
    started = time.perf_counter()
    way()
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
    return time.perf_counter() - started


def spread(values: list[float]) -> dict[str, float]:
    """Median and the limits of the middle half."""
    low, _, high = quantiles(values, n=4) if len(values) > 1 else values * 3
    return {"median": median(values), "quarter": low, "three_quarters": high}


def ratio(times: Mapping[str, list[float]], fast: str, plain: str) -> dict[str, float]:
    """How many times as long the plain way took, round by round."""
    return spread([one / other for one, other in zip(times[plain], times[fast], strict=True)])


def limits(device: str) -> dict[str, float]:
    """What the device does at best: bytes read and written by a copy, and floating-point operations of a product."""
    source = torch.ones(COPIED, device=device)
    target, square = torch.empty_like(source), torch.ones(SIDE, SIDE, device=device)
    ways = {"copy": lambda: target.copy_(source), "product": lambda: square @ square}
    times = rounds(ways, 5, device)
    return {
        "copied_bytes_per_second": 2 * source.nbytes / min(times["copy"]),
        "flops_per_second": 2 * SIDE**3 / min(times["product"]),
    }


def conditions() -> dict[str, Any]:
    """With what it was measured."""
    return {"torch": torch.__version__, "threads": torch.get_num_threads()}
