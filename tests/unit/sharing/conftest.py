"""Stores with finished runs, and a real DVC remote in a folder next to them."""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from dropnas.config import read_parameters
from dropnas.pipeline.plan import Plan, make_plan
from dropnas.runs.identity import Run
from tests.page.made_store import publish_plan

pytest.importorskip("dvc", reason="DVC is not installed: make setup")

PARAMETERS = """
profile: study
description: One table.
datasets:
  cifar10: {name: cifar10, source: torchvision}
  cifar100: {name: cifar100, source: torchvision}
seeds: 2
tables: [table6]
"""


@dataclass(frozen=True)
class Site:
    """A person's store, in its own DVC repository; all sites share one remote."""

    root: Path
    plan: Plan

    def find(self, stage: str, name: str = "") -> Run:
        """The first run of a stage whose name contains a text."""
        return next(run for run in self.plan.runs.values() if run.stage == stage and name in run.name)

    def folder(self, run: Run) -> Path:
        """The folder of a run."""
        return self.root / run.folder

    def files(self) -> dict[str, bytes]:
        """All files of all runs, except receipts and marks."""
        found = [path for top in ("data", "runs") for path in (self.root / top).rglob("*") if path.is_file()]
        kept = [path for path in found if path.name not in ("run.json", ".dvcignore")]
        return {path.relative_to(self.root).as_posix(): path.read_bytes() for path in kept}

    def dvc(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a DVC command in the store."""
        command = [sys.executable, "-m", "dvc", *arguments]
        return subprocess.run(command, cwd=self.root, capture_output=True, text=True, check=False)


@pytest.fixture(scope="session")
def parameters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("parameters") / "study.yaml"
    file.write_text(PARAMETERS, encoding="utf-8")
    return file


@pytest.fixture(scope="session")
def made(parameters: Path, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A finished store, made once."""
    site = Site(tmp_path_factory.mktemp("made"), make_plan(read_parameters(parameters)).by_default())
    publish_plan(site.plan, site.root)
    (site.root / ".dvc").mkdir()
    return site


def set_remote(site: Site, url: object) -> None:
    """Make a folder or URL the default remote of a site, with further lines of options."""
    core = "[core]\n    remote = shared\n    analytics = false\n    no_scm = true\n"
    text = f"{core}['remote \"shared\"']\n    url = {url}\n"
    (site.root / ".dvc").mkdir(exist_ok=True)
    (site.root / ".dvc" / "config").write_text(text, encoding="utf-8")


@pytest.fixture
def here(made: Site, tmp_path: Path) -> Site:
    """A copy of the finished store."""
    site = Site(tmp_path / "here", made.plan)
    shutil.copytree(made.root, site.root)
    set_remote(site, tmp_path / "remote")
    return site


@pytest.fixture
def there(made: Site, tmp_path: Path) -> Site:
    """Another person's empty store."""
    site = Site(tmp_path / "there", made.plan)
    site.root.mkdir()
    set_remote(site, tmp_path / "remote")
    return site


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    """The folder of the common remote."""
    return tmp_path / "remote"
