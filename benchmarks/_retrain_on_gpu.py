"""The first GPU measurements of the retraining: speed and kernels in bf16, for both memory formats.

The settings are those of the paper's 600-epoch retraining. AutoAugment, which needs torchvision, is off. On a CPU,
channels last is left out, because a retraining rejects it there.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from benchmarks import _workloads
from benchmarks._interleaved import spread, timed
from benchmarks._launches import launches
from benchmarks._limits import until_done
from benchmarks._pieces import attempted
from benchmarks._profile import by_kernel, peak_memory, reset_peak
from benchmarks._workloads import Training
from dropnas.evaluate.config import MemoryFormat, RetrainConfig
from dropnas.training import precision

FORMATS: dict[str, MemoryFormat] = {"usual layout": "contiguous", "channels last": "channels_last"}


@dataclass(frozen=True)
class Size:
    """A retraining to be timed, with the number of rounds and the number of steps per round."""

    config: RetrainConfig
    side: int
    steps: int
    rounds: int


SIZE = Size(RetrainConfig(precision="bf16"), side=32, steps=6, rounds=3)
TINY = Size(RetrainConfig(cells=3, channels=4, batch_size=4, cutout=2, precision="bf16"), side=8, steps=2, rounds=2)


def pieces(device: str, tiny: bool) -> Iterator[tuple[str, Any]]:
    """Yield the speed in each memory format, then the profiles."""
    size = TINY if tiny else SIZE
    for what, work in (("pace", _pace), ("kernels of an eager step", _profile)):
        for layout, memory_format in FORMATS.items():
            if device != "cpu" or memory_format == "contiguous":
                config = replace(size.config, memory_format=memory_format)
                yield f"{layout}: {what}", attempted(work, replace(size, config=config), device)


def _made(size: Size, device: str) -> Training:
    reset_peak(device)
    precision.apply(size.config.precision)
    images = _workloads.noise(size.config.batch_size * size.steps, size.side, device)
    return _workloads.retraining(size.config, images, images, device)


def _pace(size: Size, device: str) -> dict[str, Any]:
    started = time.perf_counter()
    made = _made(size, device)
    until_done(lambda: made.epoch(1, steps=1), device)()
    seconds = time.perf_counter() - started
    once = timed(until_done(lambda: made.epoch(1), device), size.config.batch_size * size.steps)
    pace = spread([once() for _ in range(size.rounds)])
    return {
        "images/s": pace,
        "milliseconds of a step": round(1000 * size.config.batch_size / pace["median"], 3),
        "seconds to first step": round(seconds, 2),
        **peak_memory(device),
        **(launches(lambda: made.step(1, 0)) if device != "cpu" else {}),
    }


def _profile(size: Size, device: str) -> dict[str, Any]:
    made = _made(size, device)
    made.start_epoch(1)
    return by_kernel(made.eager, device)
