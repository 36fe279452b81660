"""Depthwise convolutions, batch norm and grids of the engine against torch's own, derivatives included."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from dropnas.search.engine.blocks import batch_norm
from dropnas.search.engine.depthwise import depthwise
from dropnas.search.engine.layout import from_grids, to_grids

EXACT = 1e-12
EPSILON = 1e-5


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).requires_grad_()


def last(images: Tensor) -> Tensor:
    return images.permute(0, 2, 3, 1).contiguous()


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from([1, 3, 5]),
    st.sampled_from([1, 2]),
    st.integers(1, 5),
    st.integers(1, 9),
    st.integers(1, 9),
    st.integers(1, 3),
)
def test_depthwise_is_torchs(width: int, dilation: int, channels: int, rows: int, columns: int, count: int) -> None:
    images, kernels = draw(2, channels, rows, columns), draw(count * channels, 1, width, width, seed=1)
    padding = dilation * (width // 2)
    repeated = images.repeat(1, count, 1, 1)
    theirs = last(functional.conv2d(repeated, kernels, None, 1, padding, dilation, count * channels))
    ours = depthwise(last(images), kernels, dilation)
    upstream = draw(*theirs.shape, seed=9).detach()
    expected, found = (torch.autograd.grad(each, [images, kernels], upstream) for each in (theirs, ours))
    for one, other in zip([theirs, *expected], [ours, *found], strict=True):
        assert torch.allclose(one, other, rtol=0, atol=EXACT)


@pytest.mark.parametrize("channels", [4, 8, 12, 16, 17, 32])
@pytest.mark.parametrize("side", [2, 8, 56])
def test_single_precision_is_right_and_repeats(channels: int, side: int) -> None:
    maps, kernels = draw(2, side, side, channels), draw(channels, 1, 5, 5, seed=1)
    upstream = draw(2, side, side, channels, seed=2).detach()
    exact = torch.autograd.grad(depthwise(maps, kernels), [maps, kernels], upstream)
    single = [value.detach().float().requires_grad_() for value in (maps, kernels)]
    first, second = (torch.autograd.grad(depthwise(*single), single, upstream.float()) for _ in range(2))
    for ours, again, right in zip(first, second, exact, strict=True):
        assert torch.equal(ours, again)
        assert (ours - right).abs().max() < 1e-5 * right.abs().max()


@pytest.mark.parametrize("rectify", [False, True])
@pytest.mark.parametrize("given", [(), ("scale",), ("scale", "shift")], ids=lambda given: "+".join(given) or "plain")
def test_batch_norm_and_its_derivatives(given: tuple[str, ...], rectify: bool) -> None:
    maps, upstream = draw(3, 4, 5, 6), draw(3, 4, 5, 6, seed=1).detach()
    scale, shift = (
        draw(6, seed=2 + number) if name in given else None for number, name in enumerate(("scale", "shift"))
    )
    out, mean, variance = batch_norm(maps, scale, EPSILON, rectify, shift)
    rows = maps.flatten(0, -2)
    expected = (maps - rows.mean(0)) / (rows.var(0, unbiased=False) + EPSILON).sqrt()
    expected = expected if scale is None else expected * scale
    expected = expected if shift is None else expected + shift
    expected = functional.relu(expected) if rectify else expected
    for one, other in ((out, expected), (mean, rows.mean(0)), (variance, rows.var(0))):
        assert torch.allclose(one, other, rtol=0, atol=EXACT)
    inputs = [tensor for tensor in (maps, scale, shift) if tensor is not None]
    ours, theirs = (torch.autograd.grad(each, inputs, upstream) for each in (out, expected))
    for one, other in zip(ours, theirs, strict=True):
        assert torch.allclose(one, other, rtol=0, atol=EXACT)


def test_batch_norm_takes_one_scale_for_all_channels() -> None:
    maps, one = draw(4, 1, 1, 6), draw(1, seed=1)
    upstream = draw(4, 1, 1, 6, seed=2).detach()
    spread = batch_norm(maps, one.expand(6), 1e-5).maps  # in memory it is a single value
    whole = batch_norm(maps, one.repeat(6), 1e-5).maps
    found, expected = (torch.autograd.grad(each, [maps, one], upstream) for each in (spread, whole))
    for ours, right in zip(found, expected, strict=True):
        assert torch.allclose(ours, right, rtol=0, atol=EXACT)


def test_grids_make_a_dilated_convolution_an_ordinary_one() -> None:
    images, kernel = draw(2, 3, 8, 6), draw(3, 1, 5, 5, seed=1)
    theirs = functional.conv2d(images, kernel, None, 1, 4, 2, 3)
    assert torch.equal(from_grids(to_grids(last(images))), last(images))
    ours = from_grids(depthwise(to_grids(last(images)), kernel))
    assert torch.allclose(last(theirs), ours, rtol=0, atol=EXACT)
