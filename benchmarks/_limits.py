"""What the device itself can do in the same minutes: a copy for its memory, a matrix product for its arithmetic."""

import time
from collections.abc import Callable
from typing import Any

import torch

COPIED, COPIED_CUDA = 2**24, 2**28  # values of the copy; more than any cache holds
SIDE, SIDE_CUDA = 1024, 8192  # of the matrices
REPETITIONS = 5


def limits(device: str) -> dict[str, float]:
    """Bytes read and written a second by a copy, and floating-point operations a second of a product, at best."""
    copied, side = (COPIED_CUDA, SIDE_CUDA) if device.startswith("cuda") else (COPIED, SIDE)
    source = torch.ones(copied, device=device)
    target, square = torch.empty_like(source), torch.ones(side, side, device=device)
    return {
        "copied_bytes_per_second": 2 * source.nbytes / _least(lambda: target.copy_(source), device),
        "flops_per_second": 2 * side**3 / _least(lambda: square @ square, device),
    }


def conditions() -> dict[str, Any]:
    """With what it was measured."""
    return {"torch": torch.__version__, "threads": torch.get_num_threads()}


def until_done(work: Callable[[], object], device: str) -> Callable[[], object]:
    """The same work, waiting for the device."""

    def waiting() -> None:
        work()
        if device.startswith("cuda"):
            torch.cuda.synchronize(device)

    return waiting


def _least(work: Callable[[], object], device: str) -> float:
    waiting, times = until_done(work, device), []
    for _ in range(REPETITIONS + 1):
        started = time.perf_counter()
        waiting()
        times.append(time.perf_counter() - started)
    return min(times[1:])
