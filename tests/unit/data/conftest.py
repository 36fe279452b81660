"""Fixtures of the tests of `dropnas.data`."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from dropnas.data import prepare
from dropnas.data.config import DatasetConfig
from dropnas.workspace import Workspace

SHARED = Path(__file__).parents[3] / ".." / "shared"

torch.set_num_threads(1)


@pytest.fixture
def shared_data() -> Path:
    folder = SHARED / "data"
    if not folder.is_dir():
        pytest.skip("needs the real images in ../shared/data")
    return folder


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(scratch=tmp_path / "scratch", identity="test")


@pytest.fixture
def make(tmp_path: Path, workspace: Workspace) -> Callable[[DatasetConfig], Path]:
    """Return a function that prepares a dataset in a new folder."""

    def prepare_into(config: DatasetConfig) -> Path:
        out = tmp_path / f"run-{len(list(tmp_path.iterdir()))}"
        out.mkdir()
        prepare.run(config, [], out, workspace)
        return out

    return prepare_into
