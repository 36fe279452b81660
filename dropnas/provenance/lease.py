"""Leases: who works on a run now. A second job for the same run waits, and takes over when the first is dead.

A lease is a file in the run's scratch folder that names host, process and its start time, and whose file time is
renewed while the process lives. On the same host a dead process is seen at once; from another host when the renewal
stops. Changes of the file are made under an advisory lock, which the kernel gives back when a process dies.
"""

import fcntl
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dropnas.provenance.files import write_json

RENEWAL = 20.0  # seconds between two signs of life
EXPIRY = 300.0  # seconds without one after which a holder on another host counts as dead


def _start_time(process: int) -> str:
    """Start of a process in clock ticks since boot; tells a process from a later one of the same number."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def holder(scratch: Path) -> str:
    """Who holds the lease of a run, as `host:process`; empty if nobody alive does."""
    lease = scratch / "lease.json"
    try:
        owner, age = json.loads(lease.read_text()), time.time() - lease.stat().st_mtime
    except (OSError, ValueError):
        return ""
    if owner["host"] == socket.gethostname():
        alive = bool(owner["start"]) and _start_time(owner["process"]) == owner["start"]
    else:
        alive = age < EXPIRY
    return f"{owner['host']}:{owner['process']}" if alive else ""


def _take(scratch: Path) -> bool:
    """Take the lease if nobody alive holds it."""
    scratch.mkdir(parents=True, exist_ok=True)
    with (scratch / "lease.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if holder(scratch):
            return False
        process = os.getpid()
        owner = {"host": socket.gethostname(), "process": process, "start": _start_time(process)}
        write_json(scratch / "lease.json", owner)
        return True


@contextmanager
def lease(scratch: Path, patience: float = 5.0) -> Iterator[None]:
    """Hold the lease of a run; waits, looking again every `patience` seconds, while another process holds it."""
    while not _take(scratch):
        time.sleep(patience)
    stop = threading.Event()
    renewal = threading.Thread(target=_renew, args=(scratch / "lease.json", stop), daemon=True)
    renewal.start()
    try:
        yield
    finally:
        stop.set()
        renewal.join()
        (scratch / "lease.json").unlink(missing_ok=True)


def _renew(path: Path, stop: threading.Event) -> None:
    while not stop.wait(RENEWAL):
        os.utime(path)
