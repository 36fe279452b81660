"""The fused kernels, in Triton's interpreter and on a GPU, against torch's convolutions in double precision."""

import sys
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from dropnas.search import triton as backend
from dropnas.search.architecture import kept_rows
from dropnas.search.engine.supernet import FastSupernet
from dropnas.search.engine.together import SupernetsTogether
from dropnas.search.supernet import Supernet
from dropnas.space.spaces import ORIGINAL, SearchSpace
from dropnas.training.seeding import generator
from tests.unit.search.made_supernets import (
    alphas_of,
    assert_close,
    assert_same_modules,
    images_of,
    labels_of,
    make,
    masks_of,
)
from tests.unit.search.way_of_a_gpu import way_of_a_gpu

pytest.importorskip("triton")
EPSILON = 1e-5
SMALL = SearchSpace("small", ("dil_conv_3x3", "sep_conv_3x3"), ("none", "skip_connect"))


def forget_triton() -> dict[str, Any]:
    """Have it and what uses it imported anew, but for its compiled part; gives what was imported."""
    names = [name for name in sys.modules if name.partition(".")[0] == "triton" and not name.startswith("triton._C")]
    for name in ("kernels", "mixing", "fused"):
        vars(backend).pop(name, None)  # else `from dropnas.search.triton import kernels` finds the old one
        names += [each for each in [f"{backend.__name__}.{name}"] if each in sys.modules]
    return {name: sys.modules.pop(name) for name in names}


@pytest.fixture(scope="module")
def interpreted() -> Iterator[None]:
    """The kernels as Triton's interpreter runs them, on a CPU; how they run is decided when Triton is imported."""
    before = forget_triton()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRITON_INTERPRET", "1")
        yield
    forget_triton()
    sys.modules.update(before)


def drawn(*shape: int, seed: int, dtype: torch.dtype = torch.float64) -> Tensor:
    values = torch.randn(*shape, generator=generator(seed, "values"), dtype=torch.float64)
    return values.to(dtype).requires_grad_()


def statistics(maps: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean, 1 / deviation and unbiased variance of maps (G, B, H, W, C)."""
    axes = (1, 2, 3)
    return maps.mean(axes), (maps.var(axes, unbiased=False) + EPSILON).rsqrt(), maps.var(axes)


def normalised(maps: Tensor) -> Tensor:
    mean, inverse, _ = statistics(maps)
    return (maps - mean[:, None, None, None]) * inverse[:, None, None, None]


def plainly(sources: Sequence[Tensor], depthwise: Tensor, pointwise: Tensor, shape: Any) -> Tensor:
    """The same convolutions, of maps (B, H, W, C) of each operation, by torch's: (G, B, H, W, C)."""
    answers = []
    for maps, kernels, matrices in zip(sources, depthwise, pointwise, strict=True):
        padding = shape.dilation * (shape.size // 2)
        images = functional.relu(maps.permute(0, 3, 1, 2))
        images = functional.conv2d(images, kernels, None, shape.stride, padding, shape.dilation, len(kernels))
        answers.append(functional.conv2d(images, matrices).permute(0, 2, 3, 1))
    return torch.stack(answers)


def assert_derivatives(ours: Tensor, right: Tensor, values: Sequence[Tensor], seed: int) -> None:
    upstream = drawn(*right.shape, seed=seed).detach()
    found = torch.autograd.grad(ours, values, upstream, retain_graph=True)
    for number, (one, other) in enumerate(zip(found, torch.autograd.grad(right, values, upstream), strict=True)):
        assert_close(f"derivative {number}", one, other)


@st.composite
def convolutions(draw: st.DrawFn) -> dict[str, Any]:
    size = st.sampled_from([1, 2, 3, 6, 9])
    return {
        "batch": draw(st.integers(2, 3)),
        "height": draw(size),
        "width": draw(size),
        "channels": draw(st.sampled_from([1, 5, 16, 17])),
        "seeds": draw(st.integers(1, 2)),
        "edges": draw(st.integers(1, 2)),
        "size": draw(st.sampled_from([3, 5])),
        "dilation": draw(st.integers(1, 2)),
        "stride": draw(st.integers(1, 2)),
    }


LARGE = {"batch": 3, "height": 8, "width": 8, "channels": 16, "seeds": 1, "edges": 1}  # several tiles


@pytest.mark.usefixtures("interpreted")
@settings(max_examples=6, deadline=None)
@given(convolutions(), st.integers(0, 1000))
def test_convolutions_of_a_state(case: dict[str, Any], seed: int) -> None:
    assert_of_a_state(case, seed)


@pytest.mark.usefixtures("interpreted")
@pytest.mark.parametrize(("size", "dilation", "stride"), [(3, 1, 1), (5, 2, 2)])
def test_convolutions_of_several_tiles(size: int, dilation: int, stride: int) -> None:
    assert_of_a_state(LARGE | {"size": size, "dilation": dilation, "stride": stride}, 0)


def assert_of_a_state(case: dict[str, Any], seed: int) -> None:
    from dropnas.search.triton.fused import Shape, convolved

    batch, height, width, channels, seeds, edges, *rest = case.values()
    shape, groups = Shape(seeds, *rest, EPSILON), seeds * edges
    maps = drawn(batch, height, width, seeds * channels, seed=seed)
    weights = [
        drawn(groups, channels, 1, shape.size, shape.size, seed=seed + 1),
        drawn(groups, channels, channels, 1, 1, seed=seed + 2),
    ]
    ours = convolved(maps, None, *weights, shape)
    sources = [maps.chunk(seeds, dim=-1)[group % seeds] for group in range(groups)]
    right = plainly(sources, *weights, shape)
    assert_close("maps", ours.maps, right)
    if right[0].numel() > channels * batch:  # a map of one pixel has tiny deviations, whose inverse tells rounding
        for found, expected in zip(ours[1:], statistics(right), strict=True):
            assert_close("statistics", found, expected)
    assert_derivatives(ours.maps, right, [maps, *weights], seed + 3)


@pytest.mark.usefixtures("interpreted")
@pytest.mark.parametrize(("size", "channels", "side"), [(3, 16, 8), (5, 5, 3)])
def test_a_second_convolution_reads_normalised_maps(size: int, channels: int, side: int) -> None:
    from dropnas.search.triton.fused import Answer, Shape, convolved

    groups, shape = 2, Shape(2, size, 1, 1, EPSILON)
    maps = drawn(groups, 3, side, side, channels, seed=0)
    weights = [drawn(groups, channels, 1, size, size, seed=1), drawn(groups, channels, channels, 1, 1, seed=2)]
    before = Answer(maps, *(value.detach() for value in statistics(maps)))
    ours = convolved(maps, before, *weights, shape)
    right = plainly(normalised(maps), *weights, shape)
    assert_close("maps", ours.maps, right)
    assert_derivatives(ours.maps, right, [maps, *weights], 3)


@pytest.mark.usefixtures("interpreted")
@pytest.mark.parametrize(("kinds", "seeds", "edges", "channels"), [(4, 2, 2, 5), (1, 1, 3, 16)])
def test_mixtures(kinds: int, seeds: int, edges: int, channels: int) -> None:
    from dropnas.search.triton.fused import Answer, mixed

    maps = [drawn(seeds * edges, 3, 5, 4, channels, seed=kind) for kind in range(kinds)]
    weights = drawn(kinds, seeds * edges, seed=9)
    answers = [Answer(each, *(value.detach() for value in statistics(each))) for each in maps]
    ours = mixed(answers, weights, seeds)
    total = sum(
        weight[:, None, None, None, None] * normalised(each) for weight, each in zip(weights, maps, strict=True)
    )
    assert isinstance(total, Tensor)
    right = [torch.cat(list(total[edge * seeds :][:seeds]), dim=-1) for edge in range(edges)]
    assert len(ours) == edges
    assert_close("maps", torch.stack(ours), torch.stack(right))
    assert_derivatives(torch.stack(ours), torch.stack(right), [*maps, weights], 10)


def passed(
    supernets: Sequence[FastSupernet], space: SearchSpace, kept: Tensor, side: int, batch: int, fused: bool
) -> tuple[Tensor, Tensor]:
    """Logits and mixing weights, with gradients, of a pass of supernets together, where they are."""
    device, dtype = supernets[0].classifier.weight.device, supernets[0].classifier.weight.dtype
    alphas = [alphas_of(space, seed) for seed in range(len(kept))]
    rows = torch.stack([kept_rows(*each, supernets[0].kinds) for each in zip(alphas, kept, strict=True)])
    rows = rows.to(device, dtype).detach().requires_grad_()
    images = torch.stack([images_of(side, seed, batch) for seed in range(len(kept))]).to(device, dtype)
    labels = torch.stack([labels_of(seed, batch) for seed in range(len(kept))]).to(device)
    logits = SupernetsTogether(supernets, fused).mix(images, rows, kept.to(device))
    functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="sum").div(batch).backward()
    return logits, rows


@pytest.mark.usefixtures("interpreted")
def test_a_cell_is_the_plain_one() -> None:
    """All as on a GPU: stride 2 and 1, odd maps, dropped operations, an edge by itself, two seeds."""
    kept = torch.stack([masks_of(SMALL, 0.4, seed, cells=1) for seed in range(2)])
    supernets = [make(FastSupernet, SMALL, seed, cells=1) for seed in range(2)]
    with way_of_a_gpu():
        logits, _ = passed(supernets, SMALL, kept, 3, 2, fused=True)
    for seed, ours in enumerate(supernets):
        plain, alphas = make(Supernet, SMALL, seed, cells=1), alphas_of(SMALL, seed)
        expected = plain.mix(images_of(3, seed, 2), alphas, kept[seed])
        functional.cross_entropy(expected, labels_of(seed, 2)).backward()
        assert_close("logits", logits[seed], expected)
        assert_same_modules(ours, plain)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize(("dtype", "agreement"), [(torch.float64, 1e-9), (torch.float32, 1e-4), (torch.bfloat16, 0.3)])
def test_passes_agree_on_a_gpu(dtype: torch.dtype, agreement: float) -> None:
    """Of each tensor, by its norm."""
    kept = torch.stack([masks_of(ORIGINAL, 0.3, seed) for seed in range(2)])
    found = []
    wide = torch.float64 if dtype == torch.float64 else torch.float32
    for device, fused, of in (("cuda", True, wide), ("cpu", False, torch.float64)):
        supernets = [make(FastSupernet, ORIGINAL, seed, channels=16).to(device, of) for seed in range(2)]
        with torch.autocast(device, torch.bfloat16, enabled=fused and dtype == torch.bfloat16):
            logits, rows = passed(supernets, ORIGINAL, kept, 16, 16, fused)
        gradients = [weight.grad for supernet in supernets for weight in supernet.parameters()]
        together = torch.cat([each.flatten() for each in gradients if each is not None])
        found.append([value.detach().double().cpu() for value in (logits, rows.grad, together) if value is not None])
    for ours, right in zip(*found, strict=True):
        assert (ours - right).norm() <= agreement * right.norm()
