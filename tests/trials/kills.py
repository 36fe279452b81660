"""`kill -9` of the real training commands at random moments, many during a write; each must end as if left alone.

    python -m tests.trials.kills --count 60 --seed 0

A run is started, killed, and started again by the same command until it is published, and then compared with the
undisturbed one, byte for byte. Three kinds of moments are drawn: any moment; the writing of a checkpoint, which is
waited for by looking for its file; the final writing. A kill counts as one during a write only by what it left: a
half-written checkpoint, or a filled folder that is not published. What is trained twice is what was done between the
last checkpoint and the kill, in seconds of CPU time, since the machine may be busy with other work.
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
INTERVAL = 0.3  # seconds between two checkpoints, so that a run of seconds has many
SLACK = 1.0  # seconds beyond it, for a step, an evaluation and a write
MOMENTS = {"any": 9, "checkpoint": 9, "final": 2}  # what is drawn, and how often
BEGUN = (": begins with", ": continues from")  # a training's first line


@dataclass
class Count:
    """What is counted."""

    kills: Counter[str] = field(default_factory=Counter)  # by stage
    during_writes: Counter[str] = field(default_factory=Counter)  # by what was written
    resumes: int = 0  # starts that continued from a checkpoint
    runs: int = 0  # that were published after kills
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
        """What is not as promised."""
        found = list(self.mismatches)
        if self.kills.total() < wanted:
            found.append(f"{self.kills.total()} of {wanted} kills in the time allowed")
        if 3 * self.during_writes.total() < self.kills.total():
            found.append("less than a third of the kills were during a write")
        if max(self.twice, default=0.0) > INTERVAL + SLACK:
            found.append("more than one interval was trained twice")
        return found


def main(
    count: Annotated[int, typer.Option(help="Kills in all.")] = 60,
    seed: Annotated[int, typer.Option(help="Of the moments.")] = 0,
    minutes: Annotated[float, typer.Option(help="After which no run is begun.")] = 25.0,
) -> None:
    """Kill searches, retrainings, transfers and searches that train as one in turn."""
    with tempfile.TemporaryDirectory() as folder:
        runs = undisturbed(Path(folder, "undisturbed"), KILLED)
        found = trial(runs, Path(folder), count, seed, minutes)
    print(found)
    for fault in found.faults(count):
        print(f"FAULT: {fault}")
    sys.exit(bool(found.faults(count)))


def trial(runs: dict[str, Run], folder: Path, count: int, seed: int, minutes: float) -> Count:
    """Kill until there are `count` kills; each run that was begun is finished and compared."""
    draw, found, end = random.Random(seed), Count(), time.monotonic() + 60 * minutes
    rounds = 0
    while found.kills.total() < count and time.monotonic() < end:
        stage = KILLED[rounds % len(KILLED)]
        share = min(-(-count // (2 * len(KILLED))), count - found.kills.total())  # two rounds of each, if they take it
        finish_killed(runs[stage], folder / f"{rounds}-{stage}", share, draw, found)
        rounds += 1
    return found


def finish_killed(run: Run, root: Path, most: int, draw: random.Random, found: Count) -> None:
    """Start a run again and again, killed at most so many times, until it is published; compare it then."""
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
    """Kill a command at a moment that is drawn, unless it ends before; count what the kill did."""
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
    """Until any moment of the start-up or of the first seconds of training."""
    if start_up is None and command.wait_for(*BEGUN):
        start_up = draw.uniform(0.0, 4 * INTERVAL)
    if start_up is not None:
        time.sleep(start_up)


def wait_for_writes(command: Command, bench: Bench, draw: random.Random) -> None:
    """Until a checkpoint, the first to third of this start, is being written, and up to a millisecond longer."""
    last = draw.randint(1, 3)
    for write in range(last):
        while not writing(command, bench) and not command.ended:
            time.sleep(0.0002)
        while write < last - 1 and writing(command, bench) and not command.ended:
            time.sleep(0.0002)
    time.sleep(draw.uniform(0.0, 0.001))


def wait_for_end(command: Command, bench: Bench, draw: random.Random) -> None:
    """Until some of the final files are there."""
    wanted = draw.randint(1, 5)
    while len(filled(command, bench)) < wanted and not command.ended and not bench.published:
        time.sleep(0.0002)


def writing(command: Command, bench: Bench) -> bool:
    """Whether a half-written checkpoint of this very command is there; one of an earlier kill may lie there too."""
    return any(written(command, scratch / "checkpoint.partial") for scratch in bench.scratches)


def filled(command: Command, bench: Bench) -> list[float]:
    """When each of the final files that this command has written so far was written."""
    files = [path for scratch in bench.scratches for path in (scratch / "staged").glob("*")]
    return [moment for path in files for moment in written(command, path)]


def written(command: Command, path: Path) -> list[float]:
    """When a file was written last, if that was by this command."""
    try:
        moment = path.stat().st_mtime
    except FileNotFoundError:
        return []
    return [moment] if moment > command.started else []


def lost(command: Command, bench: Bench, killed: float) -> float:
    """CPU seconds of training that must be done again: since the last checkpoint, or since the training began."""
    begun = command.time_of(*BEGUN)
    if begun is None:
        return 0.0
    if ended := filled(command, bench):
        killed = min(ended)  # the training was over
    saved = [path.stat().st_mtime for path in bench.scratches[-1].glob("checkpoint-*.pt")]  # the last one to save
    return command.worked(max([begun, *saved]), killed)


if __name__ == "__main__":
    typer.run(main)
