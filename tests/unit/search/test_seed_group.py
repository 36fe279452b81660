"""A group of searches: interruptions, other groups, wrong strategies, and the choices of a method."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from dropnas.errors import DropnasError
from dropnas.search.config import SearchConfig
from dropnas.search.engine.engine import Engine
from dropnas.search.seed_group import SeedGroup
from dropnas.search.state import SeedRun
from dropnas.search.strategies.grouped_dropout import GroupedDropout
from dropnas.search.strategy import Batch, Phase, Strategy, make_strategy
from dropnas.search.supernet import Supernet
from dropnas.space.genotype import Genotype
from dropnas.space.published import load_genotype
from dropnas.space.spaces import ORIGINAL
from tests.unit.search.groups import (
    CONFIG,
    OFTEN,
    SMALL,
    TINY,
    assert_equal,
    assert_near,
    group_of,
    images_of,
    resumed,
    train,
    values,
)

FROZEN = {"options": OFTEN | {"masks": "per-cell", "dropped": "frozen"}}


def test_the_stems_norm_starts_uniform_where_that_is_wanted() -> None:
    """It is the only layer of the supernet with such weights."""
    ones, uniform = (values(group_of(config), 0) for config in (TINY, replace(TINY, norm_weight="uniform")))
    changed = {name for name in ones if not torch.equal(ones[name], uniform[name])}
    assert len(changed) == 1 and "stem" in changed.pop()


@pytest.mark.parametrize("changes", [{}, FROZEN, {"strategy": "darts-first-order", "options": {}}])
@pytest.mark.parametrize("stopped", [1, 2, 3])
def test_a_state_continues_to_the_bit(changes: dict[str, Any], stopped: int) -> None:
    config = replace(TINY, **changes)
    straight, first = (group_of(config, images=14) for _ in range(2))
    train(straight, last=5)
    train(first, last=stopped)
    second = resumed(group_of(config, images=14), first.state_dicts(), stopped)
    train(second, first=stopped, last=5)
    assert_equal(second, straight)


@pytest.mark.usefixtures("doubles")
@pytest.mark.parametrize("chosen", [(2, 0), (1,)])
def test_a_state_continues_in_another_group(chosen: tuple[int, ...]) -> None:
    seeds, stopped = (3, 5, 8), 3
    straight, first = (group_of(TINY, seeds) for _ in range(2))
    train(straight, last=5)
    train(first, last=stopped)
    states = first.state_dicts()
    other = group_of(TINY, [seeds[index] for index in chosen])
    resumed(other, [states[index] for index in chosen], stopped)
    train(other, first=stopped, last=5)
    for index, of_straight in enumerate(chosen):
        assert_near(values(other, index), values(straight, of_straight))


def test_a_finished_search_can_be_loaded() -> None:
    first, second = group_of(), group_of()
    train(first, last=4)
    second.load_state_dicts(first.state_dicts())
    assert second.runs[0].history == first.runs[0].history
    assert torch.equal(second.runs[1].alphas.reduce, first.runs[1].alphas.reduce)


def test_a_state_is_a_copy_that_holds_nothing_of_others() -> None:
    group = group_of()
    train(group, last=1)
    state = group.state_dicts()[1]
    before = {name: value.clone() for name, value in state["supernet"].items()}
    assert [value.untyped_storage().nbytes() for value in state["supernet"].values()] == [
        value.nbytes for value in before.values()
    ]
    train(group, first=1, last=2)
    assert all(torch.equal(state["supernet"][name], value) for name, value in before.items())


def test_what_changes_stays_at_its_address() -> None:
    group = group_of()
    train(group, last=1)
    addresses = [tensor.data_ptr() for tensor in group.programs[""].changed]
    train(group, first=1, last=4)
    group.load_state_dicts(group.state_dicts())
    assert addresses == [tensor.data_ptr() for tensor in group.programs[""].changed]


def test_groups_that_cannot_be_are_refused() -> None:
    with pytest.raises(DropnasError, match="more than the seed"):
        SeedGroup([TINY, replace(TINY, seed=1, channels=3)], SMALL, images_of(7), "cpu")


# ---- strategies that are wrong


class Drawing(GroupedDropout):
    """A strategy that draws given values."""

    drawn: Any = None

    def draw(self, epoch: int, steps: int, generator: torch.Generator) -> dict[str, Tensor]:
        return super().draw(epoch, steps, generator) | self.drawn


MASKS = torch.ones(2, 1, 14, 4, dtype=torch.bool)


@pytest.mark.parametrize(
    ("drawn", "message"),
    [
        ({"cells": MASKS[:, :, :3]}, r"draws masks \(2, 1, 3, 4\) of torch.bool; bool \(2, 1, 14, 4\) is needed"),
        ({"cells": MASKS.float()}, r"of torch.float32"),
        (
            {"cells": MASKS.clone().index_fill_(2, torch.tensor([3]), False)},
            "every operation of edge 3 of cell 0 in step 0",
        ),
        ({"cells": MASKS.to("meta")}, r"draws 'cells' as \(2, 1, 14, 4\) on meta; a tensor \(2, ...\) on the CPU"),
        ({"noise": torch.zeros(3)}, r"draws 'noise' as \(3,\) on cpu"),
        ({"noise": [1, 2]}, "draws 'noise' as list"),
    ],
)
def test_draws_that_do_not_fit_are_one_clear_line(drawn: Any, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Drawing, "drawn", drawn)
    group = group_of(replace(TINY, strategy=f"{__name__}:Drawing"))
    with pytest.raises(DropnasError, match=message) as raised:
        train(group, last=1)
    assert "\n" not in str(raised.value) and "Drawing" in str(raised.value)


class Returning(GroupedDropout):
    """A strategy whose step returns given functions of losses and logits."""

    change: Any = None

    def step(self, state: Any, batch: Batch) -> Any:
        return type(self).change(*super().step(state, batch))


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda losses, logits: (losses.mean(), logits), r"\(\), \(2, 4, 5\)"),
        (lambda losses, logits: (losses, logits[0]), r"\(2,\), \(4, 5\)"),
        (lambda losses, logits: losses, r"\(2,\)"),
        (lambda losses, logits: None, "NoneType"),
        (lambda losses, logits: (1.0, logits), r"float, \(2, 4, 5\)"),
    ],
)
def test_a_step_that_returns_something_else_is_one_clear_line(
    change: Any, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Returning, "change", change)
    group = group_of(replace(TINY, strategy=f"{__name__}:Returning"))
    with pytest.raises(DropnasError, match=rf"Returning: step returns {found}; losses \(2,\) and logits \(2, 4, 5\)"):
        train(group, last=1)


def test_what_a_step_returns_is_detached(monkeypatch: pytest.MonkeyPatch) -> None:
    def attached(losses: Tensor, logits: Tensor) -> tuple[Tensor, Tensor]:
        return losses.requires_grad_() * 1, logits

    monkeypatch.setattr(Returning, "change", attached)
    group = group_of(replace(TINY, strategy=f"{__name__}:Returning"))
    assert not train(group, last=1)[0].requires_grad and not group.tables.losses.requires_grad


class Dropping(GroupedDropout):
    """A strategy that drops with given probabilities."""

    probabilities: Any = None

    def drop_probabilities(self, epoch: int) -> Tensor:
        return type(self).probabilities  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("probabilities", "message"),
    [
        (torch.full((4,), 1.0), "each must be at least 0 and below 1"),
        (torch.full((4,), -0.1), "each must be at least 0 and below 1"),
        (torch.full((4,), torch.nan), "each must be at least 0 and below 1"),
        (torch.full((4,), 1 - 1e-9, dtype=torch.float64), "a group loses all its operations in 100.0000% of draws"),
        (torch.full((5,), 0.1), r"are \(5,\); a tensor \(4,\) is needed"),
        (0.5, "are float; a tensor"),
    ],
)
def test_probabilities_that_cannot_be_drawn_from_are_refused(
    probabilities: Any, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise resampling would never end."""
    monkeypatch.setattr(Dropping, "probabilities", probabilities)
    group = group_of(replace(TINY, strategy=f"{__name__}:Dropping"))
    with pytest.raises(DropnasError, match=message):
        group.start_epoch(0)


class Phaseless(GroupedDropout):
    phases = ()  # type: ignore[assignment]


class Varying(GroupedDropout):
    """A strategy that draws noise of another shape in its second epoch."""

    def draw(self, epoch: int, steps: int, generator: torch.Generator) -> dict[str, Tensor]:
        return super().draw(epoch, steps, generator) | {"noise": torch.zeros(steps, 2 + epoch)}


def test_other_mistakes_of_a_method_are_one_clear_line() -> None:
    with pytest.raises(DropnasError, match=r"Phaseless: phases is \(\); return a sequence of at least one Phase"):
        make_strategy(SearchConfig(strategy=f"{__name__}:Phaseless"), ORIGINAL)
    group = group_of(replace(TINY, strategy=f"{__name__}:Varying"))
    with pytest.raises(DropnasError, match=r"draws \(2, 2, 3\) for 'noise', but first \(2, 2, 2\)"):
        train(group, last=3)


class Exploding(GroupedDropout):
    """A strategy whose update of one tensor is NaN."""

    name = "alphas"

    def step(self, state: Any, batch: Batch) -> Any:
        found = super().step(state, batch)
        tensor = state.alphas if self.name == "alphas" else state.weights
        with torch.no_grad():
            tensor[1].mul_(float("nan"))
        return found


@pytest.mark.parametrize("name", ["alphas", "weights"])
def test_an_update_that_is_not_finite_ends_that_seed_alone(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Exploding, "name", name)
    group = group_of(replace(TINY, strategy=f"{__name__}:Exploding"), images=4)
    first, second = train(group, last=1)[-1]
    assert isinstance(first, dict) and isinstance(second, DropnasError)
    assert str(second).startswith(f"epoch 1: a value of the {name} is not finite")


class OddShare(GroupedDropout):
    weight_share = 0.0


def test_a_share_of_no_images_is_named() -> None:
    with pytest.raises(DropnasError, match=r"weight_share is 0.0; it must be above 0 and at most 1"):
        make_strategy(SearchConfig(strategy=f"{__name__}:OddShare"), ORIGINAL)


# ---- what a method may choose for itself


class Pruning(Strategy):
    """Two phases of different depth; after the first one, each edge keeps the better half of its operations.

    It also has its own edge weight, a supernet that counts its creations, a learning rate, a variant of its first epoch
    that does not train the alphas, its own end and its own genotype.
    """

    groups_seeds = False
    made = 0
    ends_after = 99

    @property
    def phases(self) -> tuple[Phase, ...]:
        return Phase(1, 2), Phase(2, 2)

    def make_supernet(self, phase: int, classes: int) -> Supernet:
        type(self).made += 1
        return super().make_supernet(phase, classes)

    def make_engine(self, supernets: Any, static: bool, backend: Any) -> Engine:
        return Engine(supernets, static=True, backend=backend)

    def architecture(self, phase: int, generator: torch.Generator) -> dict[str, Tensor]:
        return {**super().architecture(phase, generator), "betas": torch.zeros(2, 14)}

    def memory(self, phase: int, before: Any) -> dict[str, Tensor]:
        allowed = torch.ones(2, 14, len(self.space.operations), dtype=torch.bool)
        if before is not None:
            allowed = before["alphas"].argsort(descending=True).argsort() < allowed.shape[-1] // 2
        return {"allowed": allowed}

    def learning_rate(self, phase: int, epoch: int) -> float:
        return 0.1 / (1 + phase + epoch)

    def variant(self, epoch: int) -> str:
        return "weights" if epoch == 0 else ""

    def step(self, state: Any, batch: Batch) -> tuple[Tensor, Tensor]:
        edges = state.architecture["betas"].exp()[..., None]
        kept = state.of_cells(state.memory["allowed"])
        mixing = state.of_cells(state.alphas.masked_fill(~state.memory["allowed"], -torch.inf).softmax(-1) * edges)
        losses, logits = state.losses(batch.images, batch.labels, mixing, kept)
        weights, *others = state.gradients(losses, *state.architecture.values())
        state.weight_optimiser.step([weights])
        if batch.variant != "weights":
            state.architecture_optimiser.step(others)
        return losses.detach(), logits.detach()

    def end_epoch(self, epoch: int, run: SeedRun) -> bool:
        return epoch + 1 >= self.ends_after

    def derive(self, run: SeedRun) -> Genotype:
        return load_genotype("darts_v2")


PRUNING = replace(CONFIG, strategy=f"{__name__}:Pruning", options={})


def test_phases_begin_anew_and_carry_over_what_the_strategy_says() -> None:
    group = group_of(PRUNING, seeds=[3])
    made = Pruning.made
    rows = [row[0] for row in train(group, last=4) if isinstance(row, list)]
    assert group.phase == 0 and [row["learning_rate"] for row in rows] == [0.1, 0.05]
    alphas, weights = group.runs[0].architecture["alphas"].clone(), group.state.weights.shape
    group.start_epoch(2)
    assert group.phase == 1 and Pruning.made == made + 1 and group.state.weights.shape[1] > weights[1]
    best = alphas.topk(2).indices.sort().values
    assert torch.equal(group.state.memory["allowed"][0].nonzero()[:, 2].view(2, 14, 2), best)
    assert not torch.equal(group.runs[0].architecture["alphas"], alphas)
    train(group, first=4, last=8)
    history = group.runs[0].history
    assert group.epochs == 4 and len(history) == 5 and all("betas" in entry["further"] for entry in history)


def test_a_variant_of_the_step_is_used_in_its_epochs() -> None:
    group = group_of(PRUNING, seeds=[3])
    train(group, last=2)
    assert group.runs[0].history[0] == group.runs[0].history[1] and list(group.programs) == ["weights"]
    train(group, first=2, last=4)
    assert group.runs[0].history[1] != group.runs[0].history[2] and list(group.programs) == ["weights", ""]


@pytest.mark.parametrize("stopped", [1, 3, 5, 7])
def test_a_search_of_phases_continues_to_the_bit(stopped: int) -> None:
    straight, first = (group_of(PRUNING, seeds=[3]) for _ in range(2))
    train(straight, last=8)
    train(first, last=stopped)
    second = resumed(group_of(PRUNING, seeds=[3]), first.state_dicts(), stopped)
    train(second, first=stopped, last=8)
    assert_equal(second, straight)


def test_a_finished_search_of_phases_can_be_loaded() -> None:
    first, second = (group_of(PRUNING, seeds=[3]) for _ in range(2))
    train(first, last=8)
    second.load_state_dicts(first.state_dicts())
    assert_equal(second, first)


def test_a_strategy_may_end_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pruning, "ends_after", 2)
    group = group_of(PRUNING, seeds=[3])
    train(group, last=2)
    assert not group.stopped
    train(group, first=2, last=4)
    assert group.stopped
