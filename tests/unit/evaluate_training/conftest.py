"""Real handwriting, prepared once, and a genotype to train on it."""

import json
from pathlib import Path

import pytest
import torch

from dropnas.data import prepare
from dropnas.data.config import DatasetConfig
from dropnas.workspace import Workspace

NORMAL = [["sep_conv_3x3", 0], ["skip_connect", 1], ["dil_conv_3x3", 1], ["max_pool_3x3", 0]] * 2
REDUCE = [["max_pool_3x3", 0], ["sep_conv_3x3", 1], ["skip_connect", 2], ["avg_pool_3x3", 0]] * 2


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The digits of scikit-learn: 8x8, ten classes."""
    folder = tmp_path_factory.mktemp("digits")
    config = DatasetConfig("digits", "bundled", train_images=700, test_images=300)
    prepare.run(config, [], folder, Workspace(folder / "scratch", "digits"))
    return folder


@pytest.fixture(scope="session")
def genotype(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with a genotype."""
    folder = tmp_path_factory.mktemp("derive")
    cells = {"normal": NORMAL, "normal_concat": [2, 3, 4, 5], "reduce": REDUCE, "reduce_concat": [2, 3, 4, 5]}
    (folder / "genotype.json").write_text(json.dumps(cells))
    return folder
