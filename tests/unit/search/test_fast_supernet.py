"""The fast supernet against the plain one, in double precision: logits, gradients, statistics, and whole searches."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dropnas.search.architecture import Alphas, initial_alphas, mixtures
from dropnas.search.config import PRESETS, SearchConfig
from dropnas.search.dropout import drop_groups, sample_masks
from dropnas.search.engine import edges as fast_edges
from dropnas.search.engine.supernet import FastSupernet, is_known
from dropnas.search.stage import supernet_class
from dropnas.search.state import SearchState
from dropnas.search.strategy import GroupedDropout, make_optimisers
from dropnas.search.supernet import Supernet
from dropnas.space.spaces import ORIGINAL, SPACES, SearchSpace
from dropnas.training.initialisation import initialise
from dropnas.training.seeding import generator

CELLS, CHANNELS, CLASSES, BATCH = 4, 3, 5, 4  # two normal cells, two reductions
AGREEMENT = 1e-9  # of each tensor's largest magnitude
OFTEN = {"rate_parameterised": 0.3**4, "rate_non_parameterised": 0.4**4}
STEPS = 20
LARGE, SMALL = 0, 2**16  # values up to which operations are computed side by side


def make(kind: type[Supernet], space: SearchSpace, seed: int = 0) -> Supernet:
    supernet = kind(space, CHANNELS, CELLS, CLASSES)
    initialise(supernet, generator(seed, "weights"))
    return supernet.double()


def new_alphas(space: SearchSpace, seed: int = 0) -> Alphas:
    drawn = initial_alphas(space, 0.5, generator(seed, "alphas"))
    return Alphas(*(alpha.double().requires_grad_() for alpha in drawn))


def images_of(side: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(BATCH, 3, side, side, generator=generator(seed, "images"), dtype=dtype)


def assert_agree(names: Sequence[str], fast: Sequence[Any], plain: Sequence[Any], floor: float = 0.0) -> None:
    for name, ours, theirs in zip(names, fast, plain, strict=True):
        assert (ours is None) == (theirs is None), name
        if theirs is not None:
            ours, theirs = ours.detach().double(), theirs.detach().double()
            limit = AGREEMENT * max(float(theirs.abs().max()), floor)
            assert float((ours - theirs).abs().max()) <= limit, name


def passes(supernet: Supernet, space: SearchSpace, kept: Tensor, side: int) -> tuple[Tensor, Alphas]:
    """A pass forward and backward."""
    alphas = new_alphas(space)
    logits = supernet.mix(images_of(side), alphas, kept)
    torch.nn.functional.cross_entropy(logits, torch.arange(BATCH)).backward()
    return logits, alphas


def assert_same_pass(space: SearchSpace, kept: Tensor, side: int) -> None:
    fast, plain = make(FastSupernet, space), make(Supernet, space)
    our_logits, our_alphas = passes(fast, space, kept, side)
    logits, alphas = passes(plain, space, kept, side)
    assert_agree(["logits"], [our_logits], [logits])
    assert_agree(alphas._fields, [alpha.grad for alpha in our_alphas], [alpha.grad for alpha in alphas])
    weights = dict(plain.named_parameters())
    gradients = [weight.grad for weight in weights.values()]
    floor = 1e-6 * max(float(gradient.abs().max()) for gradient in gradients if gradient is not None)
    assert_agree(list(weights), [weight.grad for weight in fast.parameters()], gradients, floor)
    statistics = dict(plain.named_buffers())  # a mean that should be 0 is 1e-17: of the deviation, which is 1
    assert_agree(list(statistics), list(fast.buffers()), list(statistics.values()), floor=1.0)


@st.composite
def masks(draw: st.DrawFn) -> tuple[SearchSpace, Tensor]:
    space = SPACES[draw(st.sampled_from(sorted(SPACES)))]
    probability = torch.full((len(space.operations),), draw(st.sampled_from([0.0, 0.3, 0.875])), dtype=torch.float64)
    seed = draw(st.integers(0, 2**31))
    return space, sample_masks(CELLS, probability, space.groups, generator(seed, "masks"))


@settings(max_examples=15, deadline=None)
@given(masks(), st.sampled_from([4, 7, 8]), st.sampled_from([LARGE, SMALL]))
def test_passes_agree_for_any_mask(drawn: tuple[SearchSpace, Tensor], side: int, side_by_side: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fast_edges, "SIDE_BY_SIDE", side_by_side)
        assert_same_pass(*drawn, side)


def test_only_zeros_kept_on_all_edges_of_a_node() -> None:
    kept = torch.ones(CELLS, 14, 8, dtype=torch.bool)
    kept[:, :2, :7] = False
    assert_same_pass(ORIGINAL, kept, 8)


def test_a_mixture_given_as_lists_is_the_same() -> None:
    supernet, alphas = make(FastSupernet, ORIGINAL), new_alphas(ORIGINAL)
    kept = sample_masks(CELLS, torch.full((8,), 0.4, dtype=torch.float64), ORIGINAL.groups, generator(3, "masks"))
    lists = supernet(images_of(8), mixtures(alphas, kept, supernet.kinds))
    assert torch.equal(lists, supernet.mix(images_of(8), alphas, kept))


def test_evaluation_is_the_plain_one() -> None:
    fast, plain = make(FastSupernet, ORIGINAL), make(Supernet, ORIGINAL)
    passes(fast, ORIGINAL, torch.ones(CELLS, 14, 8, dtype=torch.bool), 8)
    plain.load_state_dict(fast.state_dict())
    kept, before = torch.ones(CELLS, 14, 8, dtype=torch.bool), [value.clone() for value in fast.buffers()]
    ours, theirs = (net.eval().mix(images_of(8, 1), new_alphas(ORIGINAL), kept) for net in (fast, plain))
    assert torch.equal(ours, theirs)
    assert all(map(torch.equal, before, fast.buffers()))


def test_names_and_order_of_weights_are_the_plain_ones() -> None:
    fast, plain = make(FastSupernet, ORIGINAL), make(Supernet, ORIGINAL)
    assert list(fast.state_dict()) == list(plain.state_dict())
    assert all(map(torch.equal, fast.parameters(), plain.parameters()))


def searched(kind: type[Supernet], space: SearchSpace, options: dict[str, Any], dtype: torch.dtype) -> SearchState:
    """The state after some steps, clipping, momentum, both decays and alpha-adjust at work."""
    config = SearchConfig(cells=CELLS, channels=CHANNELS, gradient_clip=0.5, alpha_learning_rate=0.01)
    supernet = make(kind, space).to(dtype)
    alphas = Alphas(*(alpha.detach().to(dtype).requires_grad_() for alpha in new_alphas(space)))
    sgd, adam = make_optimisers(config, supernet, alphas)
    state = SearchState(supernet, alphas, sgd, adam, generator(0, "masks"), "fp32", "cpu", 0, 1)
    strategy = GroupedDropout(config, space, **options)
    for step in range(STEPS):
        strategy.step(state, images_of(8, step, dtype), torch.arange(BATCH))
    return state


SEARCHES = [("original", vars(options)) for options in PRESETS.values()]
SEARCHES += [("original", OFTEN | {"masks": "per-cell", "dropped": dropped}) for dropped in ("moved", "frozen")]
SEARCHES += [("3-skip", OFTEN), ("1-skip", OFTEN | {"decay": "l2", "decay_scope": "all"})]


@pytest.mark.parametrize(("name", "options"), SEARCHES)
def test_twenty_steps_agree(name: str, options: dict[str, Any]) -> None:
    space = SPACES[name]
    assert drop_groups(GroupedDropout(SearchConfig(), space, **options).options, space)
    ours, theirs = (searched(kind, space, options, torch.float64) for kind in (FastSupernet, Supernet))
    assert_agree(theirs.alphas._fields, ours.alphas, theirs.alphas)
    weights = dict(theirs.supernet.named_parameters())
    assert_agree(list(weights), list(ours.supernet.parameters()), list(weights.values()))
    statistics = dict(theirs.supernet.named_buffers())
    assert_agree(list(statistics), list(ours.supernet.buffers()), list(statistics.values()), floor=1.0)


def test_two_searches_are_bit_identical() -> None:
    first, second = (searched(FastSupernet, ORIGINAL, OFTEN, torch.float32) for _ in range(2))
    assert all(map(torch.equal, first.alphas, second.alphas))
    pairs = zip(first.supernet.state_dict().values(), second.supernet.state_dict().values(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)


def test_single_precision_differs_by_rounding_only() -> None:
    fast, plain = make(FastSupernet, ORIGINAL).float(), make(Supernet, ORIGINAL)
    kept, alphas = torch.ones(CELLS, 14, 8, dtype=torch.bool), new_alphas(ORIGINAL)
    ours = fast.mix(images_of(8).float(), Alphas(*(alpha.float() for alpha in alphas)), kept)
    theirs = plain.mix(images_of(8), alphas, kept)
    assert (ours.double() - theirs).abs().max() < 1e-4 * theirs.abs().max()


OWN = SearchSpace("own", ("sep_conv_3x3", "users_package:Operation"), ("none", "skip_connect"))


@pytest.mark.parametrize(
    ("changes", "space", "is_fast"),
    [
        ({}, ORIGINAL, True),
        ({"supernet": "plain"}, ORIGINAL, False),
        ({}, OWN, False),
        ({"strategy": "darts-second-order"}, ORIGINAL, False),
        ({"precision": "bf16"}, ORIGINAL, True),
        ({"precision": "tf32"}, ORIGINAL, True),
    ],
)
def test_the_plain_one_stands_in_where_the_fast_one_cannot(
    changes: dict[str, Any], space: SearchSpace, is_fast: bool
) -> None:
    config = SearchConfig(**changes)
    assert (supernet_class(config, space) is FastSupernet) == is_fast
    assert is_known(space) == (space is not OWN)
    if space is ORIGINAL:
        assert config.numerics == f"{config.precision}{', fast supernet' if is_fast else ''}"
