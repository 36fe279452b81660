"""A step of the search: the fast supernet and the plain one in turns, in whole steps with decay and alpha-adjust.

Design choices: what is timed is a step of the stage itself (augmentation, masks, both optimisers) on an image of
noise; peak memory on a CPU is that of a process that made one step of one kind. The share of the arithmetic counts the
multiply-adds of the plain supernet's convolutions with nothing dropped, three times for a step; that of the bandwidth
counts each tensor kept for going backward as written once and read once, so it is a lower bound.
"""

import re
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from benchmarks._interleaved import compared, in_turns, timed
from benchmarks._limits import conditions, limits, until_done
from dropnas.data.arrays import ImageArrays
from dropnas.search.config import SearchConfig
from dropnas.search.stage import Search
from dropnas.search.supernet import Supernet
from dropnas.space.spaces import ORIGINAL
from dropnas.training import determinism

Way = Literal["fast", "plain"]
WAYS: tuple[Way, ...] = get_args(Way)
SYNCHRONISES = ("cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaEventSynchronize", "cudaMemcpy")


@dataclass(frozen=True)
class Size:
    """A search to be timed: the supernet, the batch, the side of its images, and rounds."""

    cells: int
    channels: int
    batch: int
    side: int
    rounds: int


SIZES = {"paper": Size(14, 16, 8, 32, 4), "smoke": Size(3, 4, 64, 8, 10)}
SIZES_CUDA = {"paper": Size(14, 16, 96, 32, 20)}


def measure(device: str) -> dict[str, Any]:
    """Images a second of both, their ratio, peak memory, shares of the device's limits."""
    determinism.apply(0, device, 1)
    bounds, sizes = limits(device), SIZES_CUDA if device.startswith("cuda") else SIZES
    return {**conditions(), "limits": bounds, **{name: _measured(size, device, bounds) for name, size in sizes.items()}}


def _measured(size: Size, device: str, bounds: dict[str, float]) -> dict[str, Any]:
    steps = {way: _step(size, way, device) for way in WAYS}
    found = in_turns({way: timed(until_done(steps[way], device), size.batch) for way in WAYS}, size.rounds)
    paces = compared(found, "fast")
    result: dict[str, Any] = {**vars(size), "ratio": paces["ratio"]["plain"]}
    for way in WAYS:
        result[way] = {"images_per_second": paces[way], "peak_memory_bytes": _peak(size, way, device)}
        result[way] |= _shares(size, steps[way], paces[way]["median"], bounds)
        result[way] |= _launches(steps[way]) if device.startswith("cuda") else {}
    return result


def _step(size: Size, way: Way, device: str) -> Callable[[], object]:
    config = replace(SearchConfig(), cells=size.cells, channels=size.channels, batch_size=size.batch, supernet=way)
    noise = torch.randint(0, 256, (size.batch, 3, size.side, size.side), dtype=torch.uint8).to(device)
    labels = torch.arange(size.batch, device=device) % 10
    half = torch.full((3,), 0.5, device=device)
    search = Search(config, ORIGINAL, ImageArrays(noise, labels, 10, half, half), device)
    search.start_epoch(0)
    return lambda: search.step(0, 0)


def _peak(size: Size, way: Way, device: str) -> int:
    """The most memory that a step takes, the process itself included on a CPU."""
    if device.startswith("cuda"):
        step = _step(size, way, device)
        torch.cuda.reset_peak_memory_stats(device)
        step()
        return torch.cuda.max_memory_allocated(device)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_peak_here, size, way).result()


def _peak_here(size: Size, way: Way) -> int:
    determinism.apply(0, "cpu", 1)
    _step(size, way, "cpu")()
    peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())  # ru_maxrss knows the parent's, too
    assert peak is not None
    return int(peak[1]) * 1024


def _shares(size: Size, step: Callable[[], object], pace: float, bounds: dict[str, float]) -> dict[str, float]:
    kept = 0

    def count(saved: torch.Tensor) -> torch.Tensor:
        nonlocal kept
        kept += saved.nbytes
        return saved

    with torch.autograd.graph.saved_tensors_hooks(count, lambda saved: saved):
        step()
    return {
        "kept_for_backward_bytes_per_image": kept / size.batch,
        "share_of_bandwidth_at_least": 2 * kept / size.batch * pace / bounds["copied_bytes_per_second"],
        "share_of_arithmetic": 3 * _flops(size) * pace / bounds["flops_per_second"],
    }


def _flops(size: Size) -> float:
    """Floating-point operations forward of the plain supernet for an image."""
    with torch.device("meta"):
        supernet = Supernet(ORIGINAL, size.channels, size.cells, 10)
        images, alphas = torch.empty(1, 3, size.side, size.side), torch.empty(14, 8)
    mixture = [[[(index, alphas[0, 0]) for index in range(8)] for _ in range(14)] for _ in range(size.cells)]
    with FlopCounterMode(display=False) as counter:
        supernet.eval()(images, mixture)
    return counter.get_total_flops()


def _launches(step: Callable[[], object]) -> dict[str, int]:
    """Kernel launches and waits of the host in a step."""
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as profiled:
        step()
    names = [event.name for event in profiled.events()]
    return {
        "launches": sum("LaunchKernel" in name or name == "cudaGraphLaunch" for name in names),
        "synchronisations": sum(name in SYNCHRONISES for name in names),
    }
