"""Fixtures: a data set and double precision. The reference implementations become importable."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[2] / "reference"))
torch.set_num_threads(1)


@pytest.fixture
def doubles() -> Iterator[None]:
    """Everything is computed in double precision."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    images, classes = 19, 4  # in batches of eight the last one has three images
    folder = tmp_path_factory.mktemp("dataset")
    draws = np.random.default_rng(0)
    for split, count in (("train", images), ("test", 4)):
        np.save(folder / f"{split}_images.npy", draws.integers(0, 256, (count, 6, 6, 1), dtype=np.uint8))
        np.save(folder / f"{split}_labels.npy", np.arange(count, dtype=np.int64) % classes)
    content = {"name": "noise", "kind": "arrays", "classes": classes, "channels": 1, "height": 6, "width": 6}
    content |= {"mean": [0.5] * 3, "std": [0.3] * 3, "train": images, "test": 4}
    (folder / "dataset.json").write_text(json.dumps(content))
    return folder
