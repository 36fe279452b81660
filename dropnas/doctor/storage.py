"""Checks the store's file system by trying its features in the store, and the free space."""

import fcntl
import os
import shutil
import tempfile
from pathlib import Path

from dropnas.doctor.check import Checks, Situation, failed, passed, warning
from dropnas.pipeline.disk import Disk, needed

RESERVE = 50_000_000  # bytes that should be free at least
SHARED = Path("/dev/shm")
SHARED_MB = 1000


def examine(situation: Situation) -> Checks:
    """Check locks, renames, free space, and shared memory."""
    yield from _tried(situation.root)
    yield from room(situation.root, needed(situation.runs, situation.root, situation.site.jobs))
    yield from _shared_memory(situation)


def _tried(root: Path) -> Checks:
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=root, prefix=".doctor-") as folder:
            yield from _locks(Path(folder))
            yield from _renames(Path(folder))
    except OSError as error:
        yield failed("store", f"{root} cannot be written ({error.strerror})", "choose another folder with --root")


def _locks(folder: Path) -> Checks:
    with (folder / "lock").open("w") as lock, (folder / "lock").open("w") as other:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            hint = "mount it with locks (Lustre: -o flock), or put the store on another file system"
            yield failed("file locks", f"the file system does not support them ({error.strerror})", hint)
            return
        try:
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield passed("file locks", "are honoured")
        else:
            yield failed(
                "file locks", "are not honoured: two processes hold one lock", "put the store on another file system"
            )


def _renames(folder: Path) -> Checks:
    """Check that a folder can be renamed in one step, and that a rename replaces a file."""
    (folder / "new").mkdir()
    (folder / "new" / "file").write_text("new")
    (folder / "old").write_text("old")
    try:
        os.replace(folder / "new", folder / "published")
        os.replace(folder / "published" / "file", folder / "old")
        whole = (folder / "old").read_text() == "new"
    except OSError as error:
        yield failed("renames", f"fail ({error.strerror})", "put the store on another file system")
    else:
        check = passed if whole else failed
        yield check("renames", "replace files" if whole else "lose files", *([] if whole else ["use another disk"]))


def room(root: Path, wanted: Disk) -> Checks:
    """Compare free space and inodes with what is needed."""
    free = shutil.disk_usage(root).free if root.exists() else 0
    size = wanted.size + RESERVE
    hint = "free some space, or choose another folder with --root"
    check = passed if free >= size else failed
    yield check("free space", f"{_gb(free)} free, {_gb(size)} needed", *([] if free >= size else [hint]))
    status = os.statvfs(root) if root.exists() else None
    if wanted.files and status and status.f_files:  # a file system without a limit reports 0
        enough = status.f_favail >= wanted.files
        check = passed if enough else failed
        yield check("inodes", f"{status.f_favail} free, {wanted.files} needed", *([] if enough else [hint]))


def _shared_memory(situation: Situation) -> Checks:
    """Check the shared memory, through which decoding processes pass images; Docker's default is 64 MB."""
    if not situation.machine.workers or situation.site.executor != "local" or not SHARED.is_dir():
        return
    size = shutil.disk_usage(SHARED).total / 1e6
    if size < SHARED_MB:
        hint = "start the container with --ipc host, or set machine.workers: 0"
        yield warning(
            "shared memory", f"{SHARED} has {size:.0f} MB, too little for {situation.machine.workers} workers", hint
        )
    else:
        yield passed("shared memory", f"{SHARED} has {size:.0f} MB")


def _gb(size: float) -> str:
    return f"{size / 1e9:,.1f} GB"
