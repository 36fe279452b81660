"""Searches trained together against plain searches one by one, in double precision; interruptions and new companies."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from dropnas.data.arrays import ImageArrays
from dropnas.errors import DropnasError
from dropnas.search.config import PRESETS, SearchConfig
from dropnas.search.stage import Search, new_search
from dropnas.search.together import SearchAlone, SearchesTogether, is_static
from dropnas.space.spaces import ORIGINAL, SPACES, SearchSpace
from dropnas.training.seeding import generator

AGREEMENT = 1e-9  # of each tensor's largest magnitude
SEEDS, STEPS, CLASSES = (3, 5, 8), 20, 5
IMAGES, BATCH, SIDE = 31, 4, 8  # eight steps an epoch, the last one of three images
OFTEN = {"rate_parameterised": 0.3**4, "rate_non_parameterised": 0.4**4}  # drops enough to see
CONFIG = SearchConfig(  # both clips are active, decay is large, alphas move quickly
    cells=3,
    channels=2,
    batch_size=BATCH,
    epochs=3,
    gradient_clip=0.5,
    weight_decay=0.05,
    alpha_learning_rate=0.02,
    alpha_weight_decay=0.3,
    crop_padding=1,
)
TINY = replace(CONFIG, cells=1)
SMALL = SearchSpace("small", ("dil_conv_3x3", "sep_conv_3x3"), ("none", "skip_connect"))  # as a user could write it
OF_NAME = {**SPACES, "small": SMALL}
CASES: list[tuple[str, dict[str, Any]]] = [("original", {"strategy": name}) for name in PRESETS]
CASES += [
    ("small", {"strategy": name, "options": OFTEN}) for name in ("dropnas", "no-alpha-adjust", "no-partial-decay")
]
CASES += [("small", {"options": OFTEN | {"masks": "per-cell", "dropped": name}}) for name in ("moved", "frozen")]
CASES += [
    ("3-skip", {"options": OFTEN | {"alpha_adjust": "equation-3", "grouping": "one-group-own-rate"}, "flip": False}),
    ("1-skip", {"options": OFTEN | {"decay": "l2", "drop_probability": "released"}, "momentum": 0.0}),
    ("small", {"options": OFTEN | {"decay": "l2", "decay_scope": "all", "dropped": "frozen"}}),
    ("small", {"options": OFTEN | {"decay_scope": "all", "dropped": "frozen"}, "batch_size": 10}),  # one left out
]


@pytest.fixture(autouse=True)
def doubles() -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


def images_of(dtype: torch.dtype = torch.float64, device: str = "cpu") -> ImageArrays:
    pixels = torch.randint(256, (IMAGES, 1, SIDE, SIDE), generator=generator(0, "images"), dtype=torch.uint8)
    labels = torch.arange(IMAGES, device=device) % CLASSES
    mean, std = (torch.full((3,), value, dtype=dtype, device=device) for value in (0.5, 0.3))
    return ImageArrays(pixels.to(device), labels, CLASSES, mean, std)


def configs_of(config: SearchConfig, seeds: tuple[int, ...] = SEEDS) -> list[SearchConfig]:
    return [replace(config, seed=seed) for seed in seeds]


def company(
    config: SearchConfig = TINY, seeds: tuple[int, ...] = SEEDS, space: SearchSpace = SMALL
) -> SearchesTogether:
    return SearchesTogether(configs_of(config, seeds), space, images_of(), "cpu")


def train(search: Any, first: int = 0, last: int = STEPS) -> list[Any]:
    """Steps `first` to `last`, counted over epochs; gives losses and rows."""
    found: list[Any] = []
    for number in range(first, last):
        epoch, step = divmod(number, search.steps_per_epoch)
        if not step:
            search.start_epoch(epoch)
        found.append(search.step(epoch, step).clone())
        if step + 1 == search.steps_per_epoch:
            found.append(search.finish_epoch(epoch))
    return found


def moved(together: SearchesTogether, place: int) -> dict[str, Tensor]:
    """All tensors of one search."""
    state = together.state_dicts()[place]
    return {**state.pop("supernet"), **{name: value for name, value in state.items() if isinstance(value, Tensor)}}


def moved_alone(search: Search) -> dict[str, Tensor]:
    """The same of a search by itself."""
    sgd, adam = search.state.weight_optimiser, search.state.alpha_optimiser
    velocity = [sgd.state[weight].get("momentum_buffer") for weight in search.supernet.parameters()]
    averages = [adam.state[alpha] for alpha in search.alphas]
    return {
        **search.supernet.state_dict(),
        "alphas": torch.stack([alpha.detach() for alpha in search.alphas]),
        **({"velocity": torch.cat([values.flatten() for values in velocity])} if velocity[0] is not None else {}),
        "average_first": torch.stack([of_one["exp_avg"] for of_one in averages]),
        "average_second": torch.stack([of_one["exp_avg_sq"] for of_one in averages]),
        "average_steps": averages[0]["step"],
    }


def assert_agree(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> None:
    for name, expected in theirs.items():
        floor = 1.0 if "running_mean" in name else 0.0  # a mean that should be 0 is 1e-17: of the deviation, which is 1
        limit = AGREEMENT * max(float(expected.abs().max()), floor)
        assert float((ours[name] - expected).abs().max()) <= limit, name


@pytest.mark.parametrize(("name", "changes"), CASES)
def test_each_search_is_the_plain_one_of_its_seed(name: str, changes: dict[str, Any]) -> None:
    config = replace(CONFIG, **changes)
    space = OF_NAME[name]
    together = company(config, space=space)
    found = train(together)
    for place, of_seed in enumerate(configs_of(replace(config, supernet="plain"))):
        plain = Search(of_seed, space, images_of(), "cpu")
        expected = train(plain)
        for ours, theirs in zip(found, expected, strict=True):
            if isinstance(ours, list):
                assert ours[place] == pytest.approx(theirs, rel=1e-9)
            else:
                assert ours[place].item() == pytest.approx(theirs.item(), rel=1e-9)
        assert_agree(moved(together, place), moved_alone(plain))
        history = together.searches[place].history
        assert len(history) == len(plain.history) > 2
        for kind in ("normal", "reduce"):
            ours, theirs = (torch.tensor([of_epoch[kind] for of_epoch in of]) for of in (history, plain.history))
            torch.testing.assert_close(ours, theirs, rtol=0, atol=AGREEMENT)


RESUMED = [{}, {"options": OFTEN | {"masks": "per-cell", "dropped": "frozen"}}]


@pytest.mark.parametrize("changes", RESUMED)
@pytest.mark.parametrize("stopped", [3, 8, 13])
def test_a_state_continues_to_the_bit(changes: dict[str, Any], stopped: int) -> None:
    config = replace(TINY, **changes)
    straight, first, second = (company(config) for _ in range(3))
    train(straight)
    train(first, last=stopped)
    second.start_epoch(stopped // straight.steps_per_epoch)
    second.load_state_dicts(first.state_dicts())
    train(second, first=stopped)
    for place in range(len(SEEDS)):
        ours, theirs = moved(second, place), moved(straight, place)
        assert ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in theirs)
        assert second.searches[place].history == straight.searches[place].history


def test_a_state_continues_in_another_company() -> None:
    config, stopped = replace(TINY, options=OFTEN), 13
    straight, first = company(config), company(config)
    train(straight)
    train(first, last=stopped)
    states = first.state_dicts()
    for places in ((2, 0), (1,)):
        other = company(config, tuple(SEEDS[place] for place in places))
        other.start_epoch(stopped // other.steps_per_epoch)
        other.load_state_dicts([states[place] for place in places])
        train(other, first=stopped)
        for place, of_straight in enumerate(places):
            assert_agree(moved(other, place), moved(straight, of_straight))


def test_a_finished_search_can_be_loaded() -> None:
    first, second = company(), company()
    train(first)
    second.load_state_dicts(first.state_dicts())
    assert second.searches[0].history == first.searches[0].history
    assert torch.equal(second.searches[2].alphas.reduce, first.searches[2].alphas.reduce)


def test_a_state_is_a_copy_that_holds_nothing_of_others() -> None:
    together = company()
    train(together, last=2)
    state = together.state_dicts()[1]
    before = {name: value.clone() for name, value in state["supernet"].items()}
    storages = [value.untyped_storage().nbytes() for value in state["supernet"].values()]
    assert storages == [value.nbytes for value in before.values()]
    train(together, first=2, last=4)
    assert all(torch.equal(state["supernet"][name], value) for name, value in before.items())


class Operators(TorchDispatchMode):
    """Notes what is called."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.append(str(func))
        return func(*args, **(kwargs or {}))


WAITING = ("_local_scalar_dense", "nonzero", "is_nonzero", "masked_select", "equal.default", "unique", "lift_fresh")


@pytest.mark.parametrize("changes", RESUMED)
def test_a_step_waits_for_nothing_and_is_the_same_whatever_is_dropped(changes: dict[str, Any]) -> None:
    together = company(replace(CONFIG, **changes), space=ORIGINAL)
    together.start_epoch(0)
    programs = []
    for step in range(4):
        with Operators() as operators:
            together.step(0, step)
        programs.append(operators.names)
        assert not [name for name in operators.names if any(word in name for word in WAITING)]
    assert len({tuple(program) for program in programs}) == 1 and programs[0]


def test_what_moves_stays_at_its_address() -> None:
    together = company()
    places = [tensor.data_ptr() for captured in together.captured.values() for tensor in captured.moving]
    train(together, last=9)
    together.load_state_dicts(together.state_dicts())
    assert places == [tensor.data_ptr() for captured in together.captured.values() for tensor in captured.moving]


def test_searches_that_differ_in_more_than_the_seed_are_refused() -> None:
    with pytest.raises(DropnasError, match="more than the seed"):
        SearchesTogether([TINY, replace(TINY, seed=1, channels=3)], ORIGINAL, images_of(), "cpu")
    with pytest.raises(DropnasError, match="no static step"):
        SearchesTogether([replace(CONFIG, supernet="plain")], ORIGINAL, images_of(), "cpu")
    first, second = company(), company()
    train(first, last=1)
    with pytest.raises(DropnasError, match="equally far"):
        second.load_state_dicts([*first.state_dicts()[:2], second.state_dicts()[2]])


@pytest.mark.parametrize(
    ("changes", "is_program"),
    [
        ({}, True),
        ({"strategy": "snas"}, True),
        ({"supernet": "plain"}, False),
        ({"strategy": "darts-first-order"}, False),
        ({"strategy": "warm_dropout.strategy:WarmDropout"}, False),
    ],
)
def test_which_searches_have_a_static_step(changes: dict[str, Any], is_program: bool) -> None:
    assert is_static(replace(CONFIG, **changes), ORIGINAL) == is_program


def test_a_search_by_itself_is_a_program_on_a_gpu_only() -> None:
    assert isinstance(new_search(CONFIG, ORIGINAL, images_of(), "cpu"), Search)


def test_a_company_of_one_as_the_loop_takes_it() -> None:
    alone, together = SearchAlone(TINY, SMALL, images_of(), "cpu"), company(seeds=(TINY.seed,))
    found, expected = train(alone, last=9), train(together, last=9)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours == theirs[0]
    state = alone.state_dict()
    other = SearchAlone(TINY, SMALL, images_of(), "cpu")
    other.start_epoch(1)
    other.load_state_dict(state)
    assert other.history == alone.history and torch.equal(other.alphas.normal, alone.alphas.normal)
    assert alone.images_seen == IMAGES + BATCH and alone.step(1, 1).dim() == 0
