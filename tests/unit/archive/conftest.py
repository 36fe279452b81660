"""A finished store with made-up numbers, and its archive; both made once."""

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


@pytest.fixture(scope="session")
def parameters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("parameters") / "study.yaml"
    file.write_text(PARAMETERS, encoding="utf-8")
    return file


@pytest.fixture(scope="session")
def made(parameters: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of a store in which all runs are finished."""
    root = tmp_path_factory.mktemp("made")
    publish_plan(make_plan(read_parameters(parameters)).by_default(), root)
    return root


@pytest.fixture(scope="session")
def archived(made: Path, parameters: Path) -> Path:
    """Its archive."""
    pytest.importorskip("rocrate", reason="rocrate is not installed: make setup")
    return pack(parameters, made, made / "archive.zip", page_cost).file


def content_of(file: Path) -> dict[str, bytes]:
    """The files of an archive but the list of their checksums, by zipfile alone."""
    with zipfile.ZipFile(file) as packed:
        names = [entry.filename for entry in packed.infolist() if not entry.is_dir() and entry.filename != SUMS]
        return {name: packed.read(name) for name in names}


def edited(file: Path, out: Path, edit: Edit) -> Path:
    """A copy of an archive with other content, its list of checksums made anew."""
    content = content_of(file)
    edit(content)
    write_archive(out, content)
    return out
