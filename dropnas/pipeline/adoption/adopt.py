"""Republishes finished trainings under new identities after a refactoring if a trial proves that no number changed.

Design choices:
- A finished training is matched to a run of the new plan that differs from it only in the code. The stage and the
  configuration are the same, and the input files that the run reads are identical.
- If the stage's own code changed, a trial proves that the old and the new code produce identical files (`trial.py`).
  There is one trial for each stage and pair of code versions. If only the names of the inputs changed, no trial is
  needed.
- Stages that do not train are cheap, so the new code computes them again from the adopted runs. If this changes a
  genotype, the trainings that depend on the genotype are not adopted.
- The old run does not change. The new run consists of the old run's files, as hard links if possible, and a manifest
  that names the old run and the trial. The new run is published like any other run, by one rename under its lease.
"""

import os
import shutil
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dropnas.artifacts.genotype_file import GenotypeFile
from dropnas.artifacts.manifest_file import MANIFEST, ManifestFile
from dropnas.artifacts.receipt_file import RECEIPT
from dropnas.config import read_parameters
from dropnas.errors import DropnasError
from dropnas.pipeline.adoption.small_cases import Case, cases
from dropnas.pipeline.adoption.trial import StageCode, difference
from dropnas.pipeline.execute import execute
from dropnas.pipeline.freeze import check, freeze
from dropnas.pipeline.plan import depths, make_plan
from dropnas.pipeline.specs import read_spec
from dropnas.pipeline.stages import STAGES
from dropnas.pipeline.starts import current
from dropnas.runs.files import sha256
from dropnas.runs.fingerprint import PACKAGE
from dropnas.runs.identity import Run
from dropnas.runs.lease import lease_now
from dropnas.runs.store import Store
from dropnas.runs.verify import published
from dropnas.workspace import Progress


@dataclass
class Adoption:
    """The number of trainings adopted, the number of other runs computed, and the reason for each refusal."""

    adopted: int = 0
    computed: int = 0
    refused: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Finished:
    """A finished run of the store, with its manifest."""

    folder: Path
    manifest: ManifestFile

    @property
    def record(self) -> dict[str, Any]:
        """The run's record in its manifest."""
        return self.manifest.run


def adopt(parameters: Path, root: Path, progress: Progress) -> Adoption:
    """Republish finished trainings under the identities that they have in the plan of a parameter file.

    All other runs are computed as usual. Data sets are not prepared.

    Raises a DropnasError if the parameter file is wrong.
    """
    root = root.absolute()  # absolute, because trials run in other folders
    parameters = current(parameters, root)
    plan, start = make_plan(read_parameters(parameters)).by_default(), freeze(parameters, root)
    os.environ["DROPNAS_PLAN"] = str(start)  # so that the runs computed below record the commit of this frozen start
    store, done = Store(root), Adoption()
    finished = [Finished(folder, ManifestFile.read(folder)) for folder in published(root) if folder.parts[-3] != "data"]
    depth, steps = depths(plan), defaultdict[tuple[int, str], list[Run]](list)
    for run in plan.runs.values():
        steps[depth[run.id], run.stage].append(run)
    for (_, stage), runs in sorted(steps.items()):
        missing = [run for run in runs if not store.is_published(root / run.folder)]
        ready = [run for run in missing if all(store.is_published(root / one.folder) for one in run.inputs)]
        if STAGES[stage].trains:
            _adopt_stage(ready, finished, store, start, done, progress)
        elif stage != "data" and ready:
            specs = [read_spec(root / start / "specs" / f"{run.id}.json", stage) for run in ready]
            done.computed += len(specs) - execute(specs, root, progress)
    return done


def _adopt_stage(
    runs: Sequence[Run], finished: Sequence[Finished], store: Store, start: Path, done: Adoption, progress: Progress
) -> None:
    """Adopt the runs of one stage, with one trial for each pair of old and new code."""
    pairs = defaultdict[tuple[str, str], list[tuple[Run, Finished]]](list)
    for run in runs:
        if old := _match(run, finished, store.root):
            pairs[old.record["identity"]["code"], run.code].append((run, old))
    for (before, after), matched in pairs.items():
        found = cases((run for run, _ in matched), store.root) if before != after else []
        try:
            proof = _prove(matched[0], found, StageCode(store.root / start / "source", after), store.root)
        except DropnasError as error:
            done.refused.append(f"{matched[0][0].stage}: {len(matched)} runs not adopted: {error}")
            continue
        for run, old in matched:
            done.adopted += _carry(run, old, proof, store)
            progress(f"{run.folder}: adopted from {old.folder.name}")


def _match(run: Run, finished: Iterable[Finished], root: Path) -> Finished | None:
    """Find the newest finished run with the stage, configuration, numerics and input files of a planned run."""
    new = run.identity
    same = [
        one
        for one in finished
        if all(one.record.get("identity", {}).get(part) == new[part] for part in ("stage", "config", "numerics"))
        and _same_inputs(run, one, root)
    ]
    return max(same, key=lambda one: str(one.record.get("ended", "")), default=None)


def _same_inputs(run: Run, old: Finished, root: Path) -> bool:
    """Whether a planned run reads the same input files as the old run did."""
    names, read = old.record.get("inputs", []), old.record.get("input_manifests", {})
    if len(names) != len(run.inputs):
        return False
    for source, name in zip(run.inputs, names, strict=True):
        manifest = root / source.folder / MANIFEST
        if source.folder.name == name and sha256(manifest) == read.get(name):
            continue
        before = (root / source.folder).parent / name / MANIFEST
        known = before.is_file() and sha256(before) == read.get(name)
        if not known or _read_of(run, source, before) != _read_of(run, source, manifest):
            return False
    return True


def _read_of(run: Run, source: Run, manifest: Path) -> dict[str, str]:
    """The checksums of the files that a run reads from an input.

    A retraining or transfer reads all files of its data set, but only the genotype of its other input. Runs of other
    stages read all files of each input.
    """
    files = ManifestFile.read(manifest).files
    genotype = run.stage in ("retrain", "transfer") and source.stage != "data"
    return {GenotypeFile.FILE: files.get(GenotypeFile.FILE, "")} if genotype else files


def _prove(matched: tuple[Run, Finished], found: Sequence[Case], new: StageCode, root: Path) -> dict[str, Any]:
    """Run a trial and return the manifest entry that describes it; without cases, no trial is run.

    Raises a DropnasError if the results differ or the old code is not available.
    """
    run, old = matched
    if not found:
        return {"trial": "none: only the names of its inputs changed"}
    before = old.record["identity"]["code"]
    with old_source(old.record, root) as source:
        found_difference = difference(run.stage, found, StageCode(source, before), new)
    if found_difference:
        raise DropnasError(f"the new code gives other results: {found_difference}")
    return {"trial": "equal bytes", "cases": len(found), "old_code": before, "new_code": new.fingerprint}


@contextmanager
def old_source(record: dict[str, Any], root: Path) -> Iterator[Path]:
    """Yield a folder with the code that made a run, taken from a frozen start or from the commit in its manifest.

    Raises a DropnasError if neither is available.
    """
    for spec in sorted(root.absolute().glob(f"plans/*/specs/{record['id']}.json")):
        check(spec.parents[1])
        yield spec.parents[1] / "source"
        return
    commit = record.get("git", {})
    if not commit.get("commit") or commit.get("dirty"):
        where = f"{record['name']}-{record['id']}"
        raise DropnasError("its old code is neither in a frozen start nor in a commit", where=where)
    with tempfile.TemporaryDirectory(prefix="dropnas-code-") as temporary:
        _check_out(commit["commit"], Path(temporary))
        yield Path(temporary)


def _check_out(commit: str, folder: Path) -> None:
    checkout = Path(__file__).parents[3]
    command = ["git", "-C", str(checkout), "archive", "--format=tar", commit, "--", PACKAGE]
    archive = subprocess.run(command, capture_output=True, check=False)
    if archive.returncode:
        raise DropnasError("the commit that made the runs is not in this checkout", where=commit, remedy="git fetch")
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive.stdout, check=True)


def _carry(run: Run, old: Finished, proof: dict[str, Any], store: Store) -> bool:
    """Publish the files of a finished run under its new identity; return whether it was published."""
    store.require_intact(old.folder)
    folder, scratch = store.root / run.folder, store.scratch(run.id)
    with lease_now(scratch) as free:
        if not free or store.is_published(folder):
            return False
        staged = scratch / "staged"
        shutil.rmtree(staged, ignore_errors=True)
        shutil.copytree(old.folder, staged, copy_function=_link, ignore=lambda _, names: {MANIFEST, RECEIPT} & {*names})
        ManifestFile(_record(run, old, proof, store.root), old.manifest.files).write(staged)
        store.settle(staged, folder)
    store.discard_scratch(run.id)
    return True


def _record(run: Run, old: Finished, proof: dict[str, Any], root: Path) -> dict[str, Any]:
    sources = [root / source.folder for source in run.inputs]
    return {
        **old.record,
        **{"id": run.id, "name": run.name, "identity": run.identity, "inputs": [source.name for source in sources]},
        "input_manifests": {source.name: sha256(source / MANIFEST) for source in sources},
        "adopted": {"from": old.folder.name, "manifest_sha256": sha256(old.folder / MANIFEST), **proof},
    }


def _link(source: str, destination: str) -> None:
    try:
        os.link(source, destination)
    except OSError:
        shutil.copyfile(source, destination)
