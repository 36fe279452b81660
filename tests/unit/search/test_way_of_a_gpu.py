"""What a GPU computes, in another way than a CPU, is the same; on a CPU, in double precision."""

from collections.abc import Iterator

import pytest
import torch
from torch.nn import functional

from dropnas.search.engine.norm import Inverse, batch_norm, unbiased
from dropnas.search.engine.norm_on_gpu import NormOnGpu
from dropnas.space.spaces import SPACES
from dropnas.training.seeding import generator
from tests.unit.search.made_supernets import masks_of
from tests.unit.search.test_engine import assert_as_plain
from tests.unit.search.way_of_a_gpu import way_of_a_gpu

EPSILON = 1e-5


@pytest.fixture(autouse=True)
def on_a_gpu() -> Iterator[None]:
    with way_of_a_gpu():
        yield


@pytest.mark.parametrize("name", sorted(SPACES))
@pytest.mark.parametrize("side", [7, 8])
def test_each_seed_has_the_numbers_of_its_plain_supernet(name: str, side: int, monkeypatch: pytest.MonkeyPatch) -> None:
    space, calls, apply = SPACES[name], list[None](), NormOnGpu.apply
    monkeypatch.setattr(NormOnGpu, "apply", lambda *given: (calls.append(None), apply(*given))[1])
    assert_as_plain(space, torch.stack([masks_of(space, 0.4, seed) for seed in range(2)]), side, static=True)
    assert calls


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
    assert isinstance(variance, Inverse)
    expected = functional.batch_norm(maps.permute(0, 3, 1, 2), None, None, scale, shift, True, 0.1, EPSILON)
    expected = expected.permute(0, 2, 3, 1)
    expected = expected.relu() if rectify else expected
    rows = maps.detach().flatten(0, -2)
    (of_all,) = unbiased([variance])
    for one, other in ((out, expected), (mean, rows.mean(0)), (of_all, rows.var(0))):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)
    inputs = [tensor for tensor in (maps, scale, shift) if tensor is not None]
    ours, theirs = (torch.autograd.grad(each, inputs, upstream) for each in (out, expected))
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)
