"""A trial: the old and the new code compute the same small cases, and all result files are compared byte by byte.

Design choices: each version of the code runs in its own processes, on the CPU with one thread. PYTHONPATH points to a
copy of its source. Code that runs only on a GPU is not tested. The new code makes the inputs for both versions, so that
only the stage under trial can cause a difference.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dropnas.artifacts.receipt_file import ReceiptFile
from dropnas.errors import DropnasError
from dropnas.pipeline.adoption.small_cases import DATA, Case, describe
from dropnas.runs.files import checksums, write_json

PROBE = Path(__file__).with_name("run_small_cases.py")


@dataclass(frozen=True)
class StageCode:
    """One version of a stage's code: its source folder and its fingerprint."""

    source: Path
    fingerprint: str


def difference(stage: str, cases: Sequence[Case], old: StageCode, new: StageCode) -> str:
    """Describe the first case for which the old and the new code produce different files; empty if all are identical.

    Raises a DropnasError if one version of the code is not the expected one or fails on a case.
    """
    with tempfile.TemporaryDirectory(prefix="dropnas-adopt-") as temporary:
        folder = Path(temporary)
        inputs = _inputs(cases, new.source, folder / "inputs")
        for name, code in (("old", old), ("new", new)):
            listed = [
                {"config": case.config, "inputs": inputs[case.key], "out": str(folder / name / str(index) / "out")}
                for index, case in enumerate(cases)
            ]
            _compute(stage, listed, code, folder / f"{name}.json")
        for index, case in enumerate(cases):
            found = [checksums(folder / name / str(index) / "out") for name in ("old", "new")]
            if found[0] != found[1]:
                names = sorted({name for name, _ in found[0].items() ^ found[1].items()})
                return f"{', '.join(names)} differ ({describe(case) or 'default settings'})"
    return ""


def _inputs(cases: Sequence[Case], source: Path, folder: Path) -> dict[str, list[str]]:
    """Make the input folders of all cases. Return a mapping from the key of each case to its folders.

    Every case reads a small data set. Depending on the stage, a case also reads a genotype or a small search.
    """
    code = StageCode(source, "")
    for data in {case.data for case in cases}:
        made = {"config": DATA[data], "inputs": [], "out": str(folder / data / "out")}
        _compute("data", [made], code, folder / f"{data}.json")
    folders = {}
    for index, case in enumerate(cases):
        data = str(folder / case.data / "out")
        extra = [str(case.extra_input)] if isinstance(case.extra_input, Path) else []
        if isinstance(case.extra_input, dict):
            extra = [_search(case.extra_input, data, code, folder / f"search{index}")]
        folders[case.key] = [data, *extra]
    return folders


def _search(config: Mapping[str, Any], data: str, code: StageCode, folder: Path) -> str:
    """Run a small search, and write the receipt that other stages need to read its supernet."""
    out = folder / "out"
    _compute("search", [{"config": config, "inputs": [data], "out": str(out)}], code, folder.with_suffix(".json"))
    ReceiptFile("search", "cpu", 0.0, (), dict(config)).write(out)
    return str(out)


def _compute(stage: str, listed: list[dict[str, Any]], code: StageCode, file: Path) -> None:
    write_json(file, {"stage": stage, "code": code.fingerprint, "cases": listed})
    path = os.pathsep.join(filter(None, [str(code.source), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONSAFEPATH": "1", "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, str(PROBE), str(file)]
    done = subprocess.run(command, env=environment, cwd=file.parent, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise DropnasError(f"the probe failed: {last}", where=code.source)
