"""The machine: GPU and driver, versions, GPUs that this torch was built for, a C compiler, and limits of the device.

For each kernel, Triton compiles some C code that includes Python's headers, so it needs a C compiler and these headers.
"""

import importlib.metadata
import os
import platform
import shutil
import subprocess
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from benchmarks._limits import limits
from benchmarks._pieces import attempted

PACKAGES = ("torch", "triton", "numpy", "pytest", "torchvision", "safetensors", "pyyaml", "pydantic")
ASKED = "name,driver_version,memory.total,memory.used,clocks.sm,clocks.max.sm,clocks.max.mem,power.limit"
PATIENCE = 8  # seconds for nvidia-smi


def measure(device: str) -> Iterator[tuple[str, Any]]:
    """Report the cheapest facts first; the GPU and the limits come last, because they initialise CUDA."""
    yield "versions", {"python": platform.python_version(), **_versions()}
    yield "C", {"compiler": _compiler(), "Python.h": _header().is_file()}
    yield "nvidia-smi", attempted(_smi) if shutil.which("nvidia-smi") else "not there"
    yield "built for", {"cuda": torch.version.cuda, "architectures": torch.cuda.get_arch_list()}
    if device.startswith("cuda"):
        yield "GPU", attempted(_gpu, device)
    yield "limits", attempted(limits, device)


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not there"
    return found


def _compiler() -> str:
    """The C compiler that Triton would find."""
    named = os.environ.get("CC")
    found = [path for name in (named, "gcc", "clang") if name and (path := shutil.which(name))]
    return found[0] if found else "not there"


def _header() -> Path:
    return Path(sysconfig.get_paths()["include"]) / "Python.h"


def _smi() -> dict[str, list[str]]:
    """For each field in `ASKED`, the values that nvidia-smi reports, one for each GPU."""
    command = ["nvidia-smi", f"--query-gpu={ASKED}", "--format=csv,noheader"]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    if answer.returncode:
        raise RuntimeError(answer.stderr.strip() or answer.stdout.strip())
    rows = [line.split(", ") for line in answer.stdout.splitlines()]
    return {name: [row[place] for row in rows] for place, name in enumerate(ASKED.split(","))}


def _gpu(device: str) -> dict[str, Any]:
    """The properties of the GPU according to torch."""
    capability = torch.cuda.get_device_capability(device)
    return {
        "name": torch.cuda.get_device_name(device),
        "capability": ".".join(map(str, capability)),
        "multiprocessors": torch.cuda.get_device_properties(device).multi_processor_count,
        "cudnn": torch.backends.cudnn.version(),
    }
