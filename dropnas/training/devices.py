"""Which device a run works on; the GPUs of one host are shared out by locks.

Design: under a scheduler the choice was made elsewhere and stands. Otherwise, on a host with several GPUs, a run, or
each process of one that has several, takes a free one by an advisory lock on a file in the system's temporary folder,
which the kernel gives back when the process dies, however it dies. A GPU is named by its UUID, so that
CUDA_VISIBLE_DEVICES does not confuse two jobs. A host with one GPU needs no lock: the workflow's `gpu` resource counts
its jobs, and also keeps two trainings of several processes from waiting for each other's GPUs.
"""

import fcntl
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from dropnas.errors import DropnasError
from dropnas.workspace import silent

PATIENCE = 1.0  # seconds between two looks for a free GPU
PATTERN = re.compile(r"auto|cpu|cuda(:\d+)?")


@contextmanager
def claimed(wanted: str, progress: Callable[[str], None] = silent, locks: Path | None = None) -> Iterator[str]:
    """Give the device string of a run (`cpu`, `cuda:0`) and hold its GPU, if one was chosen here, until the end.

    Args:
        wanted: `auto` (a GPU where there is one), `cpu`, `cuda` (any GPU) or `cuda:N` (that one, locked or not).
        progress: told, once, when all GPUs are taken and the run waits.
        locks: folder of the lock files; the system's temporary folder unless given.

    Raises:
        DropnasError: no such device on this machine, or no such name.
    """
    count = _gpus(wanted)
    if not count:
        yield "cpu"
    elif ":" in wanted:
        yield wanted
    elif (chosen := _chosen_elsewhere(count)) is not None or count == 1:
        yield f"cuda:{chosen or 0}"
    else:
        index, lock = _take_free(count, locks or Path(tempfile.gettempdir()), progress)
        try:
            yield f"cuda:{index}"
        finally:
            os.close(lock)


def _gpus(wanted: str) -> int:
    """Number of GPUs that a wish may choose among; 0 is the CPU."""
    if not PATTERN.fullmatch(wanted):
        raise DropnasError(f"unknown device {wanted!r}", remedy="one of auto, cpu, cuda, cuda:N")
    count = 0 if wanted == "cpu" else torch.cuda.device_count()
    index = int(wanted.partition(":")[2] or 0)
    if wanted.startswith("cuda") and index >= count:
        raise DropnasError(f"device {wanted!r} is not there, torch sees {count} GPUs", remedy="use device auto or cpu")
    return count


def _chosen_elsewhere(count: int) -> int | None:
    """The index among the GPUs that the scheduler chose, if one did."""
    index = int(os.environ.get("LOCAL_RANK", "0"))  # torchrun's
    if index >= count:
        raise DropnasError(
            f"process {index} of this host has no device, torch sees {count} GPUs", remedy="start fewer processes"
        )
    if "SLURM_JOB_ID" in os.environ and "CUDA_VISIBLE_DEVICES" in os.environ:
        return index  # of those that the scheduler made visible
    return None


def _take_free(count: int, locks: Path, progress: Callable[[str], None]) -> tuple[int, int]:
    """Wait for a free GPU; gives its index and the open lock."""
    paths = [locks / f"dropnas-gpu-{_name(index)}.lock" for index in range(count)]
    told = False
    while True:
        for index, path in enumerate(paths):
            if (lock := _try_lock(path)) is not None:
                return index, lock
        if not told:
            progress(f"all {count} GPUs are taken, waiting for a free one")
            told = True
        time.sleep(PATIENCE)


def _name(index: int) -> str:
    return str(torch.cuda.get_device_properties(index).uuid)


def _try_lock(path: Path) -> int | None:
    """An open descriptor that holds the lock, or None where another process has it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)  # another user's file can be locked, not written
    except FileNotFoundError:
        descriptor = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor
