"""What a run was computed with: recorded in its manifest, not part of its identity."""

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
    """Commit of a checkout, and whether anything in it differs from that; empty outside a checkout."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(folder), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        if git("rev-parse", "--show-prefix"):  # a repository around it, such as that of who installed this there
            return {"commit": "", "dirty": True}
        return {"commit": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain"))}
    except (OSError, subprocess.CalledProcessError):
        return {"commit": "", "dirty": True}


def environment(device: str, threads: int) -> dict[str, Any]:
    """Versions, hardware, image and memory of this process, after its work."""
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
    """What decides how sums are rounded: the model of the GPU, or of the CPU with the vectors that torch uses on it."""
    torch = sys.modules.get("torch")
    if device.startswith("cuda") or torch is None:
        return device_name(device)
    return f"{device_name(device)} ({torch.backends.cpu.get_cpu_capability()})"


def _cpu_model() -> str:
    """What Linux calls the CPU; empty elsewhere, and on processors to which it gives no name."""
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def peak_memory(device: str) -> dict[str, int]:
    """Most memory in bytes that this process held so far, of the host and of the GPU."""
    unit = 1 if sys.platform == "darwin" else 1024
    host = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    torch = sys.modules.get("torch")
    if device.startswith("cuda") and torch is not None:
        return {"host": host, "device": int(torch.cuda.max_memory_allocated(device))}
    return {"host": host}
