"""The time from the start of a training stage's process to its first step, compared with importing torch.

Design choices: the real command of a job is run from a frozen plan, on so few bundled images that an epoch has one
step. The clock stops at the line that reports the end of this epoch, so the time includes the evaluation of a few test
images. All stages take turns. The first round is not counted, because it has to read the imported modules from the
disk. CPU time is that of the whole process and is meaningful even on a busy machine. On a GPU, the first step includes
the start of CUDA, the warm-up and the capture of a CUDA graph, and there are fewer rounds.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from benchmarks._interleaved import Way, in_turns, spread
from dropnas.config import read_parameters
from dropnas.errors import DropnasError
from dropnas.pipeline.execute import execute
from dropnas.pipeline.freeze import freeze
from dropnas.pipeline.plan import ancestors, make_plan
from dropnas.pipeline.specs import read_spec
from dropnas.runs.identity import Run

PARAMETERS = Path(__file__).with_suffix(".yaml")
STAGES = ("search", "retrain", "transfer")
FIRST_STEP = "epoch 1/1"
REPETITIONS, REPETITIONS_CUDA = 7, 2


def measure(device: str) -> Iterator[tuple[str, Any]]:
    """The seconds from the start of each stage's process to its first step, and the seconds to import torch."""
    repetitions = REPETITIONS_CUDA if device.startswith("cuda") else REPETITIONS
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        parameters = _on(device, root)
        plan = freeze(parameters, root)
        runs = make_plan(read_parameters(parameters)).runs.values()
        chosen = {stage: next(run for run in runs if run.stage == stage) for stage in STAGES}
        _compute_inputs(list(chosen.values()), plan, root)
        ways = {stage: _start(run, plan, root) for stage, run in chosen.items()} | {"import torch": _import_torch}
        used: dict[str, list[float]] = {name: [] for name in ways}
        found = in_turns({name: _counted(way, used[name]) for name, way in ways.items()}, repetitions)
    yield "seconds to the first step", {name: spread(values) for name, values in found.items()}
    yield "seconds of CPU time, to the end", {name: spread(values[1:]) for name, values in used.items()}


def _on(device: str, root: Path) -> Path:
    """Write the parameter file of this benchmark for a device."""
    wanted = yaml.safe_load(PARAMETERS.read_text())
    wanted["machine"]["device"] = device
    path = root / PARAMETERS.name
    path.write_text(yaml.safe_dump(wanted, sort_keys=False))
    return path


def _counted(way: Way, used: list[float]) -> Way:
    """Return a version of `way` that also appends the CPU time of its child processes to `used`."""

    def once() -> float:
        before = sum(os.times()[2:4])
        value = way()
        used.append(sum(os.times()[2:4]) - before)
        return value

    return once


def _compute_inputs(runs: list[Run], plan: Path, root: Path) -> None:
    sources = [source for source in ancestors(runs) if source not in runs or source.stage != "transfer"]
    specs = [read_spec(root / plan / "specs" / f"{source.id}.json", source.stage) for source in sources]
    if execute(specs, root, lambda line: None):
        raise DropnasError("the inputs of the stages could not be computed", where=root)


def _start(run: Run, plan: Path, root: Path) -> Way:
    """Return a function that starts the job of a run and returns the seconds until its first step.

    The run's folder is deleted before the start. After the first step, the job continues to its end.
    """

    def once() -> float:
        shutil.rmtree(root / run.folder, ignore_errors=True)
        command = [sys.executable, "-m", "dropnas", run.stage, str(plan / "specs" / f"{run.id}.json")]
        started = time.perf_counter()
        with subprocess.Popen(
            command, cwd=root, env=_environment(plan, root), stdout=subprocess.PIPE, text=True
        ) as job:
            assert job.stdout is not None
            line = next((line for line in job.stdout if FIRST_STEP in line), None)
            seconds = time.perf_counter() - started
            job.stdout.read()  # the job publishes its run and ends
        if line is None or job.returncode:
            raise DropnasError(f"the {run.stage} ended with status {job.returncode}", where=run.name)
        return seconds

    return once


def _environment(plan: Path, root: Path) -> dict[str, str]:
    """The environment of a job, as the workflow sets it."""
    source = str(root / plan / "source")
    return {**os.environ, "DROPNAS_PLAN": str(plan), "PYTHONSAFEPATH": "1", "PYTHONPATH": source}


def _import_torch() -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import torch"], check=True)
    return time.perf_counter() - started
