"""The number of GPUs that the workflow counts on a host, from a stub of `nvidia-smi` and from the environment."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest

RULES = Path(__file__).parents[3] / "workflow" / "rules" / "common.smk"
UUID = "(UUID: GPU-8932f937-d72c-4106-c12f-20bd9faed9f6)"


@pytest.fixture
def count(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str | None], int]:
    """The function of the rules, with an `nvidia-smi` that prints a text, or without one."""
    source = re.search(r"^def gpus_here\(\):\n(?:    .*\n|\n)+", RULES.read_text(), re.MULTILINE)
    assert source
    names: dict[str, Any] = {"os": os, "re": re, "shutil": shutil, "subprocess": subprocess, "takewhile": takewhile}
    exec(source[0], names)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    def counted(listing: str | None) -> int:
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin" if listing is not None else str(tmp_path))
        if listing is not None:
            (tmp_path / "listing").write_text(listing)
            stub = tmp_path / "nvidia-smi"
            stub.write_text(f"#!/bin/sh\ncat {tmp_path}/listing\n")
            stub.chmod(0o755)
        found: int = names["gpus_here"]()
        return found

    return counted


@pytest.mark.parametrize(
    ("listing", "gpus"),
    [
        (f"GPU 0: NVIDIA GeForce RTX 4070 Laptop GPU {UUID}\n", 1),
        (f"GPU 0: NVIDIA H100 80GB HBM3 {UUID}\nGPU 1: NVIDIA H100 80GB HBM3 {UUID}\n", 2),
        (f"GPU 0: NVIDIA A100 {UUID}\n  MIG 1g.5gb Device 0: (UUID: MIG-GPU 1)\n", 1),
        ("Failed to initialize NVML: Driver/library version mismatch\n", 0),
        ("No devices found.\n", 0),
        (None, 0),
    ],
)
def test_gpus_are_counted_by_lines(count: Callable[[str | None], int], listing: str | None, gpus: int) -> None:
    assert count(listing) == gpus


@pytest.mark.parametrize(
    ("visible", "gpus"),
    [("0", 1), ("2,3", 2), (" 0, 1", 2), ("GPU-1a,GPU-2b", 2), ("", 0), ("-1", 0), ("NoDevFiles", 0), ("0,-1,1", 1)],
)
def test_gpus_are_counted_as_cuda_reads_what_is_visible(
    count: Callable[[str | None], int], monkeypatch: pytest.MonkeyPatch, visible: str, gpus: int
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert count(f"GPU 0: NVIDIA H100 {UUID}\n") == gpus
