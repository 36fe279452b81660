"""The engine against the plain supernet in double precision, for any masks and any number of seeds."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from dropnas.errors import DropnasError
from dropnas.search.architecture import Alphas, kept_rows
from dropnas.search.engine import pointwise
from dropnas.search.engine.engine import Engine
from dropnas.search.supernet import Supernet
from dropnas.space.operations import ReLUConvBN
from dropnas.space.spaces import ORIGINAL, SPACES, SearchSpace
from dropnas.training.initialisation import initialise
from dropnas.training.seeding import generator
from tests.unit.search.made_supernets import (
    BATCH,
    CELLS,
    CLASSES,
    Sides,
    alphas_of,
    assert_close,
    assert_same_modules,
    images_of,
    labels_of,
    make,
    masks_of,
)

SEEDS = 3


def own_pointwise(channels: int, stride: int, affine: bool, pool_norm: bool) -> nn.Module:
    """An operation as in a user's package."""
    return ReLUConvBN(channels, channels, 1, stride, 0, affine)


USERS = SearchSpace("users", ("sep_conv_3x3", f"{__name__}:own_pointwise"), ("none", "skip_connect", "max_pool_3x3"))


def passed(supernets: Sequence[Supernet], mixing: Tensor, kept: Tensor | None, side: Sides, static: bool) -> Tensor:
    """Run a forward and a backward pass; return the logits."""
    images = torch.stack([images_of(side, seed) for seed in range(len(supernets))])
    logits = Engine(supernets, static).mix(images, mixing, kept)
    labels = torch.stack([labels_of(seed) for seed in range(len(supernets))])
    functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="sum").div(BATCH).backward()
    return logits


def assert_as_plain(space: SearchSpace, kept: Tensor, side: Sides, static: bool) -> None:
    """All results of a pass for each seed equal those of its own plain supernet."""
    supernets = [make(space, seed) for seed in range(len(kept))]
    ours = [alphas_of(space, seed) for seed in range(len(kept))]
    mixing = torch.stack([kept_rows(a, k, supernets[0].kinds) for a, k in zip(ours, kept, strict=True)])
    mixing.retain_grad()
    logits = passed(supernets, mixing, kept, side, static)
    assert mixing.grad is not None and (mixing.grad[~kept] == 0).all()
    for seed, supernet in enumerate(supernets):
        plain, alphas = make(space, seed), alphas_of(space, seed)
        expected = plain.mix(images_of(side, seed), alphas, kept[seed])
        functional.cross_entropy(expected, labels_of(seed)).backward()  # type: ignore[no-untyped-call]
        assert_close("logits", logits[seed], expected)
        for found, right in zip(ours[seed], alphas, strict=True):
            assert found.grad is not None and right.grad is not None
            assert_close("alphas", found.grad, right.grad)
        assert_same_modules(supernet, plain)


@st.composite
def masks(draw: st.DrawFn) -> tuple[SearchSpace, Tensor]:
    space = draw(st.sampled_from([*SPACES.values(), USERS]))
    count, seed = draw(st.sampled_from([1, 2, SEEDS])), draw(st.integers(0, 2**31))
    probability = draw(st.sampled_from([0.0, 0.3, 0.875]))
    return space, torch.stack([masks_of(space, probability, seed + number) for number in range(count)])


@settings(max_examples=8, deadline=None)
@given(masks(), st.sampled_from([4, 7, (8, 6), (6, 7)]), st.sampled_from([0, 8]), st.booleans())
def test_each_seed_has_the_numbers_of_its_plain_supernet(
    drawn: tuple[SearchSpace, Tensor], side: Sides, narrow: int, static: bool
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pointwise, "NARROWEST_PRODUCT", narrow)
        assert_as_plain(*drawn, side, static)


TWO_SKIPS = SearchSpace("two skips", ("sep_conv_3x3",), ("max_pool_3x3", "skip_connect", "skip_connect", "none"))


@pytest.mark.parametrize("static", [False, True])
@pytest.mark.parametrize("space", [*SPACES.values(), USERS, TWO_SKIPS], ids=lambda space: space.name)
def test_two_seeds_of_each_space(space: SearchSpace, static: bool) -> None:
    assert_as_plain(space, torch.stack([masks_of(space, 0.4, seed) for seed in range(2)]), (7, 8), static)


@pytest.mark.parametrize("static", [False, True])
def test_only_zeros_kept_on_all_edges_of_a_node(static: bool) -> None:
    kept = torch.ones(2, CELLS, 14, 8, dtype=torch.bool)
    kept[:, :, :2, :7] = False
    assert_as_plain(ORIGINAL, kept, 8, static)


def test_what_is_no_candidate_is_not_computed_nor_given_to_a_backend() -> None:
    """If they were computed with weight 0, the NaN weights here would make the sums NaN."""
    kept = torch.rand(2, CELLS, 14, 8, generator=generator(0, "masks")) < 0.5
    kept[..., 0] = True
    supernets, mixing = [make(ORIGINAL, seed) for seed in range(2)], torch.rand(kept.shape, dtype=torch.float64)
    images = torch.stack([images_of(8, seed) for seed in range(2)])
    expected = Engine(supernets, static=True).mix(images, mixing, kept)
    left = kept.any(dim=0)
    for supernet in supernets:
        for keeps, (_, operation) in zip(left.flatten().tolist(), supernet.operations(), strict=True):
            for weight in operation.parameters() if not keeps else ():
                weight.data.fill_(torch.nan)

    def backend(*arguments: Any) -> None:
        raise AssertionError("some states lack an operation")

    engine = Engine(supernets, static=True, backend=backend)
    engine.candidates = left.tolist()
    assert torch.allclose(engine.mix(images, mixing, kept), expected)


def test_without_masks_everything_takes_part() -> None:
    kept = torch.ones(1, CELLS, 14, 8, dtype=torch.bool)
    mixing = torch.rand(kept.shape, dtype=torch.float64)
    found = []
    for mask in (kept, None):
        supernet = make(ORIGINAL, 0)
        found.append([passed([supernet], mixing.clone().requires_grad_(), mask, 8, False), *supernet.buffers()])
    assert all(map(torch.equal, *found))


@pytest.mark.parametrize("space", [ORIGINAL, USERS], ids=lambda space: space.name)
def test_running_statistics_can_stay(space: SearchSpace) -> None:
    supernet = make(space, 0)
    before = [value.clone() for value in supernet.buffers()]
    mixing = torch.rand(1, CELLS, 14, len(space.operations), dtype=torch.float64)
    Engine([supernet], static=False).mix(images_of(8, 0)[None], mixing, update_statistics=False)
    assert all(map(torch.equal, before, supernet.buffers()))


class Operators(TorchDispatchMode):
    """Records torch's operators with the shapes of their arguments."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, tuple[Any, ...]]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        shapes = tuple(tuple(arg.shape) if isinstance(arg, Tensor) else None for arg in args)
        self.seen.append((str(func), shapes))
        return func(*args, **(kwargs or {}))


READ_BACKS = {"_local_scalar_dense", "nonzero", "is_nonzero", "lift_fresh", "masked_select", "_unique2", "equal"}


def operators(kept: Tensor, space: SearchSpace) -> list[tuple[str, tuple[Any, ...]]]:
    supernets = [make(space, seed) for seed in range(len(kept))]
    engine, mixing = Engine(supernets, static=True), torch.rand(kept.shape, dtype=torch.float64, requires_grad=True)
    images = torch.stack([images_of(8, seed) for seed in range(len(kept))])
    parameters = [weight for supernet in supernets for weight in supernet.parameters()]
    with Operators() as noted:
        logits = engine.mix(images, mixing, kept)
        torch.autograd.grad(logits.logsumexp(-1).sum(), [mixing, *parameters])
    return noted.seen


@pytest.mark.parametrize("space", [ORIGINAL, USERS], ids=lambda space: space.name)
def test_what_a_static_pass_computes_does_not_depend_on_the_masks(space: SearchSpace) -> None:
    operators(torch.ones(2, CELLS, 14, len(space.operations), dtype=torch.bool), space)  # for the one-time work
    first, second = (operators(torch.stack([masks_of(space, p, seed) for seed in range(2)]), space) for p in (0.1, 0.8))
    assert first == second
    names = {name.removeprefix("aten.").partition(".")[0] for name, _ in first}
    assert "bmm" in names and not names & READ_BACKS


def single(seeds: Sequence[int], channels: int) -> dict[int, list[Tensor]]:
    """The results of a static pass in single precision for each seed: logits, gradients, statistics."""
    supernets = [Supernet(ORIGINAL, channels, CELLS, CLASSES) for _ in seeds]
    for seed, supernet in zip(seeds, supernets, strict=True):
        initialise(supernet, generator(seed, "weights"))
    alphas = [Alphas(*(alpha.detach().float() for alpha in alphas_of(ORIGINAL, seed))) for seed in seeds]
    kept = torch.stack([masks_of(ORIGINAL, 0.3, seed) for seed in seeds])
    mixing = torch.stack([kept_rows(*each, supernets[0].kinds) for each in zip(alphas, kept, strict=True)])
    images = torch.stack([images_of(16, seed).float() for seed in seeds])
    logits = Engine(supernets, static=True).mix(images, mixing.requires_grad_(), kept)
    logits.logsumexp(-1).sum().backward()
    assert mixing.grad is not None
    found = {}
    for number, (seed, supernet) in enumerate(zip(seeds, supernets, strict=True)):
        gradients = [weight.grad for weight in supernet.parameters() if weight.grad is not None]
        found[seed] = [logits[number], mixing.grad[number], *gradients, *supernet.buffers()]
    return found


@pytest.mark.parametrize("channels", [16, 32])
def test_the_bits_of_a_seed_do_not_depend_on_its_group(channels: int) -> None:
    alone = single([0], channels)[0]
    assert all(map(torch.equal, alone, single([3, 4, 0], channels)[0]))


def bfloat16_errors(seed: int, ours: bool) -> dict[str, float]:
    """How far a pass in bfloat16 is from the plain one in double precision, relative to it."""
    found: dict[str, list[Tensor]] = {}
    for dtype, short in ((torch.float64, False), (torch.float32, True)):
        supernet, kept = make(ORIGINAL, seed).to(dtype), masks_of(ORIGINAL, 0.1, seed)
        alphas = Alphas(*(alpha.detach().to(dtype).requires_grad_() for alpha in alphas_of(ORIGINAL, seed)))
        images = images_of(8, seed).to(dtype)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=short):
            if ours:
                mixing = kept_rows(alphas, kept, supernet.kinds)[None]
                logits = Engine([supernet], static=False).mix(images[None], mixing, kept[None])[0]
            else:
                logits = supernet.mix(images, alphas, kept)
            loss = functional.cross_entropy(logits, labels_of(seed))
        gradients = torch.autograd.grad(loss, [*supernet.parameters(), *alphas], materialize_grads=True)
        assert {gradient.dtype for gradient in gradients} == {dtype}
        for name, values in (("logits", [logits]), ("weights", gradients[:-2]), ("alphas", gradients[-2:])):
            found.setdefault(name, []).append(torch.cat([value.detach().double().flatten() for value in values]))
    return {name: float((rounded - exact).norm() / exact.norm()) for name, (exact, rounded) in found.items()}


def test_bfloat16_rounds_no_more_than_in_the_plain_one() -> None:
    ours, plain = ([bfloat16_errors(seed, way) for seed in range(3)] for way in (True, False))
    for name in ("logits", "weights", "alphas"):
        assert sum(each[name] for each in ours) < 1.3 * sum(each[name] for each in plain), name


@pytest.mark.parametrize(
    ("mixing", "kept", "message"),
    [
        ((1, CELLS, 14, 7), None, r"mixing weights \(1, 4, 14, 7\) on cpu; the supernet on cpu needs \(1, 4, 14, 8\)"),
        ((1, CELLS, 14, 8), (1, CELLS, 8), r"masks \(1, 4, 8\)"),
    ],
)
def test_a_wrong_shape_is_one_clear_line(mixing: Any, kept: Any, message: str) -> None:
    engine = Engine([make(ORIGINAL, 0)], static=True)
    with pytest.raises(DropnasError, match=message):
        engine.mix(images_of(8, 0)[None], torch.zeros(mixing), kept and torch.ones(kept, dtype=torch.bool))


def too_wide(channels: int, stride: int, affine: bool, pool_norm: bool) -> nn.Module:
    """An operation that does not keep the number of channels."""
    return ReLUConvBN(channels, 1, 1, stride, 0, affine)


def test_an_operation_of_the_users_with_another_shape_is_one_clear_line() -> None:
    space = SearchSpace("wide", ("sep_conv_3x3", f"{__name__}:too_wide"), ("none", "skip_connect"))
    mixing = torch.ones(1, CELLS, 14, 4, dtype=torch.float64)
    with pytest.raises(DropnasError, match=r"too_wide: gives maps \(4, 1, 8, 8\) for \(4, 3, 8, 8\) at stride 1"):
        Engine([make(space, 0)], static=False).mix(images_of(8, 0)[None], mixing)


def test_masks_on_another_device_are_one_clear_line() -> None:
    kept = torch.ones(1, CELLS, 14, 8, dtype=torch.bool, device="meta")
    with pytest.raises(DropnasError, match=r"masks .* on meta; the supernet on cpu"):
        Engine([make(ORIGINAL, 0)], static=True).mix(images_of(8, 0)[None], torch.zeros(1, CELLS, 14, 8), kept)
