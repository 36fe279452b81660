"""From the start of Python to the end of the first step of a search, on the images of the smoke profile's size.

Design choices: each start is a process of its own, that imports what a job imports and makes the search that the
stage makes; the clock is the parent's. Seconds of the processor stand beside those of the clock, since on a shared
machine the clock counts the others' work too.
"""

import json
import subprocess
import sys
from typing import Any

from benchmarks._interleaved import conditions, seconds, spread

STARTS = 5
PROGRAM = """
import json, sys, time
marks = {"python": time.process_time()}
import dropnas.cli, dropnas.execute
from dropnas.search.stage import Search
marks["imports"] = time.process_time()
from dropnas.search.config import SearchConfig
from dropnas.space.spaces import ORIGINAL
from dropnas.training import determinism
from dropnas.data.arrays import ImageArrays
import torch
device = sys.argv[1]
config = SearchConfig(cells=3, channels=4, batch_size=64)
determinism.apply(config.seed, device, 1)
images = torch.zeros(64, 3, 8, 8, dtype=torch.uint8, device=device)
half = torch.full((3,), 0.5, device=device)
labels = torch.zeros(64, dtype=torch.int64, device=device)
search = Search(config, ORIGINAL, ImageArrays(images, labels, 10, half, half), device)
search.start_epoch(0)
marks["making"] = time.process_time()
search.step(0, 0).item()
marks["first step"] = time.process_time()
print(json.dumps(marks))
"""


def measure(device: str) -> dict[str, Any]:
    """Seconds of whole starts, and of the processor up to each mark."""
    marks: list[dict[str, float]] = []
    times = [seconds(lambda: marks.append(_start(device)), "cpu") for _ in range(STARTS)]
    reached = {name: spread([each[name] for each in marks]) for name in marks[0]}
    return {**conditions(), "starts": STARTS, "seconds": spread(times), "processor_seconds_up_to": reached}


def _start(device: str) -> dict[str, float]:
    done = subprocess.run([sys.executable, "-c", PROGRAM, device], capture_output=True, text=True, check=True)
    marks: dict[str, float] = json.loads(done.stdout)
    return marks
