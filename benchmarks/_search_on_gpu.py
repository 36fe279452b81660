"""The first GPU measurements of the search: one seed, several seeds, other precisions, about a minute each.

Design choices: the most informative results come first, because they are kept if a later part fails. For one seed, the
speed is measured first, then come the profiles, and finally an epoch with a smaller last batch, for which a second CUDA
graph is recorded. Each of these is measured with torch's kernels before Triton's, because a failed Triton kernel may
make CUDA unusable for the rest of the process. Groups of seeds take longer, so they come after the single seed.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import torch

from benchmarks._interleaved import spread
from benchmarks._pieces import attempted
from benchmarks._profile import by_kernel, peak_memory
from benchmarks._results import LEFT_OUT, ONLY_GPU
from benchmarks._searches import Size, Trained, Way

WAYS: dict[str, Way] = {"torch": "grouped, torch's kernels", "triton": "grouped"}
SIZE, TINY = Size(14, 16, 96, 32, rounds=3, steps=12, last=80), Size(1, 2, 4, 8, rounds=2, steps=2, last=3)
FEW = 4  # steps per round for several seeds, or for another precision
SEEDS = (2, 4, 8)
FREE = 0.9  # a group is left out if it would take more than this fraction of the GPU's memory

Pieces = Iterator[tuple[str, Any]]


def one(device: str, tiny: bool) -> Pieces:
    """Measure one seed in bf16 with torch's and with Triton's kernels: the speed, an eager step, a whole epoch."""
    size = replace(TINY if tiny else SIZE, precision="bf16")
    for what, work in (("pace", _pace), ("kernels of an eager step", _profile), ("a whole epoch", _epoch)):
        for kernels in WAYS:
            yield f"{kernels}: {what}", _with(kernels, work, size, device)


def seeds(device: str, tiny: bool) -> Pieces:
    """Measure groups of seeds in bf16.

    A group is left out if it would not fit into memory, judging by the memory that smaller groups took.
    """
    size = TINY if tiny else replace(SIZE, steps=FEW, rounds=2, last=0)
    size = replace(size, precision="bf16")
    for kernels in ("triton", "torch"):
        taken = 0.0
        for count in SEEDS[:1] if tiny else SEEDS:
            if taken * count > _room(device):
                found: Any = {LEFT_OUT: f"it would take about {taken * count:.0f} GB"}
            else:
                found = _with(kernels, _pace, replace(size, seeds=count), device)
            yield f"{kernels}: {count} seeds", found
            taken = max(taken, found.get("peak GB reserved", 0.0) / count)


def precisions(device: str, tiny: bool) -> Pieces:
    """Measure one seed in fp32 and TF32, with torch's and with Triton's kernels."""
    size = TINY if tiny else replace(SIZE, steps=FEW, rounds=2, last=0)
    for kernels in WAYS:
        for kind in ("fp32", "tf32"):
            yield f"{kernels}: {kind}", _with(kernels, _pace, replace(size, precision=kind), device)


PARTS: dict[str, Callable[[str, bool], Pieces]] = {"one": one, "seeds": seeds, "precisions": precisions}


def _with(kernels: str, work: Callable[[Size, Way, str], Any], size: Size, device: str) -> Any:
    """Run `work` with torch's or Triton's kernels and return its result; Triton's are left out on a CPU."""
    if kernels == "triton" and device == "cpu":
        return ONLY_GPU
    return attempted(work, size, WAYS[kernels], device)


def _pace(size: Size, way: Way, device: str) -> dict[str, Any]:
    """Measure replays of the recorded step, and the time and memory of the first step, including the warm-up."""
    trained = Trained(size, way, device)
    start, once = trained.started(), trained.timed()
    peak = peak_memory(device)
    pace = spread([once() for _ in range(size.rounds)])
    return {
        "images/s": pace,
        "milliseconds of a step": round(1000 * size.batch * size.seeds / pace["median"], 3),
        "seconds to first step": round(start, 2),
        **peak,
        **(trained.launches() if device != "cpu" else {}),
    }


def _profile(size: Size, way: Way, device: str) -> dict[str, Any]:
    return by_kernel(Trained(size, way, device).eager, device)


def _epoch(size: Size, way: Way, device: str) -> dict[str, Any]:
    return Trained(size, way, device).whole_epoch()


def _room(device: str) -> float:
    """The amount of memory that a group may take, in gigabytes."""
    if device == "cpu":
        return float("inf")
    return FREE * torch.cuda.get_device_properties(device).total_memory / 1e9
