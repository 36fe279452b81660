"""Checks every finished run of a store: its files, its inputs, and that all runs of a dataset saw the same bytes."""

import hashlib
from pathlib import Path
from typing import Any

from dropnas.errors import DropnasError
from dropnas.provenance.files import read_json, sha256
from dropnas.provenance.identity import ID_DIGITS, canonical_json
from dropnas.provenance.store import MANIFEST, Store


def published(root: Path) -> list[Path]:
    """The folders of all finished runs, datasets first."""
    return [path.parent for pattern in ("data/*/*/", "runs/*/*/") for path in sorted(root.glob(pattern + MANIFEST))]


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
            record = read_json(folder / MANIFEST)["run"]
            problems += [f"{folder}: {line}" for line in (*_identity(folder, record), *_inputs(record, manifests))]
        except DropnasError as error:
            problems.append(str(error))
    return len(folders), problems


def _identity(folder: Path, record: dict[str, Any]) -> list[str]:
    """The name of the folder must be the hash of the identity that the manifest holds."""
    id_ = hashlib.sha256(canonical_json(record["identity"]).encode()).hexdigest()[:ID_DIGITS]
    return [] if folder.name.endswith(f"-{id_}") and record["id"] == id_ else ["its name is not its identity"]


def _inputs(record: dict[str, Any], manifests: dict[str, str]) -> list[str]:
    """A run's inputs, where they are still there, must be those that it read."""
    read = record["input_manifests"]
    return [f"its input {name} is another one now" for name in read if manifests.get(name, read[name]) != read[name]]
