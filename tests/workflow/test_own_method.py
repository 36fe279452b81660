"""A method, an operation and a space from outside the package pass through all stages into the tables."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]


class Example:
    """A copy of the example in a separate folder that the package does not know."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "example"
        shutil.copytree(PROJECT / "tests/example", self.folder, ignore=shutil.ignore_patterns("__pycache__"))

    def dropnas(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("DROPNAS", "SNAKEMAKE", "PYTHON"))}
        command = [sys.executable, "-m", "dropnas", *arguments]
        environment = {**kept, "PYTHONPATH": str(PROJECT)}
        return subprocess.run(command, cwd=self.folder, env=environment, text=True, capture_output=True, check=False)

    def ids(self) -> dict[str, str]:
        """The id of each search, by its name."""
        found = self.dropnas("plan", "warm.yaml", "--json")
        assert found.returncode == 0, found.stderr
        return {run["name"]: run["id"] for run in json.loads(found.stdout) if run["stage"] == "search"}


@pytest.fixture
def example(tmp_path: Path) -> Example:
    return Example(tmp_path)


def append(file: Path, text: str) -> None:
    file.write_text(file.read_text() + text)


def test_its_code_is_part_of_the_identity_of_its_runs_alone(example):
    before = example.ids()
    append(example.folder / "warm_dropout/strategy.py", "\nEDITED = True\n")
    after = example.ids()
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {name for name in before if "warmdropout" in name} and changed
    append(example.folder / "warm_dropout/operations.py", "\nEDITED = True\n")
    again = example.ids()
    assert {name for name in after if after[name] != again[name]} == {name for name in after if "-pointwise-" in name}


def test_it_runs_through_all_stages_and_tables(example):
    done = example.dropnas("run", "warm.yaml", "--cores", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    tables = example.folder / "results/warm/tables"
    for table, rows in {
        "table1": ["Warm DropNAS", "Warm DropNAS (Augmented)", "Halving"],
        "table3": ["Warm DropNAS (CIFAR-10)", "Warm DropNAS (CIFAR-100)", "Halving (CIFAR-100)"],
        "table4": ["Warm DropNAS", "pointwise", "Halving"],
    }.items():
        text = (tables / f"{table}.md").read_text()
        assert all(row in text for row in rows), text
    assert_halved(list((example.folder / "runs/search").glob("*original-halving*")))


def assert_halved(runs: list[Path]) -> None:
    """Check that a search marks the operations pruned between its phases, and that the genotype has none of them."""
    assert runs
    for run in runs:
        epochs = json.loads((run / "history.json").read_text())["epochs"]
        left = [{sum(alpha is not None for alpha in row) for row in epoch["normal"]} for epoch in epochs]
        assert left == [{8}, {8}, {4}]  # at the start, and after the epoch of each phase
        assert epochs[-1]["genotype"] == json.loads((run / "genotype.json").read_text())


def test_what_it_lacks_is_one_line(example):
    append(example.folder / "warm_dropout/strategy.py", "\ndel WarmDropout\n")
    file = example.folder / "warm.yaml"
    file.write_text(file.read_text().replace(":WarmDropout", ":ColdDropout"))
    found = example.dropnas("plan", "warm.yaml")
    assert found.returncode == 1 and found.stderr.count("\n") == 1
    assert "defines no 'ColdDropout'" in found.stderr
