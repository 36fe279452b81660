"""Checks every finished run of a store: its files, its inputs, and that all runs of a dataset saw the same bytes."""

from pathlib import Path
from typing import Any

from dropnas.errors import DropnasError
from dropnas.provenance.files import sha256
from dropnas.provenance.identity import id_of
from dropnas.provenance.store import MANIFEST, RECEIPT, Store, read_manifest


def published(root: Path) -> list[Path]:
    """The folders of all finished runs, datasets first."""
    return [path.parent for pattern in ("data/*/*/", "runs/*/*/") for path in sorted(root.glob(pattern + MANIFEST))]


def orphans(root: Path) -> list[Path]:
    """Folders of runs that have a receipt but lost their manifest: nothing proves what lies in them."""
    receipts = [path for pattern in ("data/*/*/", "runs/*/*/") for path in sorted(root.glob(pattern + RECEIPT))]
    return [path.parent for path in receipts if not (path.parent / MANIFEST).is_file()]


def verify(root: Path) -> tuple[int, list[str]]:
    """Check all finished runs.

    Returns:
        How many there are, and a line for each problem.
    """
    store, folders = Store(root), published(root)
    manifests = {folder.name: sha256(folder / MANIFEST) for folder in folders}
    problems = []
    for folder in folders:
        try:
            problems += store.damage(folder)
            record = read_manifest(folder)["run"]
            problems += [f"{folder}: {line}" for line in (*_identity(folder, record), *_inputs(record, manifests))]
        except DropnasError as error:
            problems.append(str(error))
    return len(folders), problems + [f"{folder}: has a receipt but no manifest" for folder in orphans(root)]


def _identity(folder: Path, record: dict[str, Any]) -> list[str]:
    """The name of the folder must be the hash of the identity that the manifest holds."""
    id_ = id_of(record.get("identity", {}))
    return [] if folder.name.endswith(f"-{id_}") and record["id"] == id_ else ["its name is not its identity"]


def _inputs(record: dict[str, Any], manifests: dict[str, str]) -> list[str]:
    """A run's inputs, where they are still there, must be those that it read."""
    read = record.get("input_manifests", {})
    return [f"its input {name} is another one now" for name in read if manifests.get(name, read[name]) != read[name]]
