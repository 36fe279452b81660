"""Depthwise convolutions, batch norm and grids of the engine against torch's own, derivatives included."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from dropnas.search.engine.depthwise import depthwise
from dropnas.search.engine.layout import phases, together
from dropnas.search.engine.norm import batch_norm

EXACT = 1e-12


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
    images = draw(2, channels, rows, columns)
    kernels = [draw(channels, 1, width, width, seed=1 + number) for number in range(count)]
    padding = dilation * (width // 2)
    theirs = [functional.conv2d(images, each, None, 1, padding, dilation, channels) for each in kernels]
    ours = depthwise(last(images), kernels, dilation)
    upstream = [draw(*answer.shape, seed=9).detach() for answer in theirs]
    expected = torch.autograd.grad(theirs, [images, *kernels], upstream)
    found = torch.autograd.grad(ours, [images, *kernels], list(map(last, upstream)))
    for one, other in zip([*map(last, theirs), *expected], [*ours, *found], strict=True):
        assert torch.allclose(one, other, rtol=0, atol=EXACT)


@pytest.mark.parametrize("channels", [4, 8, 12, 16, 17, 32])
@pytest.mark.parametrize("side", [2, 8, 56])
def test_single_precision_is_right_and_repeats(channels: int, side: int) -> None:
    maps, kernels = draw(2, side, side, channels), draw(channels, 1, 5, 5, seed=1)
    upstream = draw(2, side, side, channels, seed=2).detach()
    exact = torch.autograd.grad(depthwise(maps, [kernels]), [maps, kernels], [upstream])
    single = [value.detach().float().requires_grad_() for value in (maps, kernels)]
    first, second = (
        torch.autograd.grad(depthwise(single[0], single[1:]), single, [upstream.float()]) for _ in range(2)
    )
    for ours, again, right in zip(first, second, exact, strict=True):
        assert torch.equal(ours, again)
        assert (ours - right).abs().max() < 1e-5 * right.abs().max()


@pytest.mark.parametrize("scaled", [True, False])
@pytest.mark.parametrize("rectify", [True, False])
def test_batch_norm_is_torchs(scaled: bool, rectify: bool) -> None:
    images, scale = draw(3, 5, 4, 6), draw(5, seed=1) if scaled else None
    mean, variance = torch.zeros(5, dtype=torch.float64), torch.zeros(5, dtype=torch.float64)
    theirs = functional.batch_norm(images, mean, variance, scale, training=True, momentum=1.0, eps=1e-5)
    theirs = theirs.relu() if rectify else theirs
    ours = batch_norm(last(images), scale, 1e-5, rectify)
    variables = [images, *([] if scale is None else [scale])]
    upstream = draw(*theirs.shape, seed=2).detach()
    expected = torch.autograd.grad(theirs, variables, upstream)
    found = torch.autograd.grad(ours.maps, variables, last(upstream))
    pairs = [
        (last(theirs), ours.maps),
        (mean, ours.mean),
        (variance, ours.variance),
        *zip(expected, found, strict=True),
    ]
    assert all(torch.allclose(one, other, rtol=0, atol=EXACT) for one, other in pairs)


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
    assert torch.equal(together(phases(last(images))), last(images))
    ours = together(depthwise(phases(last(images)), [kernel])[0])
    assert torch.allclose(last(theirs), ours, rtol=0, atol=EXACT)
