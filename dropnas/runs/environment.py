"""The software and hardware of a run. They are recorded in its manifest, but are not part of its identity."""

import os
import platform
import resource
import socket
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("torch", "torchvision", "numpy", "scikit-learn", "safetensors")


def git_state(folder: Path) -> dict[str, Any]:
    """The commit of a checkout, and whether the files differ from it. Outside a checkout, the commit is empty."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(folder), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        if git("rev-parse", "--show-prefix"):  # the folder is inside another repository
            return {"commit": "", "dirty": True}
        return {"commit": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain"))}
    except (OSError, subprocess.CalledProcessError):
        return {"commit": "", "dirty": True}


def environment(device: str, threads: int) -> dict[str, Any]:
    """Versions, hardware, container image and peak memory of this process; call this when the work is done."""
    return {
        "host": socket.gethostname(),
        "device": device_name(device),
        "device_kind": device.partition(":")[0],
        "threads": threads,
        "image": os.environ.get("DROPNAS_IMAGE") or os.environ.get("APPTAINER_CONTAINER", ""),
        "job": os.environ.get("SLURM_JOB_ID", ""),
        "python": platform.python_version(),
        "versions": {name: found for name in PACKAGES if (found := _version(name))},
        "peak_memory_bytes": peak_memory(device),
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def device_name(device: str) -> str:
    """The model of the GPU or CPU that a run used."""
    torch = sys.modules.get("torch")
    if device.startswith("cuda") and torch is not None:
        return str(torch.cuda.get_device_name(device))
    return _cpu_model() or platform.processor() or platform.machine() or "unknown CPU"


def machine_name(device: str) -> str:
    """The hardware that determines rounding: the model of the GPU, or of the CPU with its vector instructions."""
    torch = sys.modules.get("torch")
    if device.startswith("cuda") or torch is None:
        return device_name(device)
    return f"{device_name(device)} ({torch.backends.cpu.get_cpu_capability()})"


def _cpu_model() -> str:
    """The name of the CPU on Linux; empty on other systems and for processors without a name."""
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def peak_memory(device: str) -> dict[str, int]:
    """The peak memory of this process so far, in bytes, on the host and on the GPU."""
    unit = 1 if sys.platform == "darwin" else 1024
    host = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    torch = sys.modules.get("torch")
    if device.startswith("cuda") and torch is not None:
        return {"host": host, "device": int(torch.cuda.max_memory_allocated(device))}
    return {"host": host}
