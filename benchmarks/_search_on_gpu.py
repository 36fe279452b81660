"""What to measure first of the search on a GPU: one seed, several seeds, other precisions, each for a minute or so.

Design choices: results are kept even if later parts fail, so the most informative come first: paces, then
profiles, then an epoch whose last batch is smaller, for which a second program is recorded. Torch's kernels come before
Triton's where one failure would hide the other; those of groups of seeds come after, since they take longer.
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
FEW = 4  # steps of a round of several seeds, or in another precision
SEEDS = (2, 4, 8)
FREE = 0.9  # of a GPU's memory that a group may be expected to take

Pieces = Iterator[tuple[str, Any]]


def one(device: str, tiny: bool) -> Pieces:
    """One bf16 seed: paces, profiles of an eager step, a whole epoch; for both kinds of kernels."""
    size = replace(TINY if tiny else SIZE, precision="bf16")
    for what, work in (("pace", _pace), ("kernels of an eager step", _profile), ("a whole epoch", _epoch)):
        for kernels in WAYS:
            yield f"{kernels}: {what}", _with(kernels, work, size, device)


def seeds(device: str, tiny: bool) -> Pieces:
    """Groups of seeds in bf16; what the device would not hold, by what the last one took, is left out."""
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
    """One seed in fp32 and TF32, for both kinds of kernels."""
    size = TINY if tiny else replace(SIZE, steps=FEW, rounds=2, last=0)
    for kernels in WAYS:
        for kind in ("fp32", "tf32"):
            yield f"{kernels}: {kind}", _with(kernels, _pace, replace(size, precision=kind), device)


PARTS: dict[str, Callable[[str, bool], Pieces]] = {"one": one, "seeds": seeds, "precisions": precisions}


def _with(kernels: str, work: Callable[[Size, Way, str], Any], size: Size, device: str) -> Any:
    """What some work measures, unless it needs a GPU that is not there."""
    if kernels == "triton" and device == "cpu":
        return ONLY_GPU
    return attempted(work, size, WAYS[kernels], device)


def _pace(size: Size, way: Way, device: str) -> dict[str, Any]:
    """Replays of the recorded step, its start and its memory; both of the first step's, warming up included."""
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
    """Gigabytes."""
    if device == "cpu":
        return float("inf")
    return FREE * torch.cuda.get_device_properties(device).total_memory / 1e9
