"""Damaged and foreign checkpoints of real trainings: none is used, and each is reported in one line.

    python -m tests.trials.damage --count 100 --seed 0

A search, a retraining and a transfer are stopped in their last epoch, with two checkpoints each. In each case, the
newer checkpoint is replaced and the same command is started again. It must report the skipped checkpoint in one line,
continue from the older one, and publish exactly the bytes of the undisturbed run. The commands run in forks of this
process.
"""

import hashlib
import io
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from dropnas.training.checkpoint import FORMAT
from dropnas.training.signals import EXIT_STOPPED
from tests.trials.bench import HELD, TRAININGS, Bench, Command, Run, forked, undisturbed

LEFT_OUT = "this checkpoint is skipped"
GONE_ON = ": continues from a checkpoint at epoch"


@dataclass(frozen=True)
class Stopped:
    """A training that was stopped with two checkpoints.

    Attributes:
        kept: copy of its scratch folder.
        older: the command's message when it continues from the older checkpoint.
    """

    bench: Bench
    kept: Path
    older: str

    @property
    def newest(self) -> Path:
        """The path of the newer checkpoint."""
        return max(self.bench.scratch.glob("checkpoint-*.pt"))


@dataclass(frozen=True)
class Case:
    """A kind of damage, and a function that applies it to the newer checkpoint."""

    kind: str
    harm: Callable[[Path], object]


@dataclass
class Count:
    """The counts and faults of a trial."""

    cases: Counter[str] = field(default_factory=Counter)  # by kind
    stages: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        kinds = ", ".join(f"{kind} {number}" for kind, number in sorted(self.cases.items()))
        stages = ", ".join(f"{stage} {number}" for stage, number in sorted(self.stages.items()))
        return f"{self.cases.total()} cases ({kinds}; {stages}), {len(self.faults)} not as promised"


def main(
    count: Annotated[int, typer.Option(help="Total number of cases.")] = 100,
    seed: Annotated[int, typer.Option(help="Seed of positions and lengths.")] = 0,
    minutes: Annotated[float, typer.Option(help="Time after which no further case is started.")] = 25.0,
) -> None:
    """Damage checkpoints of a search, a retraining and a transfer in turn."""
    with tempfile.TemporaryDirectory() as folder:
        runs = undisturbed(Path(folder, "undisturbed"))
        found = trial(runs, Path(folder), count, seed, minutes)
    print(found)
    if found.cases.total() < count:
        found.faults.append(f"{found.cases.total()} of {count} cases in the time allowed")
    for fault in found.faults:
        print(f"FAULT: {fault}")
    sys.exit(bool(found.faults))


def trial(runs: dict[str, Run], folder: Path, count: int, seed: int, minutes: float) -> Count:
    """Try `count` cases; no kind is repeated before each has been applied to each training."""
    draw, found, end = random.Random(seed), Count(), time.monotonic() + 60 * minutes
    stopped = {stage: stop(run, folder / stage) for stage, run in runs.items()}
    foreign = {stage: one.newest.read_bytes() for stage, one in stopped.items()}
    while found.cases.total() < count and time.monotonic() < end:
        cases = {stage: list(kinds(stopped[stage], foreign, folder, draw)) for stage in TRAININGS}
        each = range(len(cases["search"]))
        for index in each if count > len(each) else draw.sample(each, len(each)):  # if few: not always the same
            for stage in TRAININGS:
                if found.cases.total() < count and time.monotonic() < end:
                    attempt(stopped[stage], cases[stage][index], folder, found)
        print(found, flush=True)
    return found


def stop(run: Run, root: Path) -> Stopped:
    """Start a run that saves after each step, and stop it by a signal in its last epoch."""
    bench = run.bench(root, 0.0)
    epochs = run.spec["config"]["epochs"]
    command = Command(bench.arguments, hold=epochs - 1)
    assert command.wait_for(HELD), command.text
    os.kill(command.process.pid, signal.SIGTERM)
    assert command.wait() == EXIT_STOPPED, command.text
    older = state_of(min(bench.scratch.glob("checkpoint-*.pt")))
    kept = root / "kept"
    shutil.copytree(bench.scratch, kept)
    return Stopped(bench, kept, f"{GONE_ON} {older['epoch'] + 1}, step {older['step']}")


def state_of(path: Path) -> dict[str, Any]:
    payload = path.read_bytes().partition(b"\n")[2]
    state: dict[str, Any] = torch.load(io.BytesIO(payload), weights_only=True)
    return state


def restore(stopped: Stopped) -> None:
    """Restore the two checkpoints."""
    stopped.bench.clear()
    shutil.copytree(stopped.kept, stopped.bench.scratch)


def kinds(stopped: Stopped, foreign: dict[str, bytes], folder: Path, draw: random.Random) -> Iterator[Case]:
    """Yield every kind of damage, at random positions."""
    content = stopped.newest.read_bytes()
    header = content.index(b"\n") + 1
    stage = stopped.bench.run.stage
    yield from (Case("truncated", write(content[:length])) for length in lengths(header, len(content), draw))
    yield from (Case("bit flipped", write(flip(content, place))) for place in places(header, len(content), draw))
    yield Case("emptied", write(b""))
    yield Case("lengthened", write(content + b"\0"))
    yield Case("zeroed", write(bytes(len(content))))
    yield Case("its end zeroed", write(content[: len(content) // 2] + bytes(len(content) - len(content) // 2)))
    yield from (Case("another run's", write(other)) for name, other in foreign.items() if name != stage)
    evil = folder / "evil"
    yield Case("a pickle with code", write(pickled(Evil(evil))))
    yield Case("a pickle with code", write(sealed(pickled({"epoch": Evil(evil)}), stopped.bench.run)))
    yield Case("does not hold the state", write(sealed(pickled([1, 2]), stopped.bench.run)))
    yield Case("a folder", lambda path: (path.unlink(), path.mkdir()))
    yield Case("a dangling link", lambda path: (path.unlink(), path.symlink_to(folder / "nowhere")))
    yield Case("a pipe", lambda path: (path.unlink(), os.mkfifo(path)))
    yield Case("a half-written one beside it", lambda path: (path.write_bytes(b""), half(path, content)))
    yield Case("a foreign one of the last number", lambda path: (path.unlink(), last(path, foreign, stage)))


def lengths(header: int, size: int, draw: random.Random) -> list[int]:
    """Lengths to cut to: inside the header, at its end, just after it, inside the payload, near the end."""
    inside = [draw.randrange(header + 100, size - 100) for _ in range(2)]
    return [1, draw.randrange(2, header - 1), header - 1, header, header + draw.randrange(1, 30), *inside, size - 1]


def places(header: int, size: int, draw: random.Random) -> list[int]:
    """Bits to flip in the format, checksum, identity and line end, and in the payload and at its ends."""
    first = len(FORMAT)
    spans = [(0, first), (first, first + 1), (first + 1, first + 65), (first + 66, header - 1), (header - 1, header)]
    spans += [(header, header + 60), *[(header + 60, size - 200)] * 3, (size - 200, size)]
    return [8 * draw.randrange(*span) + draw.randrange(8) for span in spans]


def flip(content: bytes, bit: int) -> bytes:
    flipped = bytearray(content)
    flipped[bit // 8] ^= 1 << bit % 8
    return bytes(flipped)


def write(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


def half(path: Path, content: bytes) -> None:
    path.with_name("checkpoint.partial").write_bytes(content[: len(content) // 2])


def last(path: Path, foreign: dict[str, bytes], stage: str) -> None:
    other = next(content for name, content in foreign.items() if name != stage)
    path.with_name("checkpoint-99999999.pt").write_bytes(other)


class Evil:
    """Runs code when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder),)


def pickled(value: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def sealed(payload: bytes, run: Run) -> bytes:
    """Make a checkpoint with any payload, and with a correct checksum and identity."""
    return f"{FORMAT} {hashlib.sha256(payload).hexdigest()} {run.spec['id']}\n".encode() + payload


def attempt(stopped: Stopped, case: Case, folder: Path, found: Count) -> None:
    """Apply the damage, start the command again, and count the faults."""
    stage = stopped.bench.run.stage
    found.cases[case.kind] += 1
    found.stages[stage] += 1
    case.harm(stopped.newest)
    found.faults += [f"{stage}: {case.kind}: {fault}" for fault in tried(stopped, folder)]
    restore(stopped)


def tried(stopped: Stopped, folder: Path) -> list[str]:
    """Start the command again; return the faults."""
    output = folder / "output.txt"
    status = forked(stopped.bench.arguments, output)
    lines = output.read_text(errors="replace").splitlines()
    named = [line for line in lines if line.endswith(LEFT_OUT)]
    faults = [f"{name} differs" for name in stopped.bench.differences()]
    if status != 0:
        faults.append(f"status {status}: {lines[-3:]}")
    if len(named) != 1 or "checkpoint-" not in named[0] or not named[0].isprintable():
        faults.append(f"named in {len(named)} lines: {named}")
    if not any(line.endswith(stopped.older) for line in lines):
        faults.append(f"the older checkpoint was not used: {lines[:3]}")
    if (folder / "evil").exists() or (folder / "nowhere").exists():
        faults.append("a file was written outside the store")
    return faults


if __name__ == "__main__":
    typer.run(main)
