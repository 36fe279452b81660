"""Check, before any training, that this build of torch can use the GPU of this machine.

Design choices: two rules of NVIDIA are applied to the versions that the driver and torch report. First, a driver runs
programs built for its own or an older major version of CUDA. The driver's version is read from libcuda, so a forward
compatibility package is taken into account. Second, machine code runs on GPUs of the same major compute capability with
the same or a higher minor one; PTX runs on all GPUs of the same or a higher capability. torch counts GPUs by NVML,
which responds even if CUDA cannot start, so a count is not sufficient.
"""

import ctypes
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from dropnas.errors import DropnasError
from dropnas.machine import faults

FIRST_DRIVERS = {11: 450, 12: 525, 13: 580}  # oldest driver for each major version of CUDA, on Linux
CODE = re.compile(r"(sm|compute)_(\d+)(\d)")  # an entry of torch's list of architectures: kind, major, minor
BF16 = (8, 0)  # lowest compute capability that supports bfloat16
LOADED = Path("/proc/driver/nvidia/version")  # version of the driver's kernel module
CUDA_ERRORS = (RuntimeError, AssertionError, torch.cuda.DeferredCudaCallError)
Capability = tuple[int, int]


def gpus() -> int:
    """The number of GPUs that this process sees."""
    with _quiet():
        return torch.cuda.device_count()


def require_driver() -> None:
    """Check that the driver is new enough for torch's CUDA; passes if there is no driver, or torch has no CUDA.

    Raises:
        DropnasError: the driver is too old.
    """
    built, driver = int((torch.version.cuda or "0").partition(".")[0]), driver_cuda()
    if not built or driver is None or driver[0] >= built:
        return
    needed = f" ({FIRST_DRIVERS[built]} or newer)" if built in FIRST_DRIVERS else ""
    raise DropnasError(
        f"the NVIDIA driver{_driver_number()} runs programs up to CUDA {driver[0]}.{driver[1]}, but torch"
        f" {torch.__version__} needs a driver for CUDA {built}{needed}",
        remedy=f"update the driver, or install a build of torch for CUDA {driver[0]} (docs/cluster.md)",
    )


def driver_cuda() -> tuple[int, int] | None:
    """The newest CUDA version (major, minor) that the driver supports; None if there is no working driver."""
    try:
        library = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return None
    version = ctypes.c_int()
    if library.cuDriverGetVersion(ctypes.byref(version)):
        return None
    return version.value // 1000, version.value % 1000 // 10


def require_cuda() -> None:
    """Check that CUDA starts.

    Raises:
        DropnasError: CUDA does not start, or the driver is too old for it.
    """
    require_driver()
    with _answering("CUDA does not start"):
        torch.cuda.init()  # type: ignore[no-untyped-call]


def start(index: int) -> str:
    """Select a GPU for this process, and return its device string.

    Raises:
        DropnasError: the GPU does not respond, or torch has no code for it.
    """
    with _answering(f"CUDA does not start on GPU {index}"):
        torch.cuda.set_device(index)  # otherwise, a data loader's threads would open a context on GPU 0
        capability, name = torch.cuda.get_device_capability(index), torch.cuda.get_device_name(index)
    _require_code(f"GPU {index} ({name})", capability)
    return f"cuda:{index}"


def refusal() -> str:
    """Say why torch sees no GPU: CUDA's error message, or that CUDA starts without a visible GPU."""
    try:
        with _quiet():
            torch.cuda.init()  # type: ignore[no-untyped-call]
    except CUDA_ERRORS as error:
        return faults.first_line(error)
    return "CUDA starts, but no GPU is visible"


def require_precision(device: str, precision: str) -> None:
    """Check that a device supports a precision.

    Raises:
        DropnasError: the precision is bf16, which the GPU does not support.
    """
    if precision != "bf16" or not device.startswith("cuda"):
        return
    capability = torch.cuda.get_device_capability(device)
    if capability < BF16:
        raise DropnasError(
            f"precision bf16 needs a GPU of compute capability 8.0 or higher; {torch.cuda.get_device_name(device)} has"
            f" {_text(capability)}",
            remedy="set precision: fp32, or use another GPU",
        )


def runs_on(architectures: list[str], capability: Capability) -> bool:
    """Whether code for these architectures (`sm_86`, `compute_90`) runs on a GPU of this compute capability."""
    for kind, major, minor in _codes(architectures):
        same = capability[0] == major and capability[1] >= minor
        if same or (kind == "compute" and capability >= (major, minor)):
            return True
    return False


def _require_code(gpu: str, capability: Capability) -> None:
    architectures = torch.cuda.get_arch_list()
    if not architectures or runs_on(architectures, capability):
        return
    oldest = min((major, minor) for _, major, minor in _codes(architectures))
    age = "an older" if capability < oldest else "a newer"
    raise DropnasError(
        f"{gpu} has compute capability {_text(capability)}, but torch {torch.__version__} has code for"
        f" {', '.join(architectures)} only",
        remedy=f"use another GPU, or install a build of torch for {age} CUDA (docs/cluster.md)",
    )


def _codes(architectures: list[str]) -> list[tuple[str, int, int]]:
    found = [CODE.match(architecture) for architecture in architectures]
    return [(match[1], int(match[2]), int(match[3])) for match in found if match]


def _text(capability: Capability) -> str:
    return f"{capability[0]}.{capability[1]}"


def _driver_number() -> str:
    number = re.search(r"\d{3,}(\.\d+)+", LOADED.read_text()) if LOADED.is_file() else None
    return f" {number[0]}" if number else ""


@contextmanager
def _answering(what: str) -> Iterator[None]:
    """Report any CUDA error inside the context as a fault of the machine."""
    try:
        with _quiet():
            yield
    except CUDA_ERRORS as error:
        fault = faults.of_cuda(error) or DropnasError(f"{what} ({faults.first_line(error)})", remedy=faults.SEE_DRIVER)
        raise fault from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress torch's long warnings about faults that are reported here in one line."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
