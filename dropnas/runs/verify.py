"""Checks every finished run of a store: its files, its inputs, and that all runs of a dataset saw the same bytes.

What rests on a run that is not as it was written, tables and figures last, is told with it: these are tainted, even
where their own files are whole.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dropnas.artifacts.manifest_file import MANIFEST, ManifestFile
from dropnas.artifacts.receipt_file import RECEIPT
from dropnas.errors import DropnasError
from dropnas.runs.files import sha256
from dropnas.runs.identity import id_of
from dropnas.runs.parts import is_light, stage_of
from dropnas.runs.store import Store

FOLDERS = ("data/*/*/", "runs/*/*/")
SHOWN = ("table", "peers", "figure")  # stages whose runs a reader sees


@dataclass(frozen=True)
class Verified:
    """What was found in a store.

    Attributes:
        runs: how many finished ones there are, and how many of them without their heavy part.
        problems: a line each.
        tainted: the tables and figures that rest on a run with a problem, and on which, by their folders.
        unchecked: how many inputs were read that are not here to be compared.
    """

    runs: int
    light: int
    problems: list[str]
    tainted: dict[str, str]
    unchecked: int


def published(root: Path) -> list[Path]:
    """The folders of all finished runs, datasets first."""
    return [path.parent for pattern in FOLDERS for path in sorted(root.glob(pattern + MANIFEST))]


def orphans(root: Path) -> list[Path]:
    """Folders of runs that have a receipt but lost their manifest: nothing proves what lies in them."""
    receipts = [path for pattern in FOLDERS for path in sorted(root.glob(pattern + RECEIPT))]
    return [path.parent for path in receipts if not (path.parent / MANIFEST).is_file()]


def verify(root: Path) -> Verified:
    """Check all finished runs; reads every byte of them."""
    store, folders = Store(root), published(root)
    manifests = {folder.name: sha256(folder / MANIFEST) for folder in folders}
    problems: dict[Path, list[str]] = {}
    records: dict[Path, dict[str, Any]] = {}
    for folder in folders:
        try:
            records[folder] = record = ManifestFile.read(folder).run
            problems[folder] = [f"{folder}: {line}" for line in identity_faults(folder, record)]
            problems[folder] += [f"{folder}: {line}" for line in input_faults(record, manifests)]
            problems[folder] += store.damage(folder)
        except DropnasError as error:
            problems.setdefault(folder, []).append(str(error))
    for folder in orphans(root):
        problems[folder] = [f"{folder}: has a receipt but no manifest"]
    return Verified(
        runs=len(folders),
        light=sum(is_light(folder) for folder in folders),
        problems=[line for lines in problems.values() for line in lines],
        tainted=_tainted({folder for folder, lines in problems.items() if lines}, records, root),
        unchecked=sum(name not in manifests for record in records.values() for name in _read(record)),
    )


def identity_faults(folder: Path, record: dict[str, Any]) -> list[str]:
    """The name of the folder must be the hash of the identity that the manifest holds."""
    id_ = id_of(record.get("identity", {}))
    return [] if folder.name.endswith(f"-{id_}") and record["id"] == id_ else ["its name is not its identity"]


def input_faults(record: dict[str, Any], manifests: Mapping[str, str]) -> list[str]:
    """A run's inputs, where they are still there, must be those that it read."""
    read = _read(record)
    return [f"its input {name} is another one now" for name in read if manifests.get(name, read[name]) != read[name]]


def _read(record: dict[str, Any]) -> dict[str, str]:
    """The sha256 of the manifest of each run that a run read, by the name of its folder."""
    read: dict[str, str] = record.get("input_manifests", {})
    return read


def _tainted(bad: Iterable[Path], records: Mapping[Path, dict[str, Any]], root: Path) -> dict[str, str]:
    """Tables and figures that rest on bad runs, through however many others."""
    users: dict[str, list[Path]] = {}
    for folder, record in records.items():
        for name in record.get("inputs", []):
            users.setdefault(name, []).append(folder)
    found: dict[str, str] = {}
    for first in sorted(bad):
        reached, waiting = {first}, [first]
        while waiting:
            new = [one for one in users.get(waiting.pop().name, []) if one not in reached]
            reached.update(new)
            waiting += new
        for folder in sorted(reached):
            name = folder.relative_to(root).as_posix()
            if stage_of(name) in SHOWN:
                found.setdefault(name, first.relative_to(root).as_posix())
    return found
