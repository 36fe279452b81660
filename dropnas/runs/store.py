"""The store of runs: folders that are written once and published with a single rename.

`manifest.json` is authoritative: it records everything that determined the run, and the sha256 of every file. The
receipt, `run.json`, records everything that determined the run, and the sha256 of the manifest. Both are published by
the same rename, so a kill cannot separate them. If the receipt is missing, the next start makes it from the manifest.
"""

import math
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dropnas.artifacts.manifest_file import MANIFEST, ManifestFile
from dropnas.artifacts.receipt_file import RECEIPT
from dropnas.errors import DropnasError
from dropnas.runs.files import checksums, read_json, sha256, write_json
from dropnas.runs.lease import holder
from dropnas.runs.parts import DVC_IGNORE, omitted_files


@dataclass(frozen=True)
class Store:
    """All runs below one root folder: `data/`, `runs/`, and `scratch/` for unfinished runs."""

    root: Path

    def scratch(self, identity: str) -> Path:
        """The folder of a run's resume state and lease."""
        return self.root / "scratch" / identity

    def is_published(self, folder: Path) -> bool:
        """Whether a run is finished. A manifest appears together with the folder, so its existence is sufficient.

        Raises a DropnasError if the folder is a file, or a link, which could lead out of the store.
        """
        _refuse_link(folder)
        return (folder / MANIFEST).is_file()

    def state(self, identity: str, folder: Path) -> str:
        """The state of a run: `done`, `running` or `missing`."""
        if self.is_published(folder):
            return "done"
        return "running" if holder(self.scratch(identity)) else "missing"

    def publish(self, staged: Path, folder: Path, record: dict[str, Any]) -> None:
        """Publish a finished folder under its final name: checksums and receipt first, then one rename."""
        ManifestFile(record, checksums(staged)).write(staged)
        self.settle(staged, folder)

    def settle(self, staged: Path, folder: Path) -> None:
        """Publish a folder that has its manifest. After a power failure, the folder exists completely or not at all."""
        write_json(staged / RECEIPT, receipt_of(staged), flush=False)
        for path in (*staged.rglob("*"), staged):  # all files must be on disk before the rename
            _flush(path)
        self.admit(staged, folder)
        for path in (folder.parent, folder.parent.parent):  # folder.parent may itself be new
            _flush(path)

    def admit(self, staged: Path, folder: Path) -> None:
        """Publish a folder that has its manifest, by one rename; its content must already be on disk."""
        self._clear_remains(folder)
        _make_readable(staged)
        folder.parent.mkdir(parents=True, exist_ok=True)
        os.replace(staged, folder)

    def _clear_remains(self, folder: Path) -> None:
        """Empty a folder without a manifest, so that a rename can replace it. It may contain only an old receipt."""
        if self.is_published(folder):
            raise DropnasError("a finished run is already there", where=folder, remedy="keep it")
        if not folder.exists():
            return
        (folder / RECEIPT).unlink(missing_ok=True)
        if any(folder.iterdir()):
            raise DropnasError("is not a run, but has the name of one", where=folder, remedy="move it away")

    def write_receipt(self, folder: Path) -> None:
        """Write the receipt from the manifest if it is missing or wrong; the caller must hold the run's lease.

        The receipt is first written in the scratch folder, because a half-written file in the run's folder would count
        as damage.
        """
        receipt = receipt_of(folder)
        if not (folder / RECEIPT).is_file() or read_json(folder / RECEIPT) != receipt:
            staged = self.scratch(receipt["id"]) / RECEIPT
            write_json(staged, receipt)
            os.replace(staged, folder / RECEIPT)

    def damage(self, folder: Path, below: float = math.inf) -> list[str]:
        """List what is wrong with a published run, one line for each file; empty if all its files are unchanged.

        Files of at least `below` bytes are not read. Only their length is checked, using the header in the file itself.
        """
        _refuse_link(folder)
        manifest = ManifestFile.read(folder)
        apart = (MANIFEST, RECEIPT, DVC_IGNORE)
        found = {name: value for name, value in checksums(folder, below).items() if name not in apart}
        expected = manifest.files
        absent = omitted_files(folder, expected)
        lost = [f"{folder / name}: missing" for name in expected if name not in found and name not in absent]
        read = [name for name in found if name in expected and found[name]]
        changed = [f"{folder / name}: changed since it was published" for name in read if found[name] != expected[name]]
        short = [line for name in found if not found[name] for line in _cut_short(folder / name)]
        added = [f"{folder / name}: not in the manifest" for name in found if name not in expected]
        return lost + changed + short + added + _receipt_damage(folder, manifest)

    def require_intact(self, folder: Path) -> None:
        """Raise a DropnasError that names the first damaged file."""
        damage = self.damage(folder)
        if damage:
            raise DropnasError(damage[0], remedy=f"restore or remove {folder}")

    def discard_scratch(self, identity: str) -> None:
        """Remove the resume state of a published run."""
        shutil.rmtree(self.scratch(identity), ignore_errors=True)


def _make_readable(folder: Path) -> None:
    """Give each file the mode of a new file; some libraries write files that other users cannot read."""
    mask = os.umask(0)
    os.umask(mask)
    for path in folder.rglob("*"):
        if path.is_file() and path.stat().st_nlink == 1:  # a file with two hard links also belongs to another run
            path.chmod(0o666 & ~mask)


def _refuse_link(folder: Path) -> None:
    """Check that a run is inside the store: neither it nor its stage's folder may be a link or a file."""
    if folder.is_file():
        raise DropnasError("is a file where a run should be", where=folder, remedy="move it away")
    for place in (folder, folder.parent):
        if place.is_symlink():
            raise DropnasError("is a link where a run should be", where=place, remedy="replace it by the folder itself")


def receipt_of(folder: Path) -> dict[str, Any]:
    """The content of a run's receipt: everything that determined the run, and the sha256 of its manifest."""
    return {**ManifestFile.read(folder).run, "manifest_sha256": sha256(folder / MANIFEST)}


def _receipt_damage(folder: Path, manifest: ManifestFile) -> list[str]:
    receipt = folder / RECEIPT
    if not receipt.exists():
        return []  # it will be written again
    if not receipt.is_file():
        return [f"{receipt}: is not a file"]
    intact = read_json(receipt) == {**manifest.run, "manifest_sha256": sha256(folder / MANIFEST)}
    return [] if intact else [f"{receipt}: does not belong to this run's manifest"]


def _cut_short(file: Path) -> list[str]:
    """Report a large file that is shorter than its header says; its content is not read."""
    import numpy  # imported late: some stages run without numpy
    from safetensors import SafetensorError, safe_open

    try:
        if file.suffix == ".safetensors":
            with safe_open(file, framework="numpy"):
                pass
        if file.suffix == ".npy":
            numpy.load(file, mmap_mode="r", allow_pickle=False)
    except (SafetensorError, ValueError) as error:
        return [f"{file}: cut short or damaged ({error})"]
    return []


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
