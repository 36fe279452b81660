"""Measures how many microseconds a short GPU operation takes.

Many calls are recorded in one CUDA graph, so the measured time does not include work on the host. CPUs have no graphs;
there, the operation is called a few times in a row, which only shows that it works.
"""

import statistics
import time
from collections.abc import Callable

import torch

REPEATS = 50  # number of calls that are recorded in a graph
REPLAYS = 5
WARM_UP = 3  # number of calls before recording, in which libraries do their first-use setup
ON_CPU = 2


def microseconds(work: Callable[[], object], device: str, repeats: int = REPEATS) -> float:
    """The time of one call in microseconds: the median of several replays of the graph."""
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
    """The time of one replay in microseconds, measured with CUDA events."""
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
