"""What the store holds of a plan's runs: which are done, running or missing, and which are there but must not count.

Design choices: a run counts only if its folder is intact, is the planned one, and all that it depends on counts; so a
damaged search takes its genotype, its retraining and every table out with it, and each of them says why. A run whose
input is not here, pruned or not pulled, counts: its manifest says which very manifest of that input it read, and all
that read it must agree. That nobody can look at the input itself is said beside the run.
"""

import hashlib
import json
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

LIGHT = 2**20  # bytes; what is smaller is hashed
TRAININGS = ("retrain", "transfer")


class State(StrEnum):
    """How far a planned run is, in the words of the page."""

    DONE = "done"
    RUNNING = "running"
    MISSING = "missing"
    EXCLUDED = "excluded"


@dataclass(frozen=True)
class Found:
    """A planned run and what the store holds of it.

    Attributes:
        run: as it was planned.
        folder: its folder, which need not exist yet.
        state: how far it is.
        reason: why it is excluded; empty otherwise.
        unchecked: inputs that it read and that are not here to be looked at, by the names of their folders.
        light: whether it is here without its weights or images.
        record: what its manifest says went into it; empty unless it is done.
    """

    run: Planned
    folder: Path
    state: State
    reason: str = ""
    unchecked: tuple[str, ...] = ()
    light: bool = False
    record: dict[str, Any] = field(default_factory=dict)

    @property
    def counts(self) -> bool:
        """Whether numbers may come from it."""
        return self.state is State.DONE


def survey(content: Content, root: Path) -> dict[str, Found]:
    """Every run of a plan by its id, in the plan's order."""
    store, found = Store(root), dict[str, Found]()
    manifests: dict[str, str] = {}  # sha256 of each manifest that is there
    for run in content.runs.values():  # inputs come first
        try:
            one = _found(run, store, [found[id_] for id_ in run.inputs], manifests)
        except DropnasError as error:  # the folder is a link
            one = Found(run, store.root / run.folder, State.EXCLUDED, error.what)
        found[run.id] = one
    return _without_conflicts(found)


def _found(run: Planned, store: Store, inputs: list[Found], manifests: dict[str, str]) -> Found:
    folder = store.root / run.folder
    before = store.state(run.id, folder)
    if before != State.DONE:
        partial = before == State.MISSING and folder.is_dir() and any(folder.iterdir())
        reason = f"partial: the folder has no {MANIFEST}" if partial else ""
        return Found(run, folder, State.EXCLUDED if partial else State(before), reason)
    manifests[folder.name] = sha256(folder / MANIFEST)
    there = {one.folder.name: manifests[one.folder.name] for one in inputs if one.folder.name in manifests}
    reason = _fault(run, folder, store, there) or _taint(inputs)
    if reason:
        return Found(run, folder, State.EXCLUDED, reason)
    record = ManifestFile.read(folder).run
    unchecked = tuple(one.folder.name for one in inputs if not one.counts)
    return Found(run, folder, State.DONE, "", unchecked, is_light(folder), record)


def _fault(run: Planned, folder: Path, store: Store, inputs: Mapping[str, str]) -> str:
    """Why a finished run must not enter a number; empty if nothing speaks against it.

    Args:
        run, folder, store: the run as it was planned, its folder, and whose it is.
        inputs: the sha256 of the manifest of each input that is there, by the name of its folder.
    """
    try:
        record = ManifestFile.read(folder).run
        faults = identity_faults(folder, record)
        faults += [] if (folder / RECEIPT).is_file() else [f"{RECEIPT}: missing; the next start writes it again"]
        faults += store.damage(folder, LIGHT) + input_faults(record, inputs)
        if not faults and run.stage in TRAININGS:
            read_training(read_run(folder))  # a number that is none is found here, and named
    except DropnasError as error:
        faults = [str(error)]
    except OSError as error:
        faults = [f"{Path(str(error.filename)).name}: {error.strerror}"]
    return faults[0].replace(f"{folder}/", "") if faults else ""


def _taint(inputs: Iterable[Found]) -> str:
    bad = next((one for one in inputs if one.state is State.EXCLUDED), None)
    return f"depends on {bad.folder.name}, which is {bad.state}" if bad else ""


def _without_conflicts(found: dict[str, Found]) -> dict[str, Found]:
    """Runs whose readings of an input that is not here differ are kept out, and what depends on them."""
    read: dict[str, set[str]] = {}
    for one in found.values():
        for name in one.unchecked:
            read.setdefault(name, set()).add(one.record["input_manifests"][name])
    kept: dict[str, Found] = {}
    for id_, one in found.items():
        conflict = next((name for name in one.unchecked if len(read[name]) > 1), "")
        reason = f"others read another {conflict}, and that is not here" if conflict else ""
        reason = reason or (_taint(kept[source] for source in one.run.inputs) if one.counts else "")
        kept[id_] = Found(one.run, one.folder, State.EXCLUDED, reason) if reason else one
    return kept


def fingerprint(raw: object, content: Content, root: Path) -> str:
    """A hash that differs when `raw` (the plan and what sets the page), a file of a run, or its state does."""
    store = Store(root)
    states = [
        (run.id, store.state(run.id, root / run.folder), *_stamps(root / run.folder)) for run in content.runs.values()
    ]
    return hashlib.sha256(json.dumps([raw, states], sort_keys=True).encode()).hexdigest()


def _stamps(folder: Path) -> list[tuple[str, int, int]]:
    """Name, size and time of each file of a run."""
    files = sorted(path for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else []
    return [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files]
