"""Profiles the most expensive Triton kernel of a search step with Nsight Compute.

Design choices: the GPU's clocks are not locked, as in a real search. The first three launches are profiled: 16 channels
on normalised maps, 16 channels on plain maps, 32 channels on normalised maps. ncu runs this module, which launches the
kernels without a CUDA graph.
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
    """The metrics of each launch, or the reason why there are none."""
    if device == "cpu":
        yield KERNEL, {LEFT_OUT: "only a GPU has kernels to profile"}
    elif (command := _ncu()) is None:
        yield KERNEL, {LEFT_OUT: "ncu is not installed"}
    else:
        yield KERNEL, attempted(_asked, command, device)


def _ncu() -> str | None:
    """The path of ncu; None if it is not installed."""
    found = [str(path) for pattern in ELSEWHERE for path in sorted(Path("/").glob(pattern[1:]))]
    return shutil.which("ncu") or (found[-1] if found else None)


def _asked(ncu: str, device: str) -> dict[str, Any]:
    options = ["--clock-control", "none", "-k", f"regex:{KERNEL}", "-c", str(LAUNCHES), "--csv", "--page", "details"]
    command = [ncu, *options, sys.executable, "-m", "benchmarks.ncu", device]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    print(answer.stdout, answer.stderr, sep="\n", file=sys.stderr)  # the log has the complete output
    found = of_launches(answer.stdout)
    if not found:
        said = [line for line in (answer.stdout + answer.stderr).splitlines() if "ERROR" in line or "Error" in line]
        raise RuntimeError(said[0].strip("= ") if said else f"ncu measured nothing and ended with {answer.returncode}")
    return found


def of_launches(text: str) -> dict[str, dict[str, str]]:
    """Parse ncu's table: metrics and values with units, by launch."""
    rows = csv.DictReader(io.StringIO("\n".join(line for line in text.splitlines() if line.startswith('"'))))
    found: dict[str, dict[str, str]] = {}
    for row in rows:
        if row["Metric Name"]:  # rows with advice have no metric
            of_launch = found.setdefault(f"launch {row['ID']}", {})
            of_launch[row["Metric Name"]] = f"{row['Metric Value']} {row['Metric Unit']}".strip()
    return found


def _launch(device: str) -> None:
    """Launch all kernels, for each number of channels in a search."""
    import torch

    from benchmarks import _workloads, micro

    with torch.cuda.device(device):
        for channels, side in micro.STATES:
            _workloads.triton_kernels(channels, side, micro.BATCH, device, torch.bfloat16)()
        torch.cuda.synchronize()


if __name__ == "__main__":
    _launch(sys.argv[1])
