"""Measures microseconds of short GPU work: many repeats in one CUDA graph, so that the host's time does not count.

On a CPU, which has no graphs, a few calls run one after another; this only shows that the work can be done.
"""

import statistics
import time
from collections.abc import Callable

import torch

REPEATS = 50  # repeats of the work in a graph
REPLAYS = 5
WARM_UP = 3  # calls for the first-use setup of libraries
ON_CPU = 2


def microseconds(work: Callable[[], object], device: str, repeats: int = REPEATS) -> float:
    """The microseconds of one call, as the median of some replays."""
    if not device.startswith("cuda"):
        return _on_cpu(work)
    aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(WARM_UP):
            work()
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(repeats):
            work()
    graph.replay()
    return round(statistics.median(_replay(graph) for _ in range(REPLAYS)) / repeats, 3)


def _replay(graph: torch.cuda.CUDAGraph) -> float:
    """The microseconds of one replay by the GPU's own clock."""
    began, ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    began.record()  # type: ignore[no-untyped-call]
    graph.replay()
    ended.record()  # type: ignore[no-untyped-call]
    ended.synchronize()  # type: ignore[no-untyped-call]
    return 1000 * float(began.elapsed_time(ended))  # type: ignore[no-untyped-call]


def _on_cpu(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    for _ in range(ON_CPU):
        work()
    return round(1e6 * (time.perf_counter() - started) / ON_CPU, 3)
