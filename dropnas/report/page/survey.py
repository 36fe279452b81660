"""Surveys the runs of a plan in the store: which are done, running or missing, and which exist but must not count.

Design choices: a run counts only if its folder is intact and holds the planned run, and all its inputs count. A damaged
search therefore excludes its genotype, its retraining and every table that uses it, and each of them gives the reason.
A run whose input is not here (pruned or not pulled) counts: its manifest has the checksum of the input's manifest, and
all runs that read the input must agree on this checksum. The run is marked, because the input itself cannot be checked.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from dropnas.analysis.finished_runs import read_run, read_training
from dropnas.artifacts.manifest_file import MANIFEST, ManifestFile
from dropnas.artifacts.receipt_file import RECEIPT
from dropnas.errors import DropnasError
from dropnas.report.page.planned import Content, Planned
from dropnas.runs.authenticity import identity_faults, input_faults
from dropnas.runs.files import sha256
from dropnas.runs.parts import is_light
from dropnas.runs.store import Store

LIGHT = 2**20  # bytes; only smaller files are hashed
RETRAINING_STAGES = ("retrain", "transfer")


class PlannedState(StrEnum):
    """The state of a planned run, in the words of the page."""

    DONE = "done"
    RUNNING = "running"
    MISSING = "missing"
    EXCLUDED = "excluded"


@dataclass(frozen=True)
class Found:
    """A planned run and its state in the store.

    Attributes:
        folder: its folder, which may not exist yet.
        reason: why it is excluded; empty otherwise.
        unchecked: folder names of its inputs that are not in the store.
        light: whether its weights or images are missing on purpose.
        record: the record in its manifest; empty unless it is done.
    """

    run: Planned
    folder: Path
    state: PlannedState
    reason: str = ""
    unchecked: tuple[str, ...] = ()
    light: bool = False
    record: dict[str, Any] = field(default_factory=dict)

    @property
    def counts(self) -> bool:
        """Whether numbers may be computed from the run."""
        return self.state is PlannedState.DONE


def survey(content: Content, root: Path) -> dict[str, Found]:
    """Every run of a plan by its id, in the plan's order."""
    store, found = Store(root), dict[str, Found]()
    manifests: dict[str, str] = {}  # sha256 of each existing manifest
    for run in content.runs.values():  # inputs come first
        try:
            one = _found(run, store, [found[id_] for id_ in run.inputs], manifests)
        except DropnasError as error:  # the folder is a link
            one = Found(run, store.root / run.folder, PlannedState.EXCLUDED, error.what)
        found[run.id] = one
    return _without_conflicts(found)


def _found(run: Planned, store: Store, inputs: list[Found], manifests: dict[str, str]) -> Found:
    folder = store.root / run.folder
    before = store.state(run.id, folder)
    if before != PlannedState.DONE:
        partial = before == PlannedState.MISSING and folder.is_dir() and any(folder.iterdir())
        reason = f"partial: the folder has no {MANIFEST}" if partial else ""
        return Found(run, folder, PlannedState.EXCLUDED if partial else PlannedState(before), reason)
    manifests[folder.name] = sha256(folder / MANIFEST)
    there = {one.folder.name: manifests[one.folder.name] for one in inputs if one.folder.name in manifests}
    reason = _fault(run, folder, store, there) or _taint(inputs)
    if reason:
        return Found(run, folder, PlannedState.EXCLUDED, reason)
    record = ManifestFile.read(folder).run
    unchecked = tuple(one.folder.name for one in inputs if not one.counts)
    return Found(run, folder, PlannedState.DONE, "", unchecked, is_light(folder), record)


def _fault(run: Planned, folder: Path, store: Store, inputs: Mapping[str, str]) -> str:
    """The reason why a finished run must not be used; empty if there is none.

    Args:
        inputs: the sha256 of the manifest of each existing input, by folder name.
    """
    try:
        record = ManifestFile.read(folder).run
        faults = identity_faults(folder, record)
        faults += [] if (folder / RECEIPT).is_file() else [f"{RECEIPT}: missing; the next start writes it again"]
        faults += store.damage(folder, LIGHT) + input_faults(record, inputs)
        if not faults and run.stage in RETRAINING_STAGES:
            read_training(read_run(folder))  # an invalid number raises an error that names it
    except DropnasError as error:
        faults = [str(error)]
    except OSError as error:
        faults = [f"{Path(str(error.filename)).name}: {error.strerror}"]
    return faults[0].replace(f"{folder}/", "") if faults else ""


def _taint(inputs: Iterable[Found]) -> str:
    bad = next((one for one in inputs if one.state is PlannedState.EXCLUDED), None)
    return f"depends on {bad.folder.name}, which is {bad.state}" if bad else ""


def _without_conflicts(found: dict[str, Found]) -> dict[str, Found]:
    """Exclude runs whose manifests disagree about an input outside the store, and the runs that depend on them."""
    read: dict[str, set[str]] = {}
    for one in found.values():
        for name in one.unchecked:
            read.setdefault(name, set()).add(one.record["input_manifests"][name])
    kept: dict[str, Found] = {}
    for id_, one in found.items():
        conflict = next((name for name in one.unchecked if len(read[name]) > 1), "")
        reason = f"other runs read another computation of {conflict}, which is not here" if conflict else ""
        reason = reason or (_taint(kept[source] for source in one.run.inputs) if one.counts else "")
        kept[id_] = Found(one.run, one.folder, PlannedState.EXCLUDED, reason) if reason else one
    return kept
