"""Nsight Compute's view of the Triton kernel that a search step spends most of its time in.

Design choices: clocks are left as they are, since a search runs so; the first three launches are those of 16 channels,
on normalised maps and on plain ones, and of 32 channels on normalised ones. What ncu runs is this module, without a
graph.
"""

import csv
import io
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks._pieces import attempted
from benchmarks._results import LEFT_OUT

KERNEL, LAUNCHES = "back_to_dense", 3
ELSEWHERE = ("/usr/local/cuda*/bin/ncu", "/opt/nvidia/nsight-compute/*/ncu")


def measure(device: str) -> Iterator[tuple[str, Any]]:
    """What it says of each launch, or why it says nothing."""
    if device == "cpu":
        yield KERNEL, {LEFT_OUT: "only a GPU has kernels to look at"}
    elif (command := _ncu()) is None:
        yield KERNEL, {LEFT_OUT: "ncu is not there"}
    else:
        yield KERNEL, attempted(_asked, command, device)


def _ncu() -> str | None:
    """Where it is."""
    found = [str(path) for pattern in ELSEWHERE for path in sorted(Path("/").glob(pattern[1:]))]
    return shutil.which("ncu") or (found[-1] if found else None)


def _asked(ncu: str, device: str) -> dict[str, Any]:
    options = ["--clock-control", "none", "-k", f"regex:{KERNEL}", "-c", str(LAUNCHES), "--csv", "--page", "details"]
    command = [ncu, *options, sys.executable, "-m", "benchmarks.ncu", device]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    print(answer.stdout, answer.stderr, sep="\n", file=sys.stderr)  # all of it is in the log
    found = of_launches(answer.stdout)
    if not found:
        said = [line for line in (answer.stdout + answer.stderr).splitlines() if "ERROR" in line or "Error" in line]
        raise RuntimeError(said[0].strip("= ") if said else f"ncu measured nothing and ended with {answer.returncode}")
    return found


def of_launches(text: str) -> dict[str, dict[str, str]]:
    """What its table says, by launch: metric and value with its unit."""
    rows = csv.DictReader(io.StringIO("\n".join(line for line in text.splitlines() if line.startswith('"'))))
    found: dict[str, dict[str, str]] = {}
    for row in rows:
        if row["Metric Name"]:  # the rows of its advice have none
            of_launch = found.setdefault(f"launch {row['ID']}", {})
            of_launch[row["Metric Name"]] = f"{row['Metric Value']} {row['Metric Unit']}".strip()
    return found


def _launch(device: str) -> None:
    """Each width once."""
    import torch

    from benchmarks import _workloads, micro

    with torch.cuda.device(device):
        for channels, side in micro.STATES:
            _workloads.triton_kernels(channels, side, micro.BATCH, device, torch.bfloat16)()
        torch.cuda.synchronize()


if __name__ == "__main__":
    _launch(sys.argv[1])
