"""One trial: the same small cases computed with the old code and with the new, all bytes of all results compared.

Design choices: each code runs in processes of its own, with PYTHONPATH on a frozen copy of its source, on the CPU with
one thread. Code that only a GPU takes is not reached by it. Inputs are made once, by the new code, so that only the
stage under trial differs.
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
class Code:
    """A state of the code of a stage: where its source lies, and its fingerprint."""

    source: Path
    fingerprint: str


def difference(stage: str, cases: Sequence[Case], old: Code, new: Code) -> str:
    """What differs between the results of the old and the new code; empty if no byte does.

    Raises:
        DropnasError: a code is not the one that it should be, or fails on a case.
    """
    with tempfile.TemporaryDirectory(prefix="dropnas-adopt-") as temporary:
        folder = Path(temporary)
        inputs = _inputs(cases, new.source, folder / "inputs")
        for name, code in (("old", old), ("new", new)):
            listed = [
                {"config": case.config, "inputs": inputs[case.key], "out": str(folder / name / str(at) / "out")}
                for at, case in enumerate(cases)
            ]
            _compute(stage, listed, code, folder / f"{name}.json")
        for at, case in enumerate(cases):
            found = [checksums(folder / name / str(at) / "out") for name in ("old", "new")]
            if found[0] != found[1]:
                names = sorted(
                    name for name in found[0].keys() | found[1].keys() if found[0].get(name) != found[1].get(name)
                )
                return f"{', '.join(names)} differ ({describe(case) or 'default settings'})"
    return ""


def _inputs(cases: Sequence[Case], source: Path, folder: Path) -> dict[str, list[str]]:
    """Folders that the cases read, by their keys: small data, a genotype, or a small search."""
    code = Code(source, "")
    for data in {case.data for case in cases}:
        _compute(
            "data",
            [{"config": DATA[data], "inputs": [], "out": str(folder / data / "out")}],
            code,
            folder / f"{data}.json",
        )
    folders = {}
    for at, case in enumerate(cases):
        data = str(folder / case.data / "out")
        companion = [str(case.companion)] if isinstance(case.companion, Path) else []
        if isinstance(case.companion, dict):
            companion = [_search(case.companion, data, code, folder / f"search{at}")]
        folders[case.key] = [data, *companion]
    return folders


def _search(config: Mapping[str, Any], data: str, code: Code, folder: Path) -> str:
    """A small search, with the receipt that readers of its supernet need."""
    out = folder / "out"
    _compute("search", [{"config": config, "inputs": [data], "out": str(out)}], code, folder.with_suffix(".json"))
    ReceiptFile("search", "cpu", 0.0, (), dict(config)).write(out)
    return str(out)


def _compute(stage: str, listed: list[dict[str, Any]], code: Code, file: Path) -> None:
    write_json(file, {"stage": stage, "code": code.fingerprint, "cases": listed})
    path = os.pathsep.join(filter(None, [str(code.source), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONSAFEPATH": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [sys.executable, str(PROBE), str(file)],
        env=environment,
        cwd=file.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise DropnasError(f"the probe failed: {last}", where=code.source)
