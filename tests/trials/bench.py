"""A store with a short chain of real runs, and the commands that compute it, for trials that kill, damage or fill it.

The chain is computed once, undisturbed, with the default checkpoint interval. A trial works on a copy of the inputs of
one run and compares its result with the undisturbed run, byte for byte. A command is a separate process (`Command`). If
many commands are started and none is killed, each is a fork of this process, which has already imported torch
(`forked`).
"""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

PROJECT = Path(__file__).parents[2]
PARAMETERS = Path(__file__).parent / "trial.yaml"
GROUPED = "grouped searches"  # three seeds of the search, trained as one group
TRAININGS = ("search", "retrain", "transfer")
SEEDS = 3
RECORDS = ("run.json", "manifest.json")  # files with recorded times; their other content is compared separately
RECORDED = ("id", "stage", "name", "config", "identity", "inputs", "input_manifests", "profile", "processes")
HOLD = Path(__file__).parent / "hold"  # a `sitecustomize` that holds a training at a point
HELD = "held by the trial"  # the line that reports it
LONGEST = 600.0  # time limit of an undisturbed command in seconds; far more than any needs


def environment() -> dict[str, str]:
    """The environment of the commands: this checkout, and one thread."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DROPNAS", "PYTHON"))}
    return {**kept, "PYTHONPATH": str(PROJECT), "PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "1"}


def holding(found: dict[str, str], point: str | int) -> dict[str, str]:
    """This environment for a command that waits at a point of its training."""
    return {**found, "PYTHONPATH": f"{HOLD}{os.pathsep}{found['PYTHONPATH']}", "HOLD": str(point)}


@dataclass(frozen=True)
class Run:
    """A training of the chain, or several that one command computes as a group.

    Attributes:
        spec: the content of its spec.
        done: the undisturbed store with the run and its inputs.
        mates: the specs of the runs that train with it.
    """

    spec: dict[str, Any]
    done: Path
    mates: tuple[dict[str, Any], ...] = ()

    @property
    def stage(self) -> str:
        return str(self.spec["stage"])

    @property
    def label(self) -> str:
        return GROUPED if self.mates else self.stage

    @property
    def specs(self) -> list[dict[str, Any]]:
        return [self.spec, *self.mates]

    def bench(self, root: Path, checkpoint_seconds: float) -> "Bench":
        """Make a new store with only the inputs of this run."""
        for source in self.spec["inputs"]:
            shutil.copytree(self.done / source, root / source)
        root.mkdir(parents=True, exist_ok=True)
        for spec in self.specs:
            machine = {**spec["machine"], "checkpoint_seconds": checkpoint_seconds}
            (root / f"{spec['id']}.json").write_text(json.dumps({**spec, "machine": machine}))
        return Bench(self, root)


@dataclass(frozen=True)
class Bench:
    """A store in which one run, or a group of runs, is to be computed."""

    run: Run
    root: Path

    @property
    def scratches(self) -> list[Path]:
        return [self.root / "scratch" / str(spec["id"]) for spec in self.run.specs]

    @property
    def scratch(self) -> Path:
        return self.scratches[0]

    @property
    def folder(self) -> Path:
        """The folder in which the run is published."""
        return self.root / str(self.run.spec["folder"])

    @property
    def arguments(self) -> list[str]:
        """The arguments of `python -m dropnas`."""
        files = [str(self.root / f"{spec['id']}.json") for spec in self.run.specs]
        return [self.run.stage, *files, "--root", str(self.root)]

    @property
    def published(self) -> bool:
        """Whether all runs are published."""
        return all((self.root / spec["folder"] / "manifest.json").is_file() for spec in self.run.specs)

    def clear(self) -> None:
        """Remove the computed runs and their resume states."""
        shutil.rmtree(self.root / "scratch", ignore_errors=True)
        for spec in self.run.specs:
            shutil.rmtree(self.root / spec["folder"], ignore_errors=True)

    def differences(self) -> list[str]:
        """The differences between the published and the undisturbed runs, apart from recorded times."""
        if not self.published:
            return ["not published"]
        return [one for spec in self.run.specs for one in self._differences(spec["folder"])]

    def _differences(self, name: str) -> list[str]:
        folders = self.root / name, self.run.done / name
        found, expected = (contents(folder) for folder in folders)
        names = [name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name)]
        records = [json.loads((folder / "manifest.json").read_text()) for folder in folders]
        first, second = ({name: record["run"].get(name) for name in RECORDED} for record in records)
        return [*names, *(f"manifest: {name}" for name in first if first[name] != second[name])]


def contents(folder: Path) -> dict[str, bytes]:
    """The content of every file of a run except its records."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name not in RECORDS]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def undisturbed(root: Path, trainings: Sequence[str] = TRAININGS) -> dict[str, Run]:
    """Compute the chain; return the last training of each requested stage."""
    root.mkdir(parents=True, exist_ok=True)
    plan = dropnas(["freeze", str(PARAMETERS), "--root", str(root)], root).strip()
    specs = specs_of(root / plan)
    of_folder = {spec["folder"]: spec for spec in specs}
    wanted = {stage: chosen(stage, specs) for stage in trainings if stage != GROUPED}
    for spec in wanted.values():
        _compute(spec, of_folder, root, plan)
    runs = {stage: Run(spec, root) for stage, spec in wanted.items()}
    return {**runs, GROUPED: _grouped(root, of_folder, plan)} if GROUPED in trainings else runs


def specs_of(plan: Path) -> list[dict[str, Any]]:
    return [json.loads(file.read_text()) for file in sorted((plan / "specs").glob("*.json"))]


def _grouped(root: Path, of_folder: dict[str, Any], plan: str) -> Run:
    """The same search with several seeds, computed as one group by one command."""
    content = yaml.safe_load(PARAMETERS.read_text())
    content |= {"tables": ["table1"], "seeds": SEEDS, "search": {**content["search"], "group_seeds": True}}
    parameters = root / "grouped.yaml"
    parameters.write_text(yaml.safe_dump(content))
    frozen = root / dropnas(["freeze", str(parameters), "--root", str(root)], root).strip()
    specs = specs_of(frozen)
    picked = chosen("search", specs)
    mates = [spec for spec in specs if spec["name"].startswith(picked["name"].rpartition("-seed")[0] + "-seed")]
    first, *others = (spec for spec in mates if spec["stage"] == "search")
    for source in first["inputs"]:
        _compute(of_folder[source], of_folder, root, plan)
    run = Run(first, root, tuple(others))
    files = [str(frozen / "specs" / f"{spec['id']}.json") for spec in run.specs]
    dropnas(["search", *files, "--root", str(root)], root)
    return run


def chosen(stage: str, specs: list[dict[str, Any]]) -> dict[str, Any]:
    """The run of a stage: the DropNAS search, the retraining with AutoAugment, or the transfer of the best cell."""
    fits: dict[str, Callable[[dict[str, Any]], bool]] = {
        "search": lambda spec: (spec["config"]["strategy"], spec["config"]["space"]) == ("dropnas", "original"),
        "retrain": lambda spec: bool(spec["config"]["autoaugment"]),
        "transfer": lambda spec: spec["inputs"][1].startswith("runs/select/"),
    }
    on_digits = [spec for spec in specs if spec["stage"] == stage and "pairs" not in spec["name"]]
    return next(spec for spec in on_digits if fits[stage](spec))


def _compute(spec: dict[str, Any], of_folder: dict[str, Any], root: Path, plan: str) -> None:
    """Compute a run after its inputs, unless it is already published."""
    for source in spec["inputs"]:
        _compute(of_folder[source], of_folder, root, plan)
    if not (root / spec["folder"] / "manifest.json").is_file():
        dropnas([spec["stage"], str(root / plan / "specs" / f"{spec['id']}.json"), "--root", str(root)], root)


def dropnas(arguments: list[str], root: Path) -> str:
    """Run a command that must succeed; return its output."""
    output = root / "output.txt"
    status = forked(arguments, output)
    assert status == 0, output.read_text()
    return output.read_text()


class Command:
    """A running `python -m dropnas …` whose output lines are read as they appear.

    Attributes:
        hold: where its training waits for a signal: `start`, or the number of an epoch, from 0; None: nowhere.
    """

    def __init__(self, arguments: list[str], hold: str | int | None = None) -> None:
        self.lines: list[tuple[float, str]] = []  # with their times of arrival
        self.started = time.time()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "dropnas", *arguments],
            cwd=PROJECT,
            env=environment() if hold is None else holding(environment(), hold),
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.cpu: list[tuple[float, float]] = [(self.started, 0.0)]  # times, and the CPU seconds used until then
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        threading.Thread(target=self._watch, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append((time.time(), line.rstrip("\n")))

    def _watch(self) -> None:
        """Record the CPU time a hundred times a second; it distinguishes work from waiting on a busy machine."""
        file, ticks = Path(f"/proc/{self.process.pid}/stat"), os.sysconf("SC_CLK_TCK")
        while self.process.returncode is None:
            try:
                words = file.read_text().rpartition(")")[2].split()
            except OSError:
                return
            self.cpu.append((time.time(), (int(words[11]) + int(words[12])) / ticks))
            time.sleep(0.01)

    def worked(self, begin: float, end: float) -> float:
        """The CPU seconds that it used between two times."""
        until = [max((used for moment, used in self.cpu if moment <= limit), default=0.0) for limit in (begin, end)]
        return until[1] - until[0]

    @property
    def ended(self) -> bool:
        return self.process.poll() is not None

    @property
    def text(self) -> str:
        return "\n".join(line for _, line in self.lines)

    def time_of(self, *words: str) -> float | None:
        """The time of the first line with one of these words."""
        return next((moment for moment, line in self.lines if any(word in line for word in words)), None)

    def wait_for(self, *words: str) -> bool:
        """Wait for such a line; return whether it appeared before the process ended."""
        while self.time_of(*words) is None and not self.ended:
            time.sleep(0.002)
        return self.time_of(*words) is not None

    def wait(self) -> int:
        """Wait until it has ended and all its lines are read; return its exit status."""
        status = self.process.wait(LONGEST)
        self.reader.join()
        return status


def forked(arguments: list[str], output: Path) -> int:
    """The exit status of `python -m dropnas ARGUMENTS` in a fork of this process; its output goes to a file."""
    process = os.fork()
    if process == 0:
        _become(arguments, output)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def _become(arguments: list[str], output: Path) -> None:
    """Run the command line, and end this process with its status."""
    status = 70
    try:
        descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        sys.stdout, sys.stderr = os.fdopen(1, "w", buffering=1), os.fdopen(2, "w", buffering=1)
        sys.argv = ["dropnas", *arguments]
        from dropnas.cli import main

        main()
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)
