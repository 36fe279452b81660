"""A disk that is full at each place where a training writes: one clear line, no half-written file, and a clean restart.

    python -m tests.trials.full_disk --count 60 --seed 0

The store is on a small file system in memory (mounting it requires root). All of it but a random remainder is filled,
so that the space ends in the log of attempts, in a line of progress, in a checkpoint, or in one of the final files. The
command must fail with one line that says so and leave no half-written file under a final name. Then the space is freed,
and the same command must publish exactly the bytes of the undisturbed run.
"""

import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from dropnas.training.checkpoint import Checkpoints
from tests.trials.bench import TRAININGS, Bench, Run, contents, forked, undisturbed

MEGABYTES = 64
PAGE = 4096  # bytes; such a file system allocates space in pages
INTERVALS = (0.0, 300.0)  # seconds between checkpoints: after each step; or never, to reach the final files
FULL = re.compile(r"^error: \w+ [\w.+-]+: (?:(.+): )?the disk is full; free some space$")


@dataclass
class Count:
    """The counts and faults of a trial."""

    full: Counter[str] = field(default_factory=Counter)  # failures, by what was being written
    enough: int = 0  # starts that had enough space
    faults: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        places = ", ".join(f"{place} {number}" for place, number in sorted(self.full.items()))
        return (
            f"{self.full.total()} failures on a full disk ({places}), each completed after space was freed; "
            f"{self.enough} starts had space enough; {len(self.faults)} not as promised"
        )


def main(
    count: Annotated[int, typer.Option(help="Total number of starts.")] = 60,
    seed: Annotated[int, typer.Option(help="Seed of the remaining space.")] = 0,
    minutes: Annotated[float, typer.Option(help="Time after which no further start is made.")] = 10.0,
) -> None:
    """Fill the disk of a search, a retraining and a transfer in turn."""
    if reason := missing():
        print(f"skipped: {reason}")
        return
    with tempfile.TemporaryDirectory() as folder:
        runs = undisturbed(Path(folder, "undisturbed"))
        found = trial(runs, Path(folder), count, seed, minutes)
    print(found)
    for fault in found.faults:
        print(f"FAULT: {fault}")
    sys.exit(bool(found.faults))


def missing() -> str:
    """The reason why no file system can be mounted here; empty if one can be."""
    if os.geteuid() != 0:
        return "mounting a small file system takes root"
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(["mount", "-t", "tmpfs", "none", folder], capture_output=True, text=True, check=False)
        if done.returncode:
            return f"no file system can be mounted: {done.stderr.strip()}"
        subprocess.run(["umount", folder], check=True)
    return ""


def trial(runs: dict[str, Run], folder: Path, count: int, seed: int, minutes: float) -> Count:
    """Make `count` starts, each training with each interval in turn."""
    draw, found, end = random.Random(seed), Count(), time.monotonic() + 60 * minutes
    for index in range(count):
        run, interval = runs[TRAININGS[index % 3]], INTERVALS[index // 3 % 2]
        if time.monotonic() > end:
            found.faults.append(f"{index} of {count} starts in the time allowed")
            break
        with small_disk(folder / "disk") as root:
            found.faults += [f"{run.stage}: {fault}" for fault in filled(run, root, interval, draw, found)]
    return found


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """Mount a file system in memory, and yield a folder in it."""
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}m", "none", folder], check=True)
    try:
        yield folder / "store"
    finally:
        subprocess.run(["umount", folder], check=True)


def filled(run: Run, root: Path, interval: float, draw: random.Random, found: Count) -> list[str]:
    """Start a run with little space, then with enough; return the faults."""
    bench = run.bench(root, interval)
    output = root.parent.parent / "output.txt"  # on another disk
    filler = root.parent / "filler"
    fill(filler, PAGE * draw.randrange(needed(run, interval) // PAGE))
    status = forked(bench.arguments, output)
    lines = output.read_text().splitlines()
    if status == 0:
        found.enough += 1
        return [f"{name} differs" for name in bench.differences()]
    full = [match for line in lines if (match := FULL.match(line))]
    clear = status == 1 and len(full) == 1 and full[0].string == lines[-1]
    faults = [] if clear else [f"status {status}: {lines[-4:]}"]
    found.full[place(full[0][1] or "" if full else "?", bench)] += 1
    faults += half_written(bench)
    filler.unlink()
    status = forked(bench.arguments, output)
    faults += [f"{name} differs after space was freed" for name in bench.differences()]
    return faults if status == 0 else [*faults, f"then status {status}: {output.read_text()[-300:]}"]


def needed(run: Run, interval: float) -> int:
    """The number of bytes within which the space may end, so that all places are covered."""
    final = sum(len(content) for content in contents(run.done / run.spec["folder"]).values())
    return final + 10 * PAGE if interval else 4 * final


def fill(filler: Path, rest: int) -> None:
    """Fill the disk up to `rest` bytes."""
    status = os.statvfs(filler.parent)
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(1, status.f_bavail * status.f_frsize - rest))


def place(name: str, bench: Bench) -> str:
    """The kind of file that was being written, from the name in the message."""
    for words, what in (("checkpoint", "checkpoint"), ("attempts", "attempts"), ("progress", "progress")):
        if words in name:
            return what
    final = "final files" if (bench.scratch / "staged").exists() else "other"
    return {"lease": "lease", "manifest": "manifest"}.get(Path(name).name.strip(".").partition(".")[0], final)


def half_written(bench: Bench) -> list[str]:
    """Files under a final name that are incomplete."""
    faults = [f"{bench.folder} is there"] if bench.folder.exists() and not bench.published else []
    lines: list[str] = []
    next(Checkpoints(bench.scratch, str(bench.run.spec["id"]), lines.append).states())
    left = [f"{path} is left" for path in bench.scratch.glob("*.partial")]
    return [*faults, *lines, *left]


if __name__ == "__main__":
    typer.run(main)
