"""Checks the free space of the store's file system, and tries the features that the store needs."""

import fcntl
import os
import shutil
import tempfile
from pathlib import Path

from dropnas.doctor.check import Check, Checks, Situation, check
from dropnas.pipeline.disk import Disk, needed

RESERVE = 50_000_000  # bytes that should remain free
SHARED_MEMORY = Path("/dev/shm")
SHARED_MB = 1000
ELSEWHERE = "put the store on another file system"


def examine(situation: Situation) -> Checks:
    """Check locks, renames, free space, and shared memory."""
    root = situation.root
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=root, prefix=".doctor-") as folder:
            yield _locks(Path(folder))
            yield _renames(Path(folder))
    except OSError as error:
        yield check("store", False, f"{root} cannot be written ({error.strerror})", "choose another folder with --root")
    yield from room(root, needed(situation.runs, root, situation.site.jobs))
    yield from _shared_memory(situation)


def _locks(folder: Path) -> Check:
    with (folder / "lock").open("w") as lock, (folder / "lock").open("w") as other:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            hint = f"mount it with locks (Lustre: -o flock), or {ELSEWHERE}"
            return check("file locks", False, f"the file system does not support them ({error.strerror})", hint)
        try:
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return check("file locks", True, "are honoured")
    return check("file locks", False, "are not honoured: two processes hold one lock", ELSEWHERE)


def _renames(folder: Path) -> Check:
    """Check that a folder can be renamed in one step, and that a rename replaces a file."""
    (folder / "new").mkdir()
    (folder / "new" / "file").write_text("new")
    (folder / "old").write_text("old")
    try:
        os.replace(folder / "new", folder / "published")
        os.replace(folder / "published" / "file", folder / "old")
    except OSError as error:
        return check("renames", False, f"fail ({error.strerror})", ELSEWHERE)
    whole = (folder / "old").read_text() == "new"
    return check("renames", whole, "replace files" if whole else "lose files", ELSEWHERE)


def room(root: Path, wanted: Disk) -> Checks:
    """Check that enough space and enough inodes are free."""
    free, size = shutil.disk_usage(root).free if root.exists() else 0, wanted.size + RESERVE
    hint = "free some space, or choose another folder with --root"
    yield check("free space", free >= size, f"{free / 1e9:,.1f} GB free, {size / 1e9:,.1f} GB needed", hint)
    status = os.statvfs(root) if root.exists() else None
    if wanted.files and status and status.f_files:  # a file system without a limit reports 0
        found = f"{status.f_favail} free, {wanted.files} needed"
        yield check("inodes", status.f_favail >= wanted.files, found, hint)


def _shared_memory(situation: Situation) -> Checks:
    """Check the shared memory, through which decoding processes pass images; Docker's default is 64 MB."""
    workers = situation.machine.workers
    if workers and situation.site.executor == "local" and SHARED_MEMORY.is_dir():
        size = shutil.disk_usage(SHARED_MEMORY).total / 1e6
        hint = "start the container with --ipc host, or set machine.workers: 0"
        found = f"{SHARED_MEMORY} has {size:.0f} MB for {workers} workers, {SHARED_MB} MB should be there"
        yield check("shared memory", size >= SHARED_MB, found, hint, stops=False)
