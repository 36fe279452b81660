"""The entry of the benchmarks: what can be asked for, and what it says of a wrong wish. No test asks how fast it is."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.__main__ import names

PROJECT = Path(__file__).parents[2]


def asked(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks", *words]
    return subprocess.run(command, cwd=PROJECT, text=True, capture_output=True, check=False)


def test_each_benchmark_is_a_module_with_a_name_as_one_types_it() -> None:
    assert {"search-step", "retrain-step", "input-cifar", "input-imagenet", "startup", "plan", "checkpoint"} == {
        *names()
    }


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["nothing"], "nothing: no such benchmark"),
        (["plan", "--device", "abacus"], "unknown device 'abacus'"),
        (["search-step", "--device", "cuda:99"], "device 'cuda:99' is not there"),
    ],
)
def test_a_wrong_wish_is_told_in_a_line(words: list[str], told: str, tmp_path: Path) -> None:
    found = asked(*words, "--json", str(tmp_path / "results.json"))
    assert found.returncode == 1 and not list(tmp_path.iterdir())
    assert len(found.stderr.splitlines()) == 1 and told in found.stderr
