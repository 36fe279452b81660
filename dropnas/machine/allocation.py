"""Whether a scheduler, a container or the machine gave this process a GPU.

Design: `device: auto` may choose the CPU only where nothing says that a GPU was given; otherwise weeks of work would go
on the CPU in silence. Decisions against false alarms:

- SLURM's variables count always: SLURM sets them only for jobs and steps with GPUs. SLURM_GPUS, how many were wanted,
  is all that the shell of `salloc` has, and with it a run that was started on the login node by mistake.
- CUDA_VISIBLE_DEVICES counts where its first entry names a device. Where it is set and names none (empty, `-1`,
  `NoDevFiles`), the GPUs are hidden on purpose, and nothing below counts.
- NVIDIA_VISIBLE_DEVICES counts where it names devices. `all` says nothing: base images, ours too, set it whether or not
  the machine has a GPU; `none` and `void` say that there is none.
- A device file counts where it can be opened. Merely being there is not enough: on a node with GPUs SLURM leaves the
  files visible to jobs without one and denies their opening. Apptainer without `--nv` shows them, and they open.
"""

import os
import re
from pathlib import Path

NAMED = re.compile(r"\d|GPU-|MIG-")  # how a list that names a device begins
DEVICES = Path("/dev")


def evidence() -> str:
    """What says that this process was given a GPU, for a message; empty where nothing does."""
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
    return f"{name}={value}" if NAMED.match(value) else ""


def _opens(file: Path) -> bool:
    try:
        os.close(os.open(file, os.O_RDWR | os.O_CLOEXEC))
    except OSError:
        return False
    return True
