"""Faults of the machine, each reported in one line: not enough memory or disk, or a GPU that torch cannot use.

Design choices: torch, the allocators and the file writers each have their own exceptions for such faults. Here they
become DropnasError, the one kind of error that is shown to the user. Everything else passes unchanged: a bug keeps its
traceback, even if CUDA reports it (an illegal address, a device-side assert). Torch's faults are recognised by
the text of a RuntimeError, so stages that do not use torch need not import it.
"""

import errno
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from dropnas.errors import DropnasError

NO_MEMORY = re.compile(r"out of memory|can't allocate memory|not enough memory|STATUS_ALLOC_FAILED", re.IGNORECASE)
OF_GPU = re.compile(r"\bCUDA\b|CUDNN_|CUBLAS_")
NO_SPACE = re.compile(r"No space left on device|Disk quota exceeded|os error (28|122)\b")

SEE_DRIVER = "`nvidia-smi` must list the GPU; a container needs --nv (Apptainer) or --gpus all (Docker)"
OTHER_BUILD = "update the driver, or install a build of torch for another CUDA (docs/cluster.md)"
CUDA_FAULTS = (  # each entry: a pattern that matches the text of a CUDA error, the fault, the remedy
    ("driver on your system is too old|driver version is insufficient", "the NVIDIA driver is too old", OTHER_BUILD),
    ("no kernel image is available|unsupported toolchain", "this build of torch has no code for the GPU", OTHER_BUILD),
    (
        r"Driver/library version mismatch|unsupported display driver|\bnvml",
        "the loaded NVIDIA driver is not the installed one",
        "restart the machine, which loads the new driver",
    ),
    (
        "busy or unavailable",
        "another process uses the GPU exclusively",
        "wait for it, or use another GPU (`nvidia-smi` shows who uses which)",
    ),
    ("uncorrectable ECC", "the GPU's memory is damaged", "use another GPU; the run continues from its last checkpoint"),
    (
        "Found no NVIDIA driver|No CUDA GPUs are available|no CUDA-capable device|CUDA unknown error|"
        "Unexpected error from cuda|system not yet initialized|not compiled with CUDA",
        "CUDA does not start",
        SEE_DRIVER,
    ),
)


@contextmanager
def reported(where: object = "") -> Iterator[None]:
    """Convert a fault of the machine inside the context to a DropnasError that names `where`."""
    try:
        yield
    except MemoryError as error:
        raise _memory(where) from error
    except (RuntimeError, OSError) as error:
        if _is_full(error):
            raise DropnasError("the disk is full", where=_place(error, where), remedy="free some space") from error
        if _is_errno(error, errno.ENOMEM):
            raise _memory(where) from error
        if isinstance(error, RuntimeError) and (fault := _of_torch(error, where)):
            raise fault from error
        raise
    except ValueError as error:
        if "embedded null" not in str(error):
            raise
        raise DropnasError("a path contains a NUL character", where=where, remedy="correct the path") from error
    except Exception as error:  # safetensors has an exception class of its own
        if NO_SPACE.search(str(error)):
            raise DropnasError("the disk is full", where=where, remedy="free some space") from error
        raise


def of_cuda(error: Exception, where: object = "") -> DropnasError | None:
    """Convert a CUDA error to a DropnasError if it is a fault of the machine; return None for other errors."""
    text = str(error)
    if NO_MEMORY.search(text) and OF_GPU.search(text):
        return _gpu_memory(text, where)
    for pattern, what, remedy in CUDA_FAULTS:
        if re.search(pattern, text, re.IGNORECASE):
            return DropnasError(f"{what} ({first_line(error)})", where=where, remedy=remedy)
    return None


def first_line(error: Exception) -> str:
    """The first sentence of an error, without torch's advice for developers."""
    line = str(error).strip().partition("\n")[0]
    return re.split(r"(?<=[\w)])\. (?=[A-Z])", line)[0].rstrip(".")


def _of_torch(error: RuntimeError, where: object) -> DropnasError | None:
    return of_cuda(error, where) or (_memory(where) if NO_MEMORY.search(str(error)) else None)


def _gpu_memory(text: str, where: object) -> DropnasError:
    asked = re.search(r"Tried to allocate ([\d.]+ \w+)", text)
    free = re.search(r"of which ([\d.]+ \w+) is free", text)
    amounts = [f"{asked[1]} more were needed"] if asked else []
    amounts += [f"{free[1]} were free"] if free else []
    return DropnasError(
        f"{_gpu(text)} has too little memory" + (f" ({', '.join(amounts)})" if amounts else ""),
        where=where,
        remedy="end other processes on it (`nvidia-smi` shows them), lower machine.seeds_at_once where seeds train "
        "together, or use a GPU with more memory; a smaller batch_size and fewer channels change the result",
    )


def _gpu(text: str) -> str:
    """The GPU that an error mentions, with model and memory if CUDA still responds."""
    number = re.search(r"\bGPU (\d+)", text)
    try:
        cuda = sys.modules["torch"].cuda
        index = int(number[1]) if number else cuda.current_device()
        found = cuda.get_device_properties(index)
    except Exception:  # CUDA itself may not work
        return f"GPU {number[1]}" if number else "the GPU"
    return f"GPU {index} ({found.name}, {found.total_memory / 2**30:.1f} GiB)"


def _memory(where: object) -> DropnasError:
    return DropnasError(
        "not enough memory", where=where, remedy="use a smaller batch_size, fewer channels, or another device"
    )


def _is_errno(error: Exception, *numbers: int) -> bool:
    return isinstance(error, OSError) and error.errno in numbers


def _is_full(error: Exception) -> bool:
    return _is_errno(error, errno.ENOSPC, errno.EDQUOT) or bool(NO_SPACE.search(str(error)))


def _place(error: Exception, where: object) -> object:
    return getattr(error, "filename", None) or where
