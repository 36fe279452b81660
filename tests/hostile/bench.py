"""A finished store that may be damaged at will, verbs in this very process, and what counts as a fault.

The oracle is one sentence: a verb either gives the same numbers as on the undisturbed store, or ends with a non-zero
status, one line for each thing that is wrong, and nothing published. Processor time bounds a case, not the clock, so
that a busy machine makes no fault.
"""

import hashlib
import io
import json
import os
import shutil
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import FrameType
from typing import Any
from unittest.mock import patch

from dropnas import cli
from dropnas.config import read_parameters
from dropnas.pipeline import compute
from dropnas.pipeline.freeze import freeze, spec
from dropnas.pipeline.plan import Plan, make_plan
from dropnas.runs.files import write_json
from dropnas.runs.identity import Run
from tests.hostile.made_sources import make_sources
from tests.page.made_store import publish_plan

STUDY = Path(__file__).with_name("study.yaml")
LONGEST = 10.0  # seconds of processor time that a verb may take
ASLEEP = 20.0  # seconds after which one that takes none waits for something that never comes
VERBS = {"table": "tables", "figure": "figures"}  # the others are called as their stages
MISTAKE = "by a mistake in the program"


@dataclass(frozen=True)
class Ended:
    """How a verb ended."""

    status: int
    out: str
    err: str

    @property
    def fault(self) -> str:
        """What no input may cause, whatever it is."""
        if MISTAKE in self.err or "Traceback" in self.err:
            return "traceback"
        if self.status and not self.err.strip():
            return "failed without a line"
        return ""


class Hanging(BaseException):
    """A verb took longer than any may."""


def verb(*arguments: object, root: Path | None = None) -> Ended:
    """Run `python -m dropnas ARGUMENTS` in this process."""
    words = ["dropnas", *map(str, arguments), *(["--root", str(root)] if root else [])]
    out, err, status = io.StringIO(), io.StringIO(), 0
    compute._require_input.cache_clear()  # a process of its own would have looked at nothing yet
    with patch.object(sys, "argv", words), redirect_stdout(out), redirect_stderr(err):
        try:
            with bounded():
                cli.main()
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else int(end.code is not None)
        except (Exception, Hanging):
            status = 99
            traceback.print_exc()
    return Ended(status, out.getvalue(), err.getvalue())


@contextmanager
def bounded() -> Iterator[None]:
    def end(number: int, frame: FrameType | None) -> None:
        raise Hanging

    timers = {signal.SIGPROF: (signal.ITIMER_PROF, LONGEST), signal.SIGALRM: (signal.ITIMER_REAL, ASLEEP)}
    before = {number: signal.signal(number, end) for number in timers}
    for timer, seconds in timers.values():
        signal.setitimer(timer, seconds)
    try:
        yield
    finally:
        for number, (timer, _) in timers.items():
            signal.setitimer(timer, 0)
            signal.signal(number, before[number])


@dataclass
class Bench:
    """A finished store, what it held when it was undisturbed, and the specs of its runs."""

    root: Path
    plan: Plan
    files: dict[str, bytes] = field(default_factory=dict)
    prepared: dict[str, dict[str, str]] = field(default_factory=dict)  # data sets from their undisturbed sources

    def folder(self, run: Run) -> Path:
        return self.root / run.folder

    def spec_file(self, run: Run) -> Path:
        return self.root / "specs" / f"{run.id}.json"

    def of_stage(self, *stages: str) -> list[Run]:
        return [run for run in self.plan.runs.values() if run.stage in stages]

    def compute(self, *runs: Run) -> Ended:
        """Compute runs of one stage by their verb."""
        stage = runs[0].stage
        return verb(VERBS.get(stage, stage), *map(self.spec_file, runs), root=self.root)

    def take_out(self, runs: Sequence[Run]) -> None:
        for run in runs:
            shutil.rmtree(self.folder(run), ignore_errors=True)

    def content(self, run: Run) -> dict[str, str]:
        """The files of a run but its records, which say when it was made."""
        return contents(self.folder(run))

    def restore(self) -> None:
        """Make the store again what it was."""
        found = {path.relative_to(self.root).as_posix(): path for path in self.root.rglob("*")}
        for name, path in sorted(found.items(), reverse=True):
            if path.is_symlink() or (not path.is_dir() and not (path.is_file() and name in self.files)):
                path.unlink()
            elif path.is_dir() and (name in self.files or name not in self.folders):
                shutil.rmtree(path)
        for name, content in self.files.items():
            path = self.root / name
            if not path.is_file() or path.read_bytes() != content:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)

    @cached_property
    def folders(self) -> set[str]:
        return {parent.as_posix() for name in self.files for parent in Path(name).parents}


def contents(folder: Path) -> dict[str, str]:
    """The sha256 of all files below a folder but the records of a run."""
    found = [path for path in folder.rglob("*") if path.is_file() and path.name not in ("manifest.json", "run.json")]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def make_bench(root: Path) -> Bench:
    """A store with every run of the study."""
    os.environ.pop("DROPNAS_PLAN", None)
    bench = Bench(root, make_plan(read_parameters(STUDY)).by_default())
    publish_plan(bench.plan, root)
    shutil.rmtree(root / "scratch")
    for run in bench.plan.runs.values():
        write_json(bench.spec_file(run), spec(run, "study", bench.plan.parameters.machine))
    make_sources(root)
    freeze(STUDY, root)
    for path in root.rglob("*"):
        if path.is_file():
            bench.files[path.relative_to(root).as_posix()] = path.read_bytes()
    return bench


def edit(file: Path, **changes: Any) -> None:
    """Change keys of the record in a manifest, or of a spec."""
    content = json.loads(file.read_text())
    (content["run"] if file.name == "manifest.json" else content).update(changes)
    write_json(file, content)
