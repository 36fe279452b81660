"""What a GPU computes, in another way than a CPU, is the same; on a CPU, in double precision."""

import pytest
import torch
from torch.nn import functional

from dropnas.search.engine import layout
from dropnas.search.engine.norm import batch_norm
from dropnas.space.spaces import SPACES
from dropnas.training.seeding import generator
from tests.unit.search.made_supernets import masks_of
from tests.unit.search.test_engine import assert_as_plain

EPSILON = 1e-5


@pytest.mark.parametrize("name", sorted(SPACES))
@pytest.mark.parametrize("side", [7, 8])
def test_each_seed_has_the_numbers_of_its_plain_supernet(name: str, side: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "on_cpu", lambda maps: False)
    space = SPACES[name]
    assert_as_plain(space, torch.stack([masks_of(space, 0.4, seed) for seed in range(2)]), side, static=True)


@pytest.mark.parametrize("rectify", [False, True])
@pytest.mark.parametrize("given", [(), ("scale",), ("scale", "shift")], ids=lambda given: "+".join(given) or "plain")
def test_batch_norm_and_its_derivatives(given: tuple[str, ...], rectify: bool) -> None:
    random = generator(0, "maps")
    maps = torch.randn((3, 4, 5, 6), generator=random, dtype=torch.float64, requires_grad=True)
    scale, shift = (
        torch.randn(6, generator=random, dtype=torch.float64, requires_grad=True) if name in given else None
        for name in ("scale", "shift")
    )
    upstream = torch.randn((3, 4, 5, 6), generator=random, dtype=torch.float64)
    out, mean, variance = batch_norm(maps, scale, EPSILON, rectify, shift)
    rows = maps.flatten(0, -2)
    expected = (maps - rows.mean(0)) / (rows.var(0, unbiased=False) + EPSILON).sqrt()
    expected = expected if scale is None else expected * scale
    expected = expected if shift is None else expected + shift
    expected = functional.relu(expected) if rectify else expected
    for one, other in ((out, expected), (mean, rows.mean(0)), (variance, rows.var(0))):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)
    inputs = [tensor for tensor in (maps, scale, shift) if tensor is not None]
    ours, theirs = (torch.autograd.grad(each, inputs, upstream) for each in (out, expected))
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)
