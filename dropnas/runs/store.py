"""The store of runs: folders that are written once and published by one rename.

`manifest.json` is the truth: all that went into the run and the sha256 of every file. `run.json`, the receipt, says the
same without the files. It may be missing, and is then written again from the manifest.
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
from dropnas.runs.parts import MARK, left_out


@dataclass(frozen=True)
class Store:
    """All runs below one root: `data/`, `runs/`, and `scratch/` for what is not finished."""

    root: Path

    def scratch(self, identity: str) -> Path:
        """Where a run keeps its resume state and its lease."""
        return self.root / "scratch" / identity

    def is_published(self, folder: Path) -> bool:
        """Whether a run is finished. A manifest arrives with the whole folder, so its existence is enough.

        Raises:
            DropnasError: the folder is a file, or a link, which could lead out of the store.
        """
        _refuse_link(folder)
        return (folder / MANIFEST).is_file()

    def state(self, identity: str, folder: Path) -> str:
        """How far a run is: `done`, `running` or `missing`."""
        if self.is_published(folder):
            return "done"
        return "running" if holder(self.scratch(identity)) else "missing"

    def publish(self, staged: Path, folder: Path, record: dict[str, Any]) -> None:
        """Give a finished folder its final name: checksums first, then one rename, then the receipt."""
        ManifestFile(record, checksums(staged)).write(staged)
        self.settle(staged, folder)

    def settle(self, staged: Path, folder: Path) -> None:
        """Give a folder that has its manifest its final name, so that a power cut leaves all of it or nothing."""
        for path in (*staged.rglob("*"), staged):  # a manifest must not outlive what it vouches for
            _flush(path)
        self.admit(staged, folder)
        for path in (folder.parent, folder.parent.parent):  # the upper one may just have got the lower one
            _flush(path)
        self.write_receipt(folder)

    def admit(self, staged: Path, folder: Path) -> None:
        """Give a folder that has its manifest its final name, by one rename; what is in it must be on disk."""
        self._clear_remains(folder)
        _make_readable(staged)
        folder.parent.mkdir(parents=True, exist_ok=True)
        os.replace(staged, folder)

    def _clear_remains(self, folder: Path) -> None:
        """A folder without a manifest holds at most an old receipt."""
        if self.is_published(folder):
            raise DropnasError("stands in the place of a run: finished before", where=folder, remedy="keep that one")
        if not folder.exists():
            return
        (folder / RECEIPT).unlink(missing_ok=True)
        if any(folder.iterdir()):
            raise DropnasError("stands in the place of a run but is none", where=folder, remedy="move it away")

    def write_receipt(self, folder: Path) -> None:
        """Write `run.json` again from the manifest, unless it stands there already; for who holds the run's lease.

        It is written in the scratch folder: half a file in the run's own, left by a kill, would be damage.
        """
        receipt = receipt_of(folder)
        if not (folder / RECEIPT).is_file() or read_json(folder / RECEIPT) != receipt:
            staged = self.scratch(receipt["id"]) / RECEIPT
            write_json(staged, receipt)
            os.replace(staged, folder / RECEIPT)

    def damage(self, folder: Path, below: float = math.inf) -> list[str]:
        """What is wrong with a published run, one line a file; empty if all that is here is as it was written.

        Files of `below` bytes and more are held against the length alone that their own header promises.
        """
        _refuse_link(folder)
        manifest = ManifestFile.read(folder)
        apart = (MANIFEST, RECEIPT, MARK)
        found = {name: value for name, value in checksums(folder, below).items() if name not in apart}
        expected = manifest.files
        absent = left_out(folder, expected)
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
        """Remove the resume state of a run that is published."""
        shutil.rmtree(self.scratch(identity), ignore_errors=True)


def _make_readable(folder: Path) -> None:
    """Give each file the mode that a new one has; some libraries write files that nobody else may read."""
    mask = os.umask(0)
    os.umask(mask)
    for path in folder.rglob("*"):
        if path.is_file() and path.stat().st_nlink == 1:  # an adopted file is also another run's
            path.chmod(0o666 & ~mask)


def _refuse_link(folder: Path) -> None:
    """A run is in the store itself: neither it nor the folder of its stage may be a link or a file."""
    if folder.is_file():
        raise DropnasError("is a file where a run should lie", where=folder, remedy="move it away")
    for place in (folder, folder.parent):
        if place.is_symlink():
            raise DropnasError(
                "is a link where a run should lie", where=place, remedy="replace it by the folder itself"
            )


def receipt_of(folder: Path) -> dict[str, Any]:
    """What a run's receipt says: all that went into it, and the sha256 of the manifest that proves it."""
    return {**ManifestFile.read(folder).run, "manifest_sha256": sha256(folder / MANIFEST)}


def _receipt_damage(folder: Path, manifest: ManifestFile) -> list[str]:
    receipt = folder / RECEIPT
    if not receipt.exists():
        return []  # it is written again
    if not receipt.is_file():
        return [f"{receipt}: is no file"]
    intact = read_json(receipt) == {**manifest.run, "manifest_sha256": sha256(folder / MANIFEST)}
    return [] if intact else [f"{receipt}: does not belong to the manifest beside it"]


def _cut_short(file: Path) -> list[str]:
    """Whether a large file is shorter than its header says; its content is not read."""
    import numpy  # late: runs are published where there is neither
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
    """Have the system write a file, or the names in a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
