"""`make gpu` with only torch, Triton, numpy and pytest installed: rehearsed on a CPU, in a tiny size."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from benchmarks._results import LEFT_OUT, has_failed
from benchmarks._summary import COLUMNS, Outcome, summary
from benchmarks.gpu import PARTS
from benchmarks.gpu_tests import marked
from tests.unit.benchmarks.bare_machine import bare_python

pytest.importorskip("triton")
PROJECT = Path(__file__).parents[3]
REHEARSAL = """
import contextlib, json, sys
from importlib import import_module
found = {}
for name, command, small in json.loads(sys.argv[1]):
    _, _, module, *options = command
    if module != "gpu-tests":  # a process for each file, so too long for here
        options = {"only": options[1]} if options else {}
        options |= {"tiny": True} if small else {}
        with contextlib.redirect_stdout(sys.stderr):
            found[name] = dict(import_module(f"benchmarks.{module.replace('-', '_')}").measure("cpu", **options))
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bare_python(tmp_path_factory.mktemp("bare"))


def test_it_has_only_what_a_bare_machine_has(bare: Path) -> None:
    code = (
        "import importlib.util as of; print([n for n in ('torch', 'yaml', 'pydantic', 'dropnas') if of.find_spec(n)])"
    )
    found = subprocess.run([bare, "-c", code], cwd="/", capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "['torch']"


def test_every_part_runs_on_a_cpu_and_says_what_only_a_gpu_can(bare: Path) -> None:
    parts = json.dumps([[part.name, part.command, part.small] for part in PARTS])
    answer = subprocess.run([bare, "-c", REHEARSAL, parts], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    found: dict[str, dict[str, Any]] = json.loads(answer.stdout)
    assert [*found] == [part.name for part in PARTS if part.name != "tests"]
    pieces = {f"{part}, {name}": piece for part, of_part in found.items() for name, piece in of_part.items()}
    assert not {name: piece for name, piece in pieces.items() if has_failed(piece)}
    left_out = {name for name, piece in pieces.items() if isinstance(piece, dict) and LEFT_OUT in piece}
    assert {name for name in left_out if "riton" not in name} == {"ncu, back_to_dense", "numerics, tf32, torch"}
    assert len([name for name in pieces if "riton" in name]) == len([name for name in left_out if "riton" in name]) > 9
    outcomes = [Outcome(name, "done", 1.0, results=of_part) for name, of_part in found.items()]
    assert max(map(len, summary(outcomes, "cpu", 1, 60).splitlines())) <= COLUMNS


def test_tests_for_a_gpu_can_be_imported(bare: Path) -> None:
    files = [str(file) for file in marked(PROJECT / "tests")]
    assert len(files) > 4 and "fused" in files[-1]
    command = [bare, "-m", "pytest", "--collect-only", "-q", "-m", "gpu", "-p", "no:cacheprovider", *files]
    found = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert found.returncode == 0 and "error" not in found.stdout, found.stdout
    assert all(f"{Path(file).name}::" in found.stdout for file in files)


@pytest.mark.slow
def test_the_whole_is_rehearsed(bare: Path, tmp_path: Path) -> None:
    command = [bare, "-m", "benchmarks", "gpu", "--device", "cpu", "--minutes", "10", "--out", tmp_path]
    found = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert found.returncode == 0 and found.stdout == (tmp_path / "summary.txt").read_text(), found.stderr
    assert found.stdout.splitlines()[-1] == f"{len(PARTS)} done"
