"""A finished store that tests may damage, and the verbs to run on it.

The oracle is one sentence: a verb either gives the same numbers as on the undisturbed store, or ends with a non-zero
status, one line for each fault, and nothing published.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from dropnas.config import read_parameters
from dropnas.pipeline.freeze import freeze
from dropnas.pipeline.plan import Plan, make_plan
from dropnas.pipeline.specs import spec
from dropnas.runs.files import write_json
from dropnas.runs.identity import Run, resolved
from tests.hostile.made_sources import make_sources
from tests.in_process import Ended, verb
from tests.page.made_store import publish_plan

STUDY = Path(__file__).with_name("study.yaml")
VERBS = {"table": "tables", "figure": "figures"}  # all other verbs have the names of their stages


@dataclass
class Bench:
    """A finished store, its content when it was undisturbed, and the specs of its runs."""

    root: Path
    plan: Plan
    files: dict[str, bytes]
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
        """The files of a run except its records, which contain times."""
        return contents(self.folder(run))

    def restore(self) -> None:
        """Restore the undisturbed store."""
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
    """The sha256 of all files below a folder except the records of a run."""
    found = [path for path in folder.rglob("*") if path.is_file() and path.name not in ("manifest.json", "run.json")]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def make_store(root: Path) -> None:
    """Make a store with every run of the study."""
    bench = Bench(root, make_plan(read_parameters(STUDY)).by_default(), {})
    publish_plan(bench.plan, root)
    shutil.rmtree(root / "scratch")
    for run in bench.plan.runs.values():
        write_json(bench.spec_file(run), resolved(spec(run, "study", bench.plan.parameters.machine)))
    make_sources(root)
    freeze(STUDY, root)


def bench_of(root: Path) -> Bench:
    """Make a bench on such a store, which must be undisturbed."""
    os.environ.pop("DROPNAS_PLAN", None)
    found = {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}
    return Bench(root, make_plan(read_parameters(STUDY)).by_default(), found)


def edit(file: Path, **changes: Any) -> None:
    """Change keys of the record in a manifest, or of a spec."""
    content = json.loads(file.read_text())
    (content["run"] if file.name == "manifest.json" else content).update(changes)
    write_json(file, content)
