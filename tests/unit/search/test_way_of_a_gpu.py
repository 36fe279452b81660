"""The code path of a GPU gives the same results as that of a CPU; tested on a CPU, in double precision."""

import pytest
import torch

from dropnas.search.engine import layout
from dropnas.space.spaces import SPACES
from tests.unit.search.made_supernets import Sides, masks_of
from tests.unit.search.test_engine import assert_as_plain


@pytest.mark.parametrize("name", sorted(SPACES))
@pytest.mark.parametrize("side", [(7, 8), 8])
def test_each_seed_has_the_numbers_of_its_plain_supernet(
    name: str, side: Sides, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layout, "on_cpu", lambda maps: False)
    space = SPACES[name]
    assert_as_plain(space, torch.stack([masks_of(space, 0.4, seed) for seed in range(2)]), side, static=True)
