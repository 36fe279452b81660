"""Times the planning of the paper's runs: the command as a process, the plan alone, and the fingerprints in it.

Design choices: fingerprints are computed once per process and cached. The time that they take is therefore the time of
the first plan in a process minus the time of a second plan.
"""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks._interleaved import in_turns, spread
from dropnas.errors import DropnasError

PARAMETERS = Path("params/paper.yaml")
REPETITIONS = 7
IN_PROCESS = """
import time
from pathlib import Path
started = time.perf_counter()
from dropnas.config import read_parameters
from dropnas.pipeline.plan import make_plan
imported = time.perf_counter()
for _ in range(2):
    begun = time.perf_counter()
    plan = make_plan(read_parameters(Path("params/paper.yaml")))
    print(time.perf_counter() - begun)
print(imported - started)
print(len(plan.runs))
"""


def measure(device: str) -> Iterator[tuple[str, Any]]:
    """The time that the command and its parts take, in seconds, and the number of planned runs."""
    if not PARAMETERS.is_file():
        raise DropnasError("no parameter file", where=PARAMETERS, remedy="start it in the root of the project")
    parts: list[tuple[float, float, float]] = []
    runs = 0

    def within() -> float:
        nonlocal runs
        answer = subprocess.run([sys.executable, "-c", IN_PROCESS], capture_output=True, text=True, check=True).stdout
        first, second, imports, count = answer.split()
        parts.append((float(first), float(second), float(imports)))
        runs = int(count)
        return float(first)

    found = in_turns({"`dropnas plan` as a process": _command, "first plan of a process": within}, REPETITIONS)
    first, second, imports = ([part[index] for part in parts[1:]] for index in range(3))
    yield "runs", runs
    whole = {name: spread(values) for name, values in found.items()}
    yield "seconds", {**whole, "imports of it": spread(imports), "second plan of a process": spread(second)}
    shares = [1 - b / a for a, b in zip(first, second, strict=True)]
    yield "share of fingerprints in the first plan", spread(shares)


def _command() -> float:
    command = [sys.executable, "-m", "dropnas", "plan", str(PARAMETERS), "--json"]
    started = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - started
