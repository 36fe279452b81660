"""Puts the independent reference implementation within reach of this room's tests."""

import sys
from collections.abc import Iterator
from pathlib import Path

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
