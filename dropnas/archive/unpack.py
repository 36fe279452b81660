"""Moves the runs and the frozen plan of an archive into a store.

Design choices: an archive comes from another person, so nothing in it is trusted. Before any folder gets its final
name, every file is checked against the list of checksums, every run against its manifest, every manifest against the
run's name, and the inputs of a run against the other manifests. Nothing of the archive is executed; its source is kept
for reading only. Tables and figures that the code here can compute again are not taken from the archive.
"""

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from dropnas.archive.agreement import require_agreement
from dropnas.archive.archive_file import REMEDY, Archive, opened
from dropnas.artifacts.looks_file import LooksFile
from dropnas.artifacts.manifest_file import MANIFEST
from dropnas.artifacts.receipt_file import RECEIPT
from dropnas.config import NAME
from dropnas.errors import DropnasError
from dropnas.parsing import parse
from dropnas.pipeline.freeze import FROZEN, PLAN, check
from dropnas.pipeline.jobs import DONE
from dropnas.pipeline.specs import Spec, read_spec
from dropnas.runs.files import read_json, sha256
from dropnas.runs.store import Store
from dropnas.runs.verify import SHOWN
from dropnas.sharing.arrival import admit, staging
from dropnas.sharing.shared_run import FOLDER, SharedRun, read_run

PLANS = re.compile(r"plans/[0-9a-f]{10}")


@dataclass(frozen=True)
class Unpacked:
    """The result of unpacking an archive into a store.

    Attributes:
        plan: folder of the frozen plan, relative to the root.
        runs: number of runs in the archive.
        specs: specs of the tables and figures that are not in the store; the code here computes them.
        kept: names of tables and figures that another version of the code made; the store has the archive's version.
        results: the sha256 of each file of results in the archive, by its name.
        looks: the decisions of a sequential plan's looks; None without looks.
    """

    plan: Path
    runs: int
    specs: tuple[Spec, ...]
    kept: tuple[str, ...]
    results: dict[str, str]
    looks: LooksFile | None


@dataclass(frozen=True)
class _PlannedRun:
    """The fields of a run in plan.json that are used."""

    __pydantic_config__ = {"extra": "ignore"}

    id: str
    stage: str
    name: str
    folder: str


@dataclass(frozen=True)
class _Plan:
    """The fields of plan.json that lead to files."""

    __pydantic_config__ = {"extra": "ignore"}

    profile: str
    folders: dict[str, str]
    runs: tuple[_PlannedRun, ...]


def unpack(file: Path, root: Path) -> Unpacked:
    """Move the content of an archive into a store.

    Args:
        file: the archive.
        root: root folder of the store, which may be new. Runs that are already there do not change.

    Raises:
        DropnasError: the archive is damaged or was edited, or the store has another computation of one of its runs.
    """
    with opened(file) as archive, staging(Store(root)) as staged:
        archive.extract(staged, ("data/", "runs/", "plans/"))
        folder, plan = _plan(archive, staged)
        runs = [_run(archive, staged, folder) for folder in _folders(archive, plan)]
        require_agreement(runs, file, REMEDY)
        _require_none_other(runs, root)
        specs, kept = _shown(staged / folder, plan, {run.folder for run in runs})
        computed = {spec.folder for spec in specs}
        store = Store(root)
        new = [run for run in runs if run.folder not in computed and not store.is_published(root / run.folder)]
        for name, why in admit(store, staged, new, heavy=False).items():
            raise DropnasError(f"{name}: {why}", where=file)
        _settle(staged / folder, root / folder)
        results = {name: value for name, value in archive.sums.items() if name.startswith("results/")}
        looks = f"results/{plan.profile}/{LooksFile.FILE}"
        record = LooksFile.of_text(archive.read(looks).decode(), f"{file}: {looks}") if looks in results else None
    return Unpacked(folder, len(runs), tuple(specs), tuple(kept), results, record)


def _plan(archive: Archive, staged: Path) -> tuple[Path, _Plan]:
    """Read the frozen plan, whose content must match the name of its folder."""
    names = {"/".join(name.split("/")[:2]) for name in archive.sums if name.startswith("plans/")}
    folder = next(iter(names), "")
    if len(names) != 1 or not PLANS.fullmatch(folder):
        raise DropnasError("holds no frozen plan, or more than one", where=archive.file, remedy=REMEDY)
    unchecked = (f"{folder}/{DONE}/", "__pycache__")  # not part of the hash in a frozen plan's name
    if odd := [
        name for name in archive.sums if name.startswith(f"{folder}/") and any(one in name for one in unchecked)
    ]:
        raise DropnasError(f"{odd[0]} does not belong there", where=archive.file, remedy=REMEDY)
    check(staged / folder)
    if read_json(staged / folder / FROZEN)["id"] != Path(folder).name:
        raise DropnasError(f"{folder} holds another plan than its name says", where=archive.file, remedy=REMEDY)
    plan: _Plan = parse(_Plan, read_json(staged / folder / PLAN), f"{archive.file}: {folder}/{PLAN}")
    leading = [*(run.folder for run in plan.runs), *plan.folders.values()]
    if not re.fullmatch(NAME, plan.profile) or not all(map(FOLDER.fullmatch, leading)):
        raise DropnasError(f"{folder}/{PLAN} names a folder that does not belong to a run", where=archive.file)
    return Path(folder), plan


def _folders(archive: Archive, plan: _Plan) -> list[str]:
    """The folders of the runs in the archive, in the plan's order; all must belong to the plan."""
    found = {"/".join(name.split("/")[:3]) for name in archive.sums if name.startswith(("data/", "runs/"))}
    if strange := sorted(found - {run.folder for run in plan.runs}):
        raise DropnasError(f"{strange[0]} is not a run of its plan", where=archive.file, remedy=REMEDY)
    return [run.folder for run in plan.runs if run.folder in found]


def _run(archive: Archive, staged: Path, folder: str) -> SharedRun:
    """Read a run of the archive, whose light files must be present and match its manifest."""
    try:
        run = read_run(staged, folder)
    except DropnasError as error:
        raise DropnasError(f"{folder}: {error}", where=archive.file, remedy=REMEDY) from error
    light = run.part(heavy=False)
    there = {name.removeprefix(f"{folder}/") for name in archive.sums if name.startswith(f"{folder}/")}
    if odd := sorted(there ^ {*light, MANIFEST, RECEIPT}):
        what = "is missing" if odd[0] not in there else "is not in its manifest"
        raise DropnasError(f"{folder}: {odd[0]} {what}", where=archive.file, remedy=REMEDY)
    for name in light:
        if archive.sums[f"{folder}/{name}"] != run.files[name]:
            raise DropnasError(f"{folder}: {name} does not match its manifest", where=archive.file, remedy=REMEDY)
    return run


def _require_none_other(runs: Sequence[SharedRun], root: Path) -> None:
    """Check that the store has no other computation of these runs, except of those that may be computed again."""
    for run in runs:
        here, shown = root / run.folder, run.folder.split("/")[1] in SHOWN
        if Store(root).is_published(here) and sha256(here / MANIFEST) != run.version and not shown:
            hint = "give an empty folder with --root"
            raise DropnasError("the store has another computation of a run of the archive", where=here, remedy=hint)


def _shown(folder: Path, plan: _Plan, there: Iterable[str]) -> tuple[list[Spec], list[str]]:
    """Split the archive's tables and figures: specs of those that the code here can compute, and names of the others.

    A spec is rejected if the code, or its content, does not match its name. The archive's own run, which was checked
    like the others, is then used.
    """
    specs, kept = [], []
    for run in plan.runs:
        if run.stage in SHOWN and run.folder in there:
            try:
                specs.append(read_spec(folder / "specs" / f"{run.id}.json", run.stage))
            except DropnasError:
                kept.append(run.name)
    return specs, kept


def _settle(staged: Path, folder: Path) -> None:
    """Move a frozen plan to its place. A plan of that name has the same content, because the name is its hash."""
    if folder.exists():
        check(folder)
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    os.replace(staged, folder)
