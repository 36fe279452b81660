"""`kill -9` of the real training commands at random moments, often during a write; the results must not change.

    python -m tests.trials.kills --count 60 --seed 0

A run is started, killed, and started again by the same command until it is published. It is then compared with the
undisturbed run, byte for byte. Three kinds of moments are drawn: any moment, the writing of a checkpoint (detected by
its file), and the final writing. A kill counts as one during a write only if it leaves a half-written checkpoint or a
filled folder that is not published. The repeated work is measured in seconds of CPU time between the last checkpoint
and the kill, because the machine may be busy.
"""

import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from tests.trials.bench import GROUPED, TRAININGS, Bench, Command, Run, undisturbed

KILLED = (*TRAININGS, GROUPED)
INTERVAL = 0.3  # seconds between two checkpoints, so that a run of a few seconds has many
SLACK = 1.0  # additional seconds for a step, an evaluation and a write
MOMENTS = {"any": 9, "checkpoint": 9, "final": 2}  # weights of the kinds of moments
BEGUN = (": begins with", ": continues from")  # a training's first line


@dataclass
class Count:
    """The counts of a trial."""

    kills: Counter[str] = field(default_factory=Counter)  # by stage
    during_writes: Counter[str] = field(default_factory=Counter)  # by what was written
    resumes: int = 0  # starts that continued from a checkpoint
    runs: int = 0  # runs that were published after kills
    mismatches: list[str] = field(default_factory=list)
    twice: list[float] = field(default_factory=list)  # CPU seconds of training lost by each kill

    def __str__(self) -> str:
        stages = ", ".join(f"{stage} {number}" for stage, number in sorted(self.kills.items()))
        writes = ", ".join(f"{what} {number}" for what, number in sorted(self.during_writes.items()))
        most, over = max(self.twice, default=0.0), sum(lost > INTERVAL + SLACK for lost in self.twice)
        return (
            f"{self.kills.total()} kills ({stages}), {self.during_writes.total()} during a write ({writes}), "
            f"{self.resumes} resumes, {self.runs} runs finished, {len(self.mismatches)} mismatches; trained twice: at "
            f"most {most:.2f} s of CPU time at an interval of {INTERVAL} s, {over} kills beyond {INTERVAL + SLACK} s"
        )

    def faults(self, wanted: int) -> list[str]:
        """The faults of the trial."""
        found = list(self.mismatches)
        if self.kills.total() < wanted:
            found.append(f"{self.kills.total()} of {wanted} kills in the time allowed")
        if 3 * self.during_writes.total() < self.kills.total():
            found.append("less than a third of the kills were during a write")
        if max(self.twice, default=0.0) > INTERVAL + SLACK:
            found.append("more than one interval was trained twice")
        return found


def main(
    count: Annotated[int, typer.Option(help="Total number of kills.")] = 60,
    seed: Annotated[int, typer.Option(help="Seed of the moments.")] = 0,
    minutes: Annotated[float, typer.Option(help="Time after which no further run is started.")] = 25.0,
) -> None:
    """Kill searches, retrainings, transfers and groups of searches in turn."""
    with tempfile.TemporaryDirectory() as folder:
        runs = undisturbed(Path(folder, "undisturbed"), KILLED)
        found = trial(runs, Path(folder), count, seed, minutes)
    print(found)
    for fault in found.faults(count):
        print(f"FAULT: {fault}")
    sys.exit(bool(found.faults(count)))


def trial(runs: dict[str, Run], folder: Path, count: int, seed: int, minutes: float) -> Count:
    """Kill until there are `count` kills; each started run is finished and compared."""
    draw, found, end = random.Random(seed), Count(), time.monotonic() + 60 * minutes
    rounds = 0
    while found.kills.total() < count and time.monotonic() < end:
        stage = KILLED[rounds % len(KILLED)]
        share = min(-(-count // (2 * len(KILLED))), count - found.kills.total())  # kills for each, in two rounds
        finish_killed(runs[stage], folder / f"{rounds}-{stage}", share, draw, found)
        rounds += 1
    return found


def finish_killed(run: Run, root: Path, most: int, draw: random.Random, found: Count) -> None:
    """Start a run again until it is published, killing it at most `most` times; then compare it."""
    bench, before = run.bench(root, INTERVAL), found.kills.total()
    while not bench.published:
        command = Command(bench.arguments)
        if found.kills.total() - before < most:
            kill(command, bench, draw, found)
        status = command.wait()
        found.resumes += ": continues from" in command.text
        if status not in (0, -signal.SIGKILL) or "is skipped" in command.text:
            found.mismatches.append(f"{run.label}: status {status}: {command.text}")
            return
    found.runs += 1
    found.mismatches += [f"{run.label}: {name} differs" for name in bench.differences()]
    print(f"{run.label}: {found}", flush=True)


def kill(command: Command, bench: Bench, draw: random.Random, found: Count) -> None:
    """Kill a command at a random moment, unless it ends before; count the effect."""
    moment = draw.choices(list(MOMENTS), list(MOMENTS.values()))[0]
    if moment == "any":
        wait(command, draw.uniform(0.0, 0.5) if draw.random() < 0.1 else None, draw)  # some before the training begins
    elif moment == "checkpoint":
        wait_for_writes(command, bench, draw)
    else:
        wait_for_end(command, bench, draw)
    if not command.ended:
        os.killpg(command.process.pid, signal.SIGKILL)
    killed = time.time()
    if command.wait() != -signal.SIGKILL:
        return
    found.kills[bench.run.label] += 1
    if writing(command, bench):
        found.during_writes["checkpoint"] += 1
    elif filled(command, bench) and not bench.published:
        found.during_writes["final"] += 1
    found.twice.append(lost(command, bench, killed))


def wait(command: Command, start_up: float | None, draw: random.Random) -> None:
    """Wait until a random moment of the start-up or of the first seconds of training."""
    if start_up is None and command.wait_for(*BEGUN):
        start_up = draw.uniform(0.0, 4 * INTERVAL)
    if start_up is not None:
        time.sleep(start_up)


def wait_for_writes(command: Command, bench: Bench, draw: random.Random) -> None:
    """Wait until one of this start's first three checkpoints is being written, then up to a millisecond more."""
    last = draw.randint(1, 3)
    for write in range(last):
        while not writing(command, bench) and not command.ended:
            time.sleep(0.0002)
        while write < last - 1 and writing(command, bench) and not command.ended:
            time.sleep(0.0002)
    time.sleep(draw.uniform(0.0, 0.001))


def wait_for_end(command: Command, bench: Bench, draw: random.Random) -> None:
    """Wait until some of the final files exist."""
    wanted = draw.randint(1, 5)
    while len(filled(command, bench)) < wanted and not command.ended and not bench.published:
        time.sleep(0.0002)


def writing(command: Command, bench: Bench) -> bool:
    """Whether this command has a half-written checkpoint; one that an earlier kill left does not count."""
    return any(written(command, scratch / "checkpoint.partial") for scratch in bench.scratches)


def filled(command: Command, bench: Bench) -> list[float]:
    """The times at which this command wrote its final files so far."""
    files = [path for scratch in bench.scratches for path in (scratch / "staged").glob("*")]
    return [moment for path in files for moment in written(command, path)]


def written(command: Command, path: Path) -> list[float]:
    """The time of the last write to a file, if this command wrote it."""
    try:
        moment = path.stat().st_mtime
    except FileNotFoundError:
        return []
    return [moment] if moment > command.started else []


def lost(command: Command, bench: Bench, killed: float) -> float:
    """CPU seconds of training that must be repeated: since the last checkpoint, or since the training began."""
    begun = command.time_of(*BEGUN)
    if begun is None:
        return 0.0
    if ended := filled(command, bench):
        killed = min(ended)  # the training had ended
    saved = [path.stat().st_mtime for path in bench.scratches[-1].glob("checkpoint-*.pt")]  # saves last
    return command.worked(max([begun, *saved]), killed)


if __name__ == "__main__":
    typer.run(main)
