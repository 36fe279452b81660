"""Measures the peak rates of the device: of its memory with a copy, and of its arithmetic with a matrix product."""

import time
from collections.abc import Callable
from typing import Any

import torch

COPIED, COPIED_CUDA = 2**24, 2**28  # number of values to copy; more than any cache can hold
SIDE, SIDE_CUDA = 1024, 8192  # side of the matrices
REPETITIONS = 5


def limits(device: str) -> dict[str, float]:
    """The highest measured rates: bytes read and written per second by a copy, and FLOPs per second by a product."""
    copied, side = (COPIED_CUDA, SIDE_CUDA) if device.startswith("cuda") else (COPIED, SIDE)
    source = torch.ones(copied, device=device)
    target, square = torch.empty_like(source), torch.ones(side, side, device=device)
    return {
        "copied_bytes_per_second": 2 * source.nbytes / _least(lambda: target.copy_(source), device),
        "flops_per_second": 2 * side**3 / _least(lambda: square @ square, device),
    }


def conditions() -> dict[str, Any]:
    """The version of torch, and its number of CPU threads."""
    return {"torch": torch.__version__, "threads": torch.get_num_threads()}


def until_done(work: Callable[[], object], device: str) -> Callable[[], object]:
    """Return a function that does the work and then waits for the device."""

    def waiting() -> None:
        work()
        if device.startswith("cuda"):
            torch.cuda.synchronize(device)

    return waiting


def now(device: str) -> float:
    """Wait until the device has done its work; return the time in seconds."""
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
    return time.perf_counter()


def _least(work: Callable[[], object], device: str) -> float:
    waiting, times = until_done(work, device), []
    for _ in range(REPETITIONS + 1):
        started = time.perf_counter()
        waiting()
        times.append(time.perf_counter() - started)
    return min(times[1:])
