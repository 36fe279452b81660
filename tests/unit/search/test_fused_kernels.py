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
from dropnas.search.engine import layout
from dropnas.search.engine.engine import Engine
from dropnas.search.supernet import Supernet
from dropnas.search.triton.backend import add_edges
from dropnas.space.spaces import SearchSpace
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

pytest.importorskip("triton")
EPSILON = 1e-5
Layers = tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]  # depthwise and pointwise weights of both stages
SMALL = SearchSpace("small", ("dil_conv_3x3", "sep_conv_3x3"), ("none", "skip_connect"))


def forget_triton() -> dict[str, Any]:
    """Import the package and its users again, except its compiled part; return the imported modules."""
    names = [name for name in sys.modules if name.partition(".")[0] == "triton" and not name.startswith("triton._C")]
    for name in ("kernels", "mixing", "fused"):
        vars(backend).pop(name, None)  # otherwise `from dropnas.search.triton import kernels` finds the old one
        names += [each for each in [f"{backend.__name__}.{name}"] if each in sys.modules]
    return {name: sys.modules.pop(name) for name in names}


@pytest.fixture(scope="module")
def interpreted() -> Iterator[None]:
    """The kernels as Triton's interpreter runs them, on a CPU; this is decided when Triton is imported."""
    before = forget_triton()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRITON_INTERPRET", "1")
        from triton.runtime import interpreter

        options = interpreter.InterpreterOptions(sanitize_overflow=False)  # the check takes half of its time
        patch.setattr(interpreter.interpreter_builder, "options", options)
        patch.setattr(interpreter.InterpretedFunction, "__call__", called(interpreter.InterpretedFunction.__call__))
        yield
    forget_triton()
    sys.modules.update(before)


def called(as_ever: Any) -> Any:
    """Call functions inside kernels without preparing the language again, because the launch has done so."""

    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        ours = self.fn.__module__.startswith(backend.__name__)
        return self.rewrite()(*args, **kwargs) if ours else as_ever(self, *args, **kwargs)

    return call


def drawn(*shape: int, seed: int, dtype: torch.dtype = torch.float64) -> Tensor:
    values = torch.randn(*shape, generator=generator(seed, "values"), dtype=torch.float64)
    return values.to(dtype).requires_grad_()


def plainly(state: Tensor, weights: Tensor, layers: Sequence[Layers], shared: Tensor, leaving: Any) -> list[Tensor]:
    """The outputs of the edges from a state, (B, H, W, K * C), by torch's operations."""
    seeds, images = leaving.seeds, state.permute(0, 3, 1, 2).chunk(leaving.seeds, dim=1)
    others = shared.permute(0, 1, 4, 2, 3).chunk(seeds, dim=2)
    return [
        torch.cat(
            [
                one_edge(
                    images[seed], weights[:, edge * seeds + seed], layers, others[seed], leaving, edge * seeds + seed
                )
                for seed in range(seeds)
            ],
            dim=1,
        ).permute(0, 2, 3, 1)
        for edge in range(leaving.edges)
    ]


def one_edge(
    images: Tensor, weights: Tensor, layers: Sequence[Layers], shared: Tensor, leaving: Any, group: int
) -> Tensor:
    terms = []
    for kind, (first, second) in zip(leaving.kinds, layers, strict=True):
        answer = normalised(convolved(images, *(each[group] for each in first), leaving.stride, kind.dilation))
        if kind.separable:
            answer = normalised(convolved(answer, *(each[group] for each in second), 1, 1))
        terms.append(answer)
    return torch.einsum("o,obchw->bchw", weights, torch.cat([torch.stack(terms), shared]))


def convolved(images: Tensor, depthwise: Tensor, pointwise: Tensor, stride: int, dilation: int) -> Tensor:
    padding = dilation * (depthwise.shape[-1] // 2)
    images = functional.conv2d(images.relu(), depthwise, None, stride, padding, dilation, len(depthwise))
    return functional.conv2d(images, pointwise[..., None, None])


def normalised(images: Tensor) -> Tensor:
    return functional.batch_norm(images, None, None, None, None, True, 0.1, EPSILON)


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    size, stride = st.sampled_from([2, 3, 6]), draw(st.integers(1, 2))
    kind = st.sampled_from([(3, 2, False), (5, 2, False), (3, 1, True), (5, 1, True)])
    return {
        "batch": draw(st.integers(2, 3)),
        "height": draw(size),
        "width": draw(size),
        "channels": draw(st.sampled_from([1, 5, 16, 17])),
        "seeds": draw(st.integers(1, 2)),
        "edges": draw(st.integers(1, 2)),
        "stride": stride,
        "kinds": draw(
            st.lists(kind, min_size=1, max_size=2).map(lambda kinds: sorted(kinds, key=lambda kind: kind[2]))
        ),
        "shares": draw(st.integers(0, 2)),
    }


ALL = {
    **{"batch": 2, "height": 4, "width": 3, "channels": 3, "seeds": 2, "edges": 2, "stride": 1},
    **{"kinds": [(3, 2, False), (5, 1, True)], "shares": 2},
}
REDUCED = ALL | {"height": 5, "seeds": 1, "edges": 2, "stride": 2}
TILES = {
    **{"batch": 3, "height": 8, "width": 8, "channels": 16, "seeds": 1, "edges": 1, "stride": 1},
    **{"kinds": [(3, 1, True)], "shares": 1},
}


@pytest.mark.usefixtures("interpreted")
@settings(max_examples=3, deadline=None)
@given(cases(), st.integers(0, 1000))
def test_edges_from_a_state_agree_for_several_seeds(case: dict[str, Any], seed: int) -> None:
    assert_of_a_state(case, seed)


@pytest.mark.usefixtures("interpreted")
@pytest.mark.parametrize("case", [ALL, REDUCED, TILES], ids=["all", "reduced", "tiles"])
def test_edges_from_a_state_agree_for_all_operations(case: dict[str, Any]) -> None:
    assert_of_a_state(case, 0)


@pytest.mark.usefixtures("interpreted")
@pytest.mark.parametrize(("dtype", "agreement"), [(torch.float32, 2**-17), (torch.float16, 2**-10)])
def test_shorter_types_keep_their_precision(dtype: torch.dtype, agreement: float) -> None:
    """A single TF32 product would be wrong by 2**-11; float16 stands for bfloat16, which the interpreter lacks."""
    from dropnas.search.triton.fused import ConvolutionKind, LeavingConvolutions, mixed

    leaving = LeavingConvolutions(1, 1, 1, (ConvolutionKind(3, 2, False),), EPSILON)
    drawings = [
        drawn(2, 4, 4, 3, seed=0),
        drawn(3 * (9 + 3), seed=1),
        drawn(2, 2, 4, 4, 3, seed=4),
        drawn(3, 1, seed=2),
        drawn(1, 2, 4, 4, 3, seed=3),
    ]
    found = []
    for of_maps, wide in ((dtype, torch.float32), (torch.float64, torch.float64)):
        state, joined, shared, weights, upstream = (each.detach().half().to(wide).requires_grad_() for each in drawings)
        state, shared = (each.detach().to(of_maps).requires_grad_() for each in (state, shared))
        maps = mixed(state, [joined, joined.new_zeros(0)], shared, weights, leaving).maps
        values = [state, joined, shared, weights]
        found.append([maps, *torch.autograd.grad(maps, values, upstream.detach().to(of_maps))])
    for short, double in zip(*found, strict=True):
        assert (short - double).norm() < agreement * double.norm()


def assert_of_a_state(case: dict[str, Any], seed: int) -> None:
    from dropnas.search.triton.fused import ConvolutionKind, LeavingConvolutions, mixed

    kinds = tuple(ConvolutionKind(*kind) for kind in case["kinds"])
    seeds, edges, stride, channels = (case[name] for name in ("seeds", "edges", "stride", "channels"))
    leaving = LeavingConvolutions(seeds, edges, stride, kinds, EPSILON)
    height, width = case["height"], case["width"]
    state = drawn(case["batch"], height, width, seeds * channels, seed=seed)
    layers = [layers_of(kind, seeds * edges, channels, seed + number) for number, kind in enumerate(kinds)]
    weights = drawn(len(kinds) + case["shares"], seeds * edges, seed=seed + 2)
    shape = (case["batch"], -(-height // stride), -(-width // stride), seeds * channels)
    shared = drawn(case["shares"], *shape, seed=seed + 4)
    order = sorted(range(len(kinds)), key=lambda number: not kinds[number].separable)
    stages = [
        [layers[number][stage] for number in order if stage == 0 or kinds[number].separable] for stage in range(2)
    ]
    joined = [torch.cat([state.new_zeros(0), *(each.flatten() for pair in stage for each in pair)]) for stage in stages]
    ours = mixed(state, joined, shared, weights, leaving).maps
    right = torch.stack(plainly(state, weights, layers, shared, leaving))
    assert_close("maps", ours, right)
    values = [
        state,
        *([shared] if len(shared) else []),
        weights,
        *(each for stage in stages for pair in stage for each in pair),
    ]
    assert_derivatives(ours, right, values, seed + 3)


def layers_of(kind: Any, groups: int, channels: int, seed: int) -> Layers:
    """Depthwise and pointwise weights of both stages."""
    shapes = (groups, channels, 1, kind.size, kind.size), (groups, channels, channels)
    first, second, third, fourth = (drawn(*shape, seed=seed + 10 * number) for number, shape in enumerate(shapes * 2))
    return (first, second), (third, fourth)


def assert_derivatives(ours: Tensor, right: Tensor, values: Sequence[Tensor], seed: int) -> None:
    upstream = drawn(*right.shape, seed=seed).detach()
    found = torch.autograd.grad(ours, values, upstream, retain_graph=True)
    for number, (one, other) in enumerate(zip(found, torch.autograd.grad(right, values, upstream), strict=True)):
        assert_close(f"derivative {number}", one, other, floor=1e-3)


def passed(
    supernets: Sequence[Supernet], space: SearchSpace, kept: Tensor, side: int, batch: int
) -> tuple[Tensor, Tensor]:
    """The logits and mixing weights, with gradients, of a pass through a group of supernets."""
    device, dtype = supernets[0].classifier.weight.device, supernets[0].classifier.weight.dtype
    alphas = [alphas_of(space, seed) for seed in range(len(kept))]
    rows = torch.stack([kept_rows(*each, supernets[0].kinds) for each in zip(alphas, kept, strict=True)])
    rows = rows.to(device, dtype).detach().requires_grad_()
    images = torch.stack([images_of(side, seed, batch) for seed in range(len(kept))]).to(device, dtype)
    labels = torch.stack([labels_of(seed, batch) for seed in range(len(kept))]).to(device)
    logits = Engine(supernets, static=True, backend=add_edges).mix(images, rows, kept.to(device))
    functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="sum").div(batch).backward()
    return logits, rows


@pytest.mark.usefixtures("interpreted")
def test_a_cell_is_the_plain_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything as on a GPU: strides 2 and 1, odd maps, dropped operations, a single edge, two seeds."""
    kept = torch.stack([masks_of(SMALL, 0.4, seed, cells=1) for seed in range(2)])
    supernets = [make(SMALL, seed, cells=1) for seed in range(2)]
    monkeypatch.setattr(layout, "on_cpu", lambda maps: False)
    logits, _ = passed(supernets, SMALL, kept, 3, 2)
    monkeypatch.undo()
    for seed, ours in enumerate(supernets):
        plain, alphas = make(SMALL, seed, cells=1), alphas_of(SMALL, seed)
        expected = plain.mix(images_of(3, seed, 2), alphas, kept[seed])
        functional.cross_entropy(expected, labels_of(seed, 2)).backward()
        assert_close("logits", logits[seed], expected)
        assert_same_modules(ours, plain)
