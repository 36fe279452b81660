"""Selects the device of a run; the GPUs of one host are shared by locks.

Design choices: if several GPUs are visible, a run takes a free one for each of its processes. The lock is an advisory
lock on a file in the system's temporary folder; the kernel releases it whenever the process ends. Runs need the locks
under a scheduler too, because a scheduler assigns GPUs to an allocation, not to individual runs. A GPU is identified by
its UUID, because CUDA_VISIBLE_DEVICES may give it another index in each job. A single visible GPU needs no lock: either
the scheduler assigned it, or the workflow's `gpu` resource limits the number of jobs. That limit also prevents two
trainings with several processes from waiting for each other's GPUs. A GPU that torch cannot use is an error here,
before any training.
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
from dropnas.machine import allocation, compatibility, faults
from dropnas.workspace import silent

GPU_CHECK_SECONDS = 1.0  # seconds between two checks for a free GPU
PATTERN = re.compile(r"auto|cpu|cuda(:\d+)?")


@contextmanager
def claimed(wanted: str, progress: Callable[[str], None] = silent, locks: Path | None = None) -> Iterator[str]:
    """Yield the device string of a run (`cpu`, `cuda:0`); a GPU chosen among several is locked until the context ends.

    Args:
        wanted: `auto` (a GPU if there is one), `cpu`, `cuda` (any GPU) or `cuda:N` (GPU N, even if it is locked).
        progress: receives one line when all GPUs are taken and the run waits.
        locks: folder of the lock files; by default the system's temporary folder.

    Raises:
        DropnasError: the name is unknown, the machine has no such device, torch cannot use the GPU, or `auto` finds no
            GPU although a scheduler, a container or the machine gave one to this process.
    """
    count = _gpus(wanted)
    if not count:
        yield "cpu"
    elif ":" in wanted or count == 1:
        yield compatibility.start(int(wanted.partition(":")[2] or 0))
    else:
        index, lock = _take_free(count, locks or Path(tempfile.gettempdir()), progress)
        try:
            yield compatibility.start(index)
        finally:
            os.close(lock)


def _gpus(wanted: str) -> int:
    """The number of GPUs to choose from; 0 means the CPU."""
    if not PATTERN.fullmatch(wanted):
        raise DropnasError(f"unknown device {wanted!r}", remedy="one of auto, cpu, cuda, cuda:N")
    if wanted == "cpu":
        return 0
    count = compatibility.gpus()
    if not count:
        _require_none_given(wanted)
    elif int(wanted.partition(":")[2] or 0) >= count:
        what = f"device {wanted!r} does not exist: torch sees {count} GPUs"
        raise DropnasError(what, remedy="use device auto or cpu")
    else:
        compatibility.require_cuda()
        _require_one_each(count)
    return count


def _require_none_given(wanted: str) -> None:
    """Reject the CPU if a GPU was requested, or if there is evidence that this process was given one."""
    given = allocation.evidence()
    if wanted == "auto" and not given:
        return
    compatibility.require_driver()
    asked = f"this process was given a GPU ({given})" if wanted == "auto" else f"device {wanted!r} was requested"
    remedy = f"{faults.SEE_DRIVER}; machine.device: cpu trains on the CPU"
    raise DropnasError(f"{asked}, but torch sees no GPU: {compatibility.refusal()}", remedy=remedy)


def _require_one_each(count: int) -> None:
    """Reject a torchrun process for which there is no GPU, because it would wait forever."""
    index = int(os.environ.get("LOCAL_RANK", "0"))
    if index >= count:
        what = f"process {index} of this host has no device: torch sees {count} GPUs"
        raise DropnasError(what, remedy="start fewer processes")


def _take_free(count: int, locks: Path, progress: Callable[[str], None]) -> tuple[int, int]:
    """Wait for a free GPU; return its index and the open lock."""
    paths = [locks / f"dropnas-gpu-{_name(index)}.lock" for index in range(count)]
    reported = False
    while True:
        for index, path in enumerate(paths):
            if (lock := _try_lock(path)) is not None:
                return index, lock
        if not reported:
            progress(f"all {count} GPUs are in use, waiting for a free one")
            reported = True
        time.sleep(GPU_CHECK_SECONDS)


def _name(index: int) -> str:
    return str(torch.cuda.get_device_properties(index).uuid)


def _try_lock(path: Path) -> int | None:
    """Return an open descriptor that holds the lock, or None if another process has it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)  # suffices to lock another user's file
    except FileNotFoundError:
        descriptor = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor
