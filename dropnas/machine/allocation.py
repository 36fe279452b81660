"""Evidence that a scheduler, a container or the machine gave this process a GPU.

Design choices: `device: auto` may choose the CPU only if there is no sign of a GPU. Otherwise weeks of work could run
on the CPU unnoticed. These rules avoid false alarms:

- SLURM's variables always count: SLURM sets them only for jobs and steps with GPUs. SLURM_GPUS holds the requested
  number. It is the only such variable in the shell of `salloc`, and it detects a run that was started on the login node
  by mistake.
- CUDA_VISIBLE_DEVICES counts if its first entry names a device. If it is set and names none (empty, `-1`,
  `NoDevFiles`), the GPUs are hidden on purpose, and the rules below do not apply.
- NVIDIA_VISIBLE_DEVICES counts if it names devices. `all` is not evidence, because base images, including ours, set it
  on every machine. `none` and `void` mean that there is no GPU.
- A device file counts if it can be opened. Its existence is not enough: on a node with GPUs, SLURM shows the files to
  jobs without a GPU but does not let these jobs open them. In Apptainer without `--nv` the files can be opened, so they
  count there.
"""

import os
import re
from pathlib import Path

NAMES_A_DEVICE = re.compile(r"\d|GPU-|MIG-")  # matches the beginning of a list of devices
DEVICES = Path("/dev")


def evidence() -> str:
    """Return a short description of the evidence that this process was given a GPU; empty if there is none."""
    for name in ("SLURM_STEP_GPUS", "SLURM_JOB_GPUS"):
        if value := os.environ.get(name, ""):
            return f"{name}={value}"
    if (count := os.environ.get("SLURM_GPUS", "0")) not in ("", "0"):
        return f"SLURM_GPUS={count}"
    if "CUDA_VISIBLE_DEVICES" in os.environ:
        return _named("CUDA_VISIBLE_DEVICES")
    opened = (f"{file} opens" for file in sorted(DEVICES.glob("nvidia[0-9]*")) if _opens(file))
    return _named("NVIDIA_VISIBLE_DEVICES") or next(opened, "")


def _named(name: str) -> str:
    value = os.environ.get(name, "").strip()
    return f"{name}={value}" if NAMES_A_DEVICE.match(value) else ""


def _opens(file: Path) -> bool:
    try:
        os.close(os.open(file, os.O_RDWR | os.O_CLOEXEC))
    except OSError:
        return False
    return True
