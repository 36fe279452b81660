"""A finished store with made-up numbers, and its archive; each is made once."""

import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from dropnas.archive.archive_file import SUMS, write_archive
from dropnas.archive.pack import pack
from dropnas.config import read_parameters
from dropnas.monitor.costs import page_cost
from dropnas.pipeline.plan import make_plan
from tests.page.made_store import publish_plan

PARAMETERS = """
profile: study
description: One table and one figure.
datasets:
  cifar10: {name: cifar10, source: torchvision}
  cifar100: {name: cifar100, source: torchvision}
seeds: 2
tables: [table6]
figures: [figure3]
"""
Edit = Callable[[dict[str, bytes]], None]


def make_study(folder: Path) -> None:
    """A parameter file and a store in which all its runs are finished."""
    file = folder / "study.yaml"
    file.write_text(PARAMETERS, encoding="utf-8")
    publish_plan(make_plan(read_parameters(file)).by_default(), folder / "store")


@pytest.fixture(scope="session")
def study(once: Callable[[str, Callable[[Path], object]], Path]) -> Path:
    return once("archived-study", make_study)


@pytest.fixture(scope="session")
def parameters(study: Path) -> Path:
    return study / "study.yaml"


@pytest.fixture(scope="session")
def made(study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of a store with all runs finished, for this worker, whose tests make its results."""
    return Path(shutil.copytree(study / "store", tmp_path_factory.mktemp("made") / "store"))


@pytest.fixture(scope="session")
def archived(made: Path, parameters: Path) -> Path:
    """The archive of the store."""
    pytest.importorskip("rocrate", reason="rocrate is not installed: make setup")
    return pack(parameters, made, made / "archive.zip", page_cost).file


def content_of(file: Path) -> dict[str, bytes]:
    """The files of an archive except the list of checksums, read by zipfile."""
    with zipfile.ZipFile(file) as packed:
        names = [entry.filename for entry in packed.infolist() if not entry.is_dir() and entry.filename != SUMS]
        return {name: packed.read(name) for name in names}


def edited(file: Path, out: Path, edit: Edit) -> Path:
    """A copy of an archive with changed content and a new list of checksums."""
    content = content_of(file)
    edit(content)
    write_archive(out, content)
    return out
