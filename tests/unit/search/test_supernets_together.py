"""K supernets as groups of one network against K plain ones, and that no mask changes what is computed."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from dropnas.search.architecture import Alphas, kept_rows
from dropnas.search.engine import edges as fast_edges
from dropnas.search.engine.supernet import FastSupernet
from dropnas.search.engine.together import SupernetsTogether
from dropnas.search.supernet import Supernet
from dropnas.space.spaces import ORIGINAL, SPACES, SearchSpace
from dropnas.training.initialisation import initialise
from dropnas.training.seeding import generator
from tests.unit.search.made_supernets import (
    BATCH,
    CELLS,
    CLASSES,
    alphas_of,
    assert_close,
    assert_same_modules,
    images_of,
    labels_of,
    make,
    masks_of,
)

SEEDS = 3
LARGE, SMALL = 0, 2**16  # values up to which operations are computed side by side


def passed_together(
    supernets: Sequence[FastSupernet], alphas: Sequence[Alphas], kept: Tensor, side: int
) -> tuple[Tensor, Tensor]:
    """Logits and the gradient of the rows, after a pass forward and backward."""
    rows = torch.stack([kept_rows(a, k, supernets[0].kinds) for a, k in zip(alphas, kept, strict=True)])
    rows.retain_grad()
    images = torch.stack([images_of(side, seed) for seed in range(len(supernets))])
    logits = SupernetsTogether(supernets).mix(images, rows, kept)
    labels = torch.stack([labels_of(seed) for seed in range(len(supernets))])
    functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="sum").div(BATCH).backward()
    assert rows.grad is not None
    return logits, rows.grad


def assert_as_plain(space: SearchSpace, kept: Tensor, side: int) -> None:
    """All that a pass gives each seed is what its own plain supernet gives."""
    count = len(kept)
    supernets = [make(FastSupernet, space, seed) for seed in range(count)]
    ours = [alphas_of(space, seed) for seed in range(count)]
    logits, of_rows = passed_together(supernets, ours, kept, side)
    assert (of_rows[~kept] == 0).all()
    for seed in range(count):
        plain, alphas = make(Supernet, space, seed), alphas_of(space, seed)
        expected = plain.mix(images_of(side, seed), alphas, kept[seed])
        functional.cross_entropy(expected, labels_of(seed)).backward()
        assert_close("logits", logits[seed], expected)
        for found, right in zip(ours[seed], alphas, strict=True):
            assert found.grad is not None and right.grad is not None
            assert_close("alphas", found.grad, right.grad)
        assert_same_modules(supernets[seed], plain)


@st.composite
def masks(draw: st.DrawFn) -> tuple[SearchSpace, Tensor]:
    space = SPACES[draw(st.sampled_from(sorted(SPACES)))]
    count, seed = draw(st.sampled_from([1, 2, SEEDS])), draw(st.integers(0, 2**31))
    probability = draw(st.sampled_from([0.0, 0.3, 0.875]))
    return space, torch.stack([masks_of(space, probability, seed + number) for number in range(count)])


@settings(max_examples=12, deadline=None)
@given(masks(), st.sampled_from([4, 7, 8]), st.sampled_from([LARGE, SMALL]))
def test_each_seed_has_the_numbers_of_its_plain_supernet(
    drawn: tuple[SearchSpace, Tensor], side: int, side_by_side: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fast_edges, "SIDE_BY_SIDE", side_by_side)
        assert_as_plain(*drawn, side)


@pytest.mark.parametrize("name", sorted(SPACES))
@pytest.mark.parametrize("side", [7, 8])
def test_three_seeds_of_each_space(name: str, side: int) -> None:
    space = SPACES[name]
    assert_as_plain(space, torch.stack([masks_of(space, 0.4, seed) for seed in range(SEEDS)]), side)


def test_only_zeros_kept_on_all_edges_of_a_node() -> None:
    kept = torch.ones(2, CELLS, 14, 8, dtype=torch.bool)
    kept[1, :, :2, :7] = False
    assert_as_plain(ORIGINAL, kept, 8)


class Operators(TorchDispatchMode):
    """Writes down what torch computes: the operators with the shapes that they work on."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, tuple[Any, ...]]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        shapes = tuple(tuple(arg.shape) if isinstance(arg, Tensor) else None for arg in args)
        self.seen.append((str(func), shapes))
        assert "device" not in (kwargs or {}) or "copy" not in str(func)
        return func(*args, **(kwargs or {}))


WAITING = ("_local_scalar_dense", "nonzero", "item", "is_nonzero", "lift_fresh", "masked_select", "unique", "equal")


def operators(kept: Tensor, side: int) -> list[tuple[str, tuple[Any, ...]]]:
    supernets = [make(FastSupernet, ORIGINAL, seed) for seed in range(len(kept))]
    together, rows = SupernetsTogether(supernets), torch.rand(kept.shape, dtype=torch.float64, requires_grad=True)
    images = torch.stack([images_of(side, seed) for seed in range(len(kept))])
    parameters = [weight for supernet in supernets for weight in supernet.parameters()]
    with Operators() as noted:
        logits = together.mix(images, rows, kept)
        torch.autograd.grad(logits.logsumexp(-1).sum(), [rows, *parameters])
    return noted.seen


@pytest.mark.parametrize("side", [7, 8])
def test_what_is_computed_does_not_depend_on_the_masks(side: int) -> None:
    operators(torch.ones(2, CELLS, 14, 8, dtype=torch.bool), side)  # makes what is made once
    first, second = (
        operators(torch.stack([masks_of(ORIGINAL, p, seed) for seed in range(2)]), side) for p in (0.1, 0.8)
    )
    assert first == second
    names = {name.removeprefix("aten.").partition(".")[0] for name, _ in first}
    assert "bmm" in names and not names & set(WAITING)


def single(side: int, seeds: Sequence[int], channels: int) -> dict[int, list[Tensor]]:
    """What a pass in single precision gives each of some seeds: logits, gradients, statistics."""
    supernets = [FastSupernet(ORIGINAL, channels, CELLS, CLASSES) for _ in seeds]
    for seed, supernet in zip(seeds, supernets, strict=True):
        initialise(supernet, generator(seed, "weights"))
    alphas = [Alphas(*(alpha.detach().float() for alpha in alphas_of(ORIGINAL, seed))) for seed in seeds]
    kept = torch.stack([masks_of(ORIGINAL, 0.3, seed) for seed in seeds])
    rows = torch.stack([kept_rows(*each, supernets[0].kinds) for each in zip(alphas, kept, strict=True)])
    images = torch.stack([images_of(side, seed).float().repeat(4, 1, 1, 1) for seed in seeds])
    logits = SupernetsTogether(supernets).mix(images, rows.requires_grad_(), kept)
    logits.logsumexp(-1).sum().backward()
    assert rows.grad is not None
    found = {}
    for number, (seed, supernet) in enumerate(zip(seeds, supernets, strict=True)):
        gradients = [weight.grad for weight in supernet.parameters() if weight.grad is not None]
        found[seed] = [logits[number], rows.grad[number], *gradients, *supernet.buffers()]
    return found


@pytest.mark.parametrize("channels", [16, 32])
def test_the_bits_of_a_seed_do_not_depend_on_its_neighbours(channels: int) -> None:
    alone = single(16, [0], channels)[0]
    for seeds in ([0, 1], [2, 0], [3, 4, 0]):
        assert all(map(torch.equal, alone, single(16, seeds, channels)[0])), seeds


def gradients(kind: type[Supernet], seed: int, dtype: torch.dtype, is_short: bool) -> dict[str, Tensor]:
    """Logits and gradients of a pass, autocast to bfloat16 if `is_short`."""
    supernet, alphas = make(kind, ORIGINAL, seed).to(dtype), alphas_of(ORIGINAL, seed)
    alphas = Alphas(*(alpha.detach().to(dtype).requires_grad_() for alpha in alphas))
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=is_short):
        logits = supernet.mix(images_of(8, seed).to(dtype), alphas, masks_of(ORIGINAL, 0.1, seed))
        loss = functional.cross_entropy(logits, labels_of(seed))
    loss.backward()
    weights = [weight.grad for weight in supernet.parameters() if weight.grad is not None]
    assert {weight.dtype for weight in weights} == {dtype}
    assert all(value.dtype in (dtype, torch.int64) for value in supernet.buffers())
    found = {"logits": [logits], "weights": weights, "alphas": [alpha.grad for alpha in alphas]}
    return {name: torch.cat([value.detach().double().flatten() for value in values]) for name, values in found.items()}


def test_bfloat16_rounds_no_more_than_in_the_plain_one() -> None:
    errors: dict[tuple[str, str], float] = {}
    for seed in range(5):
        exact = gradients(Supernet, seed, torch.float64, False)
        for kind in (FastSupernet, Supernet):
            found = gradients(kind, seed, torch.float32, True)
            for name, right in exact.items():
                error = float((found[name] - right).norm() / right.norm())
                errors[kind.__name__, name] = errors.get((kind.__name__, name), 0.0) + error / 5
    for name in exact:
        assert errors["FastSupernet", name] < 1.3 * errors["Supernet", name], errors
