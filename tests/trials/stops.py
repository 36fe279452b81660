"""SIGINT, SIGTERM and SIGHUP to `python -m dropnas run` at random moments of a search, a retraining and a transfer.

    python -m tests.trials.stops --count 40 --seed 0

The chain is run once, undisturbed. A trial copies the store, removes one training and all runs that depend on it,
starts the same command again and sends it one signal during the training. After 30 seconds, no process of the start may
be left, its last line must say how to continue, and the training must have saved the step that it had reached. The
training is then resumed and compared with the undisturbed one, byte for byte.
"""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

from tests.trials.bench import PARAMETERS, PROJECT, TRAININGS, Bench, Run, chosen, environment, forked, specs_of

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LONGEST_STOP = 30.0  # seconds until everything has ended
PATIENCE = 600.0  # time limit for the start of a training, in seconds; far more than any machine needs
BEGUN, SAVED = (": begins with", ": continues from"), "the state is saved"
LAST = re.compile(r": epoch (\d+)/\1: ")  # the state after the last epoch is saved too, so nothing is trained again


@dataclass
class Count:
    """The counts and faults of a trial."""

    stops: Counter[str] = field(default_factory=Counter)  # by stage and signal
    early: int = 0  # stops before the first step
    runs: int = 0  # resumed and compared
    late: int = 0  # signals that came after the training was published
    slowest: float = 0.0  # seconds from a signal to the end of the last process
    faults: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        stops = ", ".join(f"{what} {number}" for what, number in sorted(self.stops.items()))
        return (
            f"{self.stops.total()} stops ({stops}), {self.early} before the first step; everything ended within "
            f"{self.slowest:.1f} s; {self.runs} runs resumed and compared, {len(self.faults)} faults"
        )


@dataclass(frozen=True)
class Start:
    """A start of the workflow in a separate store that lacks one training and the runs that depend on it."""

    bench: Bench
    process: "subprocess.Popen[bytes]"

    @property
    def output(self) -> str:
        return (self.bench.root / "start.txt").read_text()

    @property
    def begun(self) -> bool:
        """Whether the training has begun, according to its log."""
        return any(word in self.log for word in BEGUN)

    @property
    def saved(self) -> bool:
        """Whether the training saved its state, on request or after its last epoch."""
        return SAVED in self.log or LAST.search(self.log) is not None

    @property
    def log(self) -> str:
        """The training's own lines."""
        lines = []
        for file in (self.bench.root / "logs").glob("**/*.log"):
            with suppress(FileNotFoundError):  # Snakemake removes the log of an earlier attempt
                lines += [line for line in file.open() if line.startswith(self.bench.run.spec["name"])]
        return "".join(lines)

    def processes(self) -> list[str]:
        """The command lines of the processes that work in the store."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if int(folder.name) != os.getpid() and str(self.bench.root) in (folder / "cmdline").read_text():
                    found.append((folder / "cmdline").read_text().replace("\0", " "))
            except OSError:
                continue  # the process has ended
        return found


def main(
    count: Annotated[int, typer.Option(help="Total number of stops.")] = 40,
    seed: Annotated[int, typer.Option(help="Seed of the moments.")] = 0,
) -> None:
    """Stop searches, retrainings and transfers in turn."""
    with tempfile.TemporaryDirectory() as folder:
        found = trial(Path(folder), count, seed)
    print(found)
    if found.slowest > LONGEST_STOP:
        found.faults.append(f"a stop took {found.slowest:.1f} s, more than {LONGEST_STOP:.0f} s")
    for fault in found.faults:
        print(f"FAULT: {fault}")
    sys.exit(bool(found.faults))


def trial(folder: Path, count: int, seed: int) -> Count:
    """Stop until there are `count` stops."""
    done, draw, found = folder / "done", random.Random(seed), Count()
    done.mkdir(parents=True, exist_ok=True)
    status = forked(["run", str(PARAMETERS), "--root", str(done)], folder / "done.txt")
    assert status == 0, (folder / "done.txt").read_text()
    (plan,) = (done / "plans").glob("*/specs")
    specs = specs_of(plan.parent)
    runs = [Run(chosen(stage, specs), done) for stage in TRAININGS]
    case = 0
    while found.stops.total() < count and not found.faults:
        stop(runs[case % len(runs)], SIGNALS[case // len(runs) % len(SIGNALS)], folder / str(case), draw, found)
        shutil.rmtree(folder / str(case))
        case += 1
        print(found, flush=True)
    return found


def stop(run: Run, number: signal.Signals, root: Path, draw: random.Random, found: Count) -> None:
    """Stop a start at a moment of the training, resume the training, and count the outcome."""
    begun = _start(run, root)
    early = draw.random() < 0.1
    if not _wait_for(begun, early):
        found.faults.append(f"{run.label}: the training did not start: {begun.output}")
        return
    time.sleep(draw.uniform(0.0, 0.7 * _seconds(run)))
    if begun.bench.published:
        found.late += 1
        _end(begun, number)
        return
    had_begun = begun.begun
    took = _end(begun, number)
    _judge(begun, number, took, had_begun, found)
    _resume(begun.bench, found)


def _start(run: Run, root: Path) -> Start:
    shutil.copytree(run.done, root, ignore=shutil.ignore_patterns("logs", "results", "scratch"))
    for folder in _following(str(run.spec["folder"]), root):
        shutil.rmtree(root / folder)
    command = [sys.executable, "-m", "dropnas", "run", str(PARAMETERS), "--root", str(root), "--cores", "1"]
    with (root / "start.txt").open("wb") as output:
        process = subprocess.Popen(
            command, cwd=PROJECT, env=environment(), stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    return Start(Bench(run, root), process)


def _following(folder: str, root: Path) -> list[str]:
    """A run and all runs that read it, directly or indirectly."""
    inputs = {
        str(file.parent.relative_to(root)): json.loads(file.read_text())["run"]["inputs"]
        for file in root.glob("runs/*/*/manifest.json")
    }
    found, added = [folder], [folder]
    while added:
        names = {Path(one).name for one in added}
        added = [one for one, read in inputs.items() if one not in found and names & set(read)]
        found += added
    return found


def _wait_for(begun: Start, early: bool) -> bool:
    """Wait until the training has begun or, for an early stop, until its process has claimed the run."""
    ends = time.monotonic() + PATIENCE
    while time.monotonic() < ends and begun.process.poll() is None:
        if begun.begun or (early and begun.bench.scratch.exists()) or begun.bench.published:
            return True
        time.sleep(0.01)
    return begun.bench.published


def _seconds(run: Run) -> float:
    """The duration of the undisturbed training."""
    record: dict[str, Any] = json.loads((run.done / run.spec["folder"] / "run.json").read_text())
    return float(record["seconds"])


def _end(begun: Start, number: signal.Signals) -> float:
    """Send the signal; return the seconds until the last process has ended."""
    sent = time.monotonic()
    begun.process.send_signal(number)
    while begun.process.poll() is None or begun.processes():
        if time.monotonic() > sent + PATIENCE:
            break
        time.sleep(0.05)
    return time.monotonic() - sent


def _judge(begun: Start, number: signal.Signals, took: float, had_begun: bool, found: Count) -> None:
    label, output = f"{begun.bench.run.label}, {number.name}", f"{begun.output}\n{begun.log}"
    found.stops[label] += 1
    found.slowest = max(found.slowest, took)
    found.early += not had_begun
    wanted = {
        f"left {begun.processes()}": not begun.processes(),
        f"status {begun.process.returncode}": begun.process.returncode == 128 + number,
        "does not say how to go on": f"To continue: python -m dropnas run {PARAMETERS}" in output,
        "shows a traceback": "Traceback" not in output and "CalledProcessError" not in output,
        "did not save the step that it had reached": begun.saved or not had_begun or begun.bench.published,
    }
    found.faults += [f"{label}: {what}: {output}" for what, holds in wanted.items() if not holds]


def _resume(bench: Bench, found: Count) -> None:
    plan = next((bench.root / "plans").glob("*/specs")) / f"{bench.run.spec['id']}.json"
    output = bench.root / "resumed.txt"
    if forked([bench.run.stage, str(plan), "--root", str(bench.root)], output):
        found.faults.append(f"{bench.run.label}: {output.read_text()}")
        return
    found.runs += 1
    found.faults += [f"{bench.run.label}: {name} differs" for name in bench.differences()]


if __name__ == "__main__":
    typer.run(main)
