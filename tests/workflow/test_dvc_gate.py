"""The gate of dvc.yaml, with the smallest profile instead of smoke: DVC records results, Snakemake makes them."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.workflow.conftest import PROJECT, WAIT, Bench

pytest.importorskip("dvc", reason="DVC is not installed: make setup")
if shutil.which("git") is None:
    pytest.skip("git is not installed", allow_module_level=True)


@dataclass(frozen=True)
class Checkout:
    """A checkout that is its own store, under git and DVC."""

    folder: Path

    def call(self, *command: str) -> subprocess.CompletedProcess[str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("DROPNAS", "SNAKEMAKE", "PYTHON", "GIT_"))}
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        environment = {**kept, "PATH": path, "PYTHONPATH": str(self.folder)}
        return subprocess.run(
            command, cwd=self.folder, env=environment, text=True, timeout=WAIT, capture_output=True, check=False
        )

    def dvc(self, *arguments: str) -> str:
        done = self.call(sys.executable, "-m", "dvc", *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def runs(self) -> dict[str, int]:
        return {str(file.parent.name): file.stat().st_ino for file in self.folder.glob("runs/*/*/manifest.json")}


def gate() -> dict[str, object]:
    """The stages of dvc.yaml that prepare digits and run the smoke profile, for the smallest profile instead."""
    text = (PROJECT / "dvc.yaml").read_text(encoding="utf-8").replace("smoke", "micro")
    stages = yaml.safe_load(text)["stages"]
    return {"stages": {name: stages[name] for name in ("prepare", "micro")}}


@pytest.fixture(scope="module")
def initialised(project: Path, tmp_path_factory: pytest.TempPathFactory, built: Bench) -> Checkout:
    """A checkout under git and DVC with all runs except table 1, so that little remains to be computed."""
    made = Checkout(tmp_path_factory.mktemp("gate") / "checkout")
    shutil.copytree(project, made.folder)
    shutil.copytree(built.store / "runs", made.folder / "runs")
    for name in ("data", "params"):
        (made.folder / name).mkdir()
    shutil.copyfile(PROJECT / ".dvcignore", made.folder / ".dvcignore")
    shutil.copyfile(PROJECT / "tests/workflow/micro.yaml", made.folder / "params/micro.yaml")
    shutil.copyfile(PROJECT / ".gitignore", made.folder / ".gitignore")
    (made.folder / "dvc.yaml").write_text(yaml.safe_dump(gate()), encoding="utf-8")
    assert made.call("git", "init", "--quiet").returncode == 0
    made.dvc("init", "--quiet")
    shutil.rmtree(next(made.folder.glob("runs/table/table1-*")))
    return made


@pytest.fixture
def checkout(initialised: Checkout, tmp_path: Path) -> Checkout:
    """A copy of this checkout that a test may change."""
    return Checkout(shutil.copytree(initialised.folder, tmp_path / "checkout"))


def test_a_second_repro_does_nothing_and_a_commit_after_plain_snakemake_is_clean(checkout: Checkout) -> None:
    checkout.dvc("repro", "micro")
    before = checkout.runs()
    assert (checkout.folder / "results/micro/tables/table1.md").is_file()
    assert "didn't change, skipping" in checkout.dvc("repro", "micro")
    assert checkout.runs() == before
    assert "up to date" in checkout.dvc("status")
    shutil.rmtree(checkout.folder / "results")
    done = checkout.call(sys.executable, "-m", "snakemake", "--configfile", "params/micro.yaml")
    assert done.returncode == 0, done.stderr
    checkout.dvc("commit", "micro")
    assert "up to date" in checkout.dvc("status")
    assert checkout.dvc("repro", "micro").count("Running stage") == 0


def test_a_failed_rule_and_repro_again_goes_on(checkout: Checkout) -> None:
    table = next(iter(checkout.folder.glob("runs/table/table3-*")))
    shutil.rmtree(table)
    obstacle = checkout.folder / "scratch" / table.name.rpartition("-")[2]
    obstacle.parent.mkdir(exist_ok=True)
    obstacle.write_text("a file where the run's scratch folder should be")
    failed = checkout.call(sys.executable, "-m", "dvc", "repro", "micro")
    assert failed.returncode != 0
    before = checkout.runs()
    assert any(name.startswith("table1-") for name in before) and table.name not in before
    obstacle.unlink()
    checkout.dvc("repro", "micro")
    assert before.items() <= checkout.runs().items() and table.name in checkout.runs()


def test_runs_cannot_be_recorded_as_one(checkout: Checkout) -> None:
    done = checkout.call(sys.executable, "-m", "dvc", "add", "runs")
    assert done.returncode != 0 and "runs" in done.stderr
