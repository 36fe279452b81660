"""Moves the runs and the frozen plan of an archive into a store.

Design choices: an archive comes from another person, so nothing in it is trusted. Before any folder gets its final
name, every file is checked against the list of checksums, every run against its manifest, every manifest against the
run's name, and the inputs of a run against the other manifests. No code of the archive is executed; its source is kept
for reading only. Tables and figures that the installed code can compute are not taken from the archive.
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dropnas.archive.archive_file import DOWNLOAD_AGAIN, Archive
from dropnas.artifacts.manifest_file import MANIFEST
from dropnas.config import NAME_PATTERN
from dropnas.errors import DropnasError
from dropnas.pipeline.freeze import FROZEN, PLAN, check
from dropnas.pipeline.jobs import DONE_FOLDER
from dropnas.pipeline.specs import Spec, read_spec
from dropnas.report.page.planned import Content, parse_content
from dropnas.runs.files import read_json, sha256, write_text
from dropnas.runs.parts import DVC_IGNORE, MARK_TEXT
from dropnas.runs.stage_groups import RESULT_STAGES
from dropnas.runs.store import Store
from dropnas.runs.verify import verify
from dropnas.sharing.arrival import admit, staging
from dropnas.sharing.shared_run import FOLDER_WITH_ID, SharedRun, read_run

PLANS = re.compile(r"plans/[0-9a-f]{10}")


@dataclass(frozen=True)
class Unpacked:
    """The result of unpacking an archive into a store.

    Attributes:
        plan: folder of the frozen plan, relative to the root.
        profile: the plan's profile.
        runs: number of runs in the archive.
        specs: specs of the tables and figures that the installed code can compute.
        kept: names of tables and figures that another version of the code made; they are copied from the archive.
    """

    plan: Path
    profile: str
    runs: int
    specs: tuple[Spec, ...]
    kept: tuple[str, ...]


def unpack(archive: Archive, root: Path) -> Unpacked:
    """Move the content of an archive into a store, which may be new. Existing runs are left unchanged.

    Raises:
        DropnasError: the archive is damaged or was edited, or the store has one of its runs with another manifest.
    """
    store = Store(root)
    with staging(store) as staged:
        archive.extract(staged, ("data/", "runs/", "plans/"))
        folder, plan = _plan(archive, staged)
        runs = _runs(archive, staged, plan)
        _require_none_other(runs, store)
        specs, kept = _shown(staged / folder, plan, {run.folder for run in runs})
        computed = {spec.folder for spec in specs}
        new = [run for run in runs if run.folder not in computed and not store.is_published(root / run.folder)]
        for name, why in admit(store, staged, new, heavy=False).items():
            raise DropnasError(f"{name}: {why}", where=archive.file)
        _settle(staged / folder, root / folder)
    return Unpacked(folder, plan.profile, len(runs), tuple(specs), tuple(kept))


def _plan(archive: Archive, staged: Path) -> tuple[Path, Content]:
    """Read the frozen plan, whose content must match its name; return its folder and the plan."""
    folders = {"/".join(name.split("/")[:2]) for name in archive.sums if name.startswith("plans/")}
    folder = next(iter(folders), "")
    if len(folders) != 1 or not PLANS.fullmatch(folder):
        raise DropnasError("does not contain exactly one frozen plan", where=archive.file, remedy=DOWNLOAD_AGAIN)
    for name in archive.sums:  # the hash in a frozen plan's name covers neither job markers nor bytecode
        if name.startswith(f"{folder}/{DONE_FOLDER}/") or (name.startswith(folder) and "__pycache__" in name):
            raise DropnasError(f"{name} does not belong in a frozen plan", where=archive.file, remedy=DOWNLOAD_AGAIN)
    check(staged / folder)
    if read_json(staged / folder / FROZEN)["id"] != Path(folder).name:
        raise DropnasError(f"{folder} holds another plan than its name says", where=archive.file, remedy=DOWNLOAD_AGAIN)
    plan = parse_content(read_json(staged / folder / PLAN), archive.file)
    leading = [*(run.folder for run in plan.runs.values()), *plan.folders.values()]
    if not re.fullmatch(NAME_PATTERN, plan.profile) or not all(map(FOLDER_WITH_ID.fullmatch, leading)):
        raise DropnasError(f"its {PLAN} names a folder that does not belong to a run", where=archive.file)
    return Path(folder), plan


def _runs(archive: Archive, staged: Path, plan: Content) -> list[SharedRun]:
    """The runs of the archive, in the plan's order; each must belong to the plan and be intact."""
    found = {"/".join(name.split("/")[:3]) for name in archive.sums if name.startswith(("data/", "runs/"))}
    planned = [run.folder for run in plan.runs.values()]
    if strange := sorted(found - set(planned)):
        raise DropnasError(f"{strange[0]} is not a run of its plan", where=archive.file, remedy=DOWNLOAD_AGAIN)
    runs = []
    for folder in (one for one in planned if one in found):
        try:
            runs.append(read_run(staged, folder))
        except DropnasError as error:
            raise DropnasError(f"{folder}: {error}", where=archive.file, remedy=DOWNLOAD_AGAIN) from error
        if runs[-1].part(heavy=True):  # an archive contains neither weights nor images
            write_text(staged / folder / DVC_IGNORE, MARK_TEXT, flush=False)
    for problem in verify(staged).problems:
        raise DropnasError(problem.removeprefix(f"{staged}/"), where=archive.file, remedy=DOWNLOAD_AGAIN)
    return runs


def _require_none_other(runs: Sequence[SharedRun], store: Store) -> None:
    """Check that any run that is already in the store has the same manifest there.

    Tables and figures may differ, because they are rebuilt.
    """
    for run in runs:
        here, shown = store.root / run.folder, run.folder.split("/")[1] in RESULT_STAGES
        if store.is_published(here) and sha256(here / MANIFEST) != run.version and not shown:
            hint = "give an empty folder with --root"
            raise DropnasError("the store has another computation of a run of the archive", where=here, remedy=hint)


def _shown(folder: Path, plan: Content, there: set[str]) -> tuple[list[Spec], list[str]]:
    """Return specs of the tables and figures that the installed code can compute, and the names of the others.

    The installed code can compute a spec if the id in its name matches the code and the content of the spec.
    """
    specs, kept = [], []
    for run in plan.runs.values():
        if run.stage in RESULT_STAGES and run.folder in there:
            try:
                specs.append(read_spec(folder / "specs" / f"{run.id}.json", run.stage))
            except DropnasError:
                kept.append(run.name)
    return specs, kept


def _settle(staged: Path, folder: Path) -> None:
    """Move a frozen plan into the store.

    If the store already has a plan of that name, the two are identical, because the name is the hash of the content.
    """
    if folder.exists():
        check(folder)
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    os.replace(staged, folder)
