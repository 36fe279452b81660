"""The time to plan params/paper.yaml: reading the file, the runs, their identities and jobs.

Design choices: each planning is a process of its own, since code fingerprints are kept within one; seconds of the
processor stand beside those of the clock. The start of Python and the imports are told apart.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks._interleaved import seconds, spread

TIMES = 5
PARAMETERS = Path(__file__).parents[1] / "params" / "paper.yaml"
PROGRAM = """
import json, sys, time
from pathlib import Path
from dropnas.config import read_parameters
from dropnas.plan import jobs, make_plan
imported, began = time.process_time(), time.perf_counter()
plan = make_plan(read_parameters(Path(sys.argv[1])))
identities, work = [run.id for run in plan.runs.values()], jobs(plan)
print(json.dumps({"runs": len(identities), "jobs": len(work), "imports": imported,
                  "planning": time.process_time() - imported, "planning by the clock": time.perf_counter() - began}))
"""


def measure(device: str) -> dict[str, Any]:
    """Seconds of whole processes, of the processor for imports and planning; the device has no part in it."""
    found: list[dict[str, float]] = []
    times = [seconds(lambda: found.append(_planned()), "cpu") for _ in range(TIMES)]
    parts = {name: spread([each[name] for each in found]) for name in ("imports", "planning", "planning by the clock")}
    return {"runs": found[0]["runs"], "jobs": found[0]["jobs"], "seconds": spread(times), "processor_seconds": parts}


def _planned() -> dict[str, float]:
    command = [sys.executable, "-c", PROGRAM, str(PARAMETERS)]
    planned: dict[str, float] = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return planned
