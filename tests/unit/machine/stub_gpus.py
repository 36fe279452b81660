"""A simulated host with GPUs, as torch, driver and environment describe it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from dropnas.machine import allocation, compatibility

WHEEL = ("sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120")  # of torch 2.14.1+cu130
GIVEN = ("SLURM_STEP_GPUS", "SLURM_JOB_GPUS", "SLURM_GPUS", "CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES")


@dataclass
class Gpu:
    """One GPU: its name and its compute capability."""

    name: str = "NVIDIA H100"
    capability: tuple[int, int] = (9, 0)


def give(
    patch: pytest.MonkeyPatch,
    gpus: Sequence[Gpu],
    driver: tuple[int, int] | None = (13, 0),
    cuda: str | None = "13.0",
    code: Sequence[str] = WHEEL,
) -> list[int]:
    """Make torch see these GPUs, outside of any scheduler; return the list of GPUs that become current."""
    current: list[int] = []

    def properties(index: int) -> SimpleNamespace:
        return SimpleNamespace(uuid=f"gpu{index}", name=gpus[index].name, total_memory=80 * 2**30)

    for name, value in {
        "device_count": lambda: len(gpus),
        "init": lambda: None,
        "set_device": current.append,
        "current_device": lambda: current[-1] if current else 0,
        "get_device_properties": properties,
        "get_device_name": lambda index: gpus[_index(index)].name,
        "get_device_capability": lambda index: gpus[_index(index)].capability,
        "get_arch_list": lambda: list(code),
    }.items():
        patch.setattr(torch.cuda, name, value)
    patch.setattr(torch.version, "cuda", cuda)
    patch.setattr(compatibility, "driver_cuda", lambda: driver)
    alone(patch)
    return current


def alone(patch: pytest.MonkeyPatch) -> None:
    """Remove all evidence of GPUs from scheduler, container and device files."""
    for name in (*GIVEN, "SLURM_JOB_ID", "LOCAL_RANK"):
        patch.delenv(name, raising=False)
    patch.setattr(allocation, "DEVICES", Path("/nowhere"))


def _index(device: int | str) -> int:
    return int(str(device).rpartition(":")[2])
