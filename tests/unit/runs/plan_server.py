"""A separate script that plans a parameter file for each line on its input, with a package in the same folder.

Each plan is made by a child process that imports the current package. Other packages are imported once, in the parent.
"""

import json
import os
import sys
from pathlib import Path

import pydantic  # noqa: F401
import yaml  # noqa: F401


def plan(parameters: Path) -> list[dict[str, object]]:
    """For every run: stage, identity, name, strategy and code of a search, and the positions of its inputs."""
    from dropnas.config import read_parameters
    from dropnas.pipeline.plan import make_plan

    runs = list(make_plan(read_parameters(parameters)).runs.values())
    at = {run.id: position for position, run in enumerate(runs)}
    return [
        {
            "stage": run.stage,
            "id": run.id,
            "name": run.name,
            "strategy": getattr(run.config, "strategy", ""),
            "inputs": [at[source.id] for source in run.inputs],
        }
        for run in runs
    ]


for line in sys.stdin:
    child = os.fork()
    if child == 0:
        json.dump(plan(Path(line.strip())), sys.stdout)
        print(flush=True)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        print("null", flush=True)
