"""Leases, which mark the process that works on a run. A second job waits, and takes over if the first is dead.

A lease is a file in the run's scratch folder. It names its holder, a process that renews the file's
modification time as long as it lives.
Design choices:
- If the holder runs on this machine (same boot, same process namespace), its process is looked up by number and start
  time, so a dead holder is recognised at once. A holder also counts as dead at once if it belongs to an earlier attempt
  of this scheduler job.
- Otherwise a holder counts as dead if the file does not change for some time *on the observer's own clock*. The clocks
  of hosts and file servers can differ by minutes, so file times are only compared with earlier times of the same file.
- Two processes must never write the resume state of one run. A holder therefore ends itself if it cannot renew its
  lease in time, or finds that another process has taken it over.
- The file is changed under an advisory lock, which the kernel releases when a process ends. A renewal changes only
  the file's time, so it works on a full disk.
"""

import fcntl
import json
import os
import socket
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from dropnas.errors import DropnasError
from dropnas.runs.files import write_json

RENEWAL = 20.0  # seconds between two signs of life
EXPIRY = 300.0  # seconds without a sign of life after which a holder that cannot be looked up counts as dead
FENCE = EXPIRY / 2  # seconds without a renewal after which a holder ends itself
LOST = 76  # exit status of a process that lost its lease

Owner = dict[str, Any]
_Sign = tuple[int, str]  # modification time and holder of a lease; each sign of life changes them
_seen: dict[Path, tuple[_Sign, float]] = {}  # for each lease, its latest sign and when this process first saw it


def holder(scratch: Path) -> str:
    """The holder of a run's lease, as `host:process`; empty if no living process holds it.

    If the holder cannot be looked up, it counts as alive until this process has seen no sign of life for EXPIRY
    seconds.
    """
    owner = _read(scratch)
    if owner is None or _is_dead(owner, scratch):
        return ""
    return f"{owner['host']}:{owner['process']}"


@contextmanager
def lease(scratch: Path, patience: float = 5.0) -> Iterator[None]:
    """Hold the lease of a run; while another process holds it, wait and check every `patience` seconds.

    Raises a DropnasError if the scratch folder is a link, or its file system has no file locks.
    """
    while not (token := _take(scratch)):
        time.sleep(patience)
    with _renewed(scratch, token):
        yield


@contextmanager
def lease_now(scratch: Path) -> Iterator[bool]:
    """Hold the lease of a run if no other process holds it; do not wait. Yield whether this process holds it.

    Raises:
        DropnasError: as for `lease`.
    """
    if token := _take(scratch):
        with _renewed(scratch, token):
            yield True
    else:
        yield False


@contextmanager
def _renewed(scratch: Path, token: str) -> Iterator[None]:
    stop = threading.Event()
    renewal = threading.Thread(target=_renew, args=(scratch, token, stop), daemon=True)
    renewal.start()
    try:
        yield
    finally:
        stop.set()
        renewal.join()
        _give_back(scratch, token)


def _here() -> dict[str, str]:
    """The boot id of this machine (its host name may not be unique) and the PID namespace of this process."""
    boot, names = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")
    with suppress(OSError):
        return {"boot": boot.read_text().strip(), "processes": os.readlink(names)}
    return {}


def _scheduled() -> dict[str, str]:
    """The SLURM job of this process, and how often SLURM has restarted this job; empty outside of a job."""
    job = os.environ.get("SLURM_JOB_ID", "")
    return {"job": job, "attempt": os.environ.get("SLURM_RESTART_COUNT", "0")} if job else {}


def _start_time(process: int) -> str:
    """Start time of a process in clock ticks since boot. It distinguishes processes that have the same number."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def _read(scratch: Path) -> Owner | None:
    try:
        owner = json.loads((scratch / "lease.json").read_text())
    except (OSError, ValueError):
        return None
    return owner if isinstance(owner, dict) and owner.keys() >= {"host", "process", "start"} else None


def _is_dead(owner: Owner, scratch: Path) -> bool:
    here, scheduled = _here(), _scheduled()
    if here and owner["host"] == socket.gethostname() and here.items() <= owner.items():
        return not owner["start"] or _start_time(owner["process"]) != owner["start"]
    if scheduled and owner.get("job") == scheduled["job"] and int(owner["attempt"]) < int(scheduled["attempt"]):
        return True
    return _silence(owner, scratch) >= EXPIRY


def _silence(owner: Owner, scratch: Path) -> float:
    """Seconds since this process last saw a new sign of life, measured on its own clock; 0 at the first check."""
    try:
        sign = ((scratch / "lease.json").stat().st_mtime_ns, json.dumps(owner, sort_keys=True))
    except OSError:
        return 0.0  # just released
    if _seen.get(scratch, (None,))[0] != sign:
        _seen[scratch] = (sign, time.monotonic())
    return time.monotonic() - _seen[scratch][1]


@contextmanager
def _locked(scratch: Path) -> Iterator[None]:
    if scratch.is_symlink():
        raise DropnasError("is a link where a run's own folder should be", where=scratch, remedy="remove it")
    scratch.mkdir(parents=True, exist_ok=True)
    with (scratch / "lease.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError as error:
            hint = "mount it with locks (Lustre: -o flock), or put the store on another file system"
            raise DropnasError(
                f"the file system has no file locks ({error.strerror})", where=scratch, remedy=hint
            ) from error
        yield


def _take(scratch: Path) -> str:
    """Take the lease if no living process holds it. Return a token that identifies this holder, or an empty string."""
    with _locked(scratch):
        if holder(scratch):
            return ""
        process, token = os.getpid(), uuid.uuid4().hex
        owner = {"host": socket.gethostname(), "process": process, "start": _start_time(process), "token": token}
        write_json(scratch / "lease.json", {**owner, **_here(), **_scheduled()}, flush=False)
        return token


def _give_back(scratch: Path, token: str) -> None:
    if not scratch.is_dir():
        return  # the folder was moved away while this lease was held
    with suppress(FileNotFoundError), _locked(scratch):
        if (_read(scratch) or {}).get("token") == token:
            (scratch / "lease.json").unlink()


def _renew(scratch: Path, token: str, stop: threading.Event) -> None:
    """Renew the lease until asked to stop; end the process if the lease is lost."""
    renewed = time.monotonic()
    while not stop.wait(RENEWAL):
        owner = _read(scratch)
        if owner is not None and owner.get("token") != token:
            _end(scratch, "another process took over this run while this process was suspended")
        with suppress(OSError):  # the file server may be unavailable for a while; FENCE limits how long
            os.utime(scratch / "lease.json")
            renewed = time.monotonic()
        if time.monotonic() - renewed > FENCE:
            _end(scratch, "the lease of this run could not be renewed")


def _end(scratch: Path, why: str) -> None:
    """End this process immediately, because it must not write anything more. Every run survives such a kill."""
    print(f"error: {scratch.name}: {why}", file=sys.stderr, flush=True)
    os._exit(LOST)
