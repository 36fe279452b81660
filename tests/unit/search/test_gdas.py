"""GDAS: its steps against the plain reference, its samples and derived cells, and what its options change."""

from dataclasses import replace
from typing import Any

import plain_gdas as plain
import pytest
import torch
from torch import Tensor

from dropnas.errors import DropnasError
from dropnas.search.config import SearchConfig
from dropnas.search.methods import authors_settings
from dropnas.search.seed_group import SeedGroup
from dropnas.search.strategies.gdas import Gdas
from dropnas.search.strategies.two_level import Level
from dropnas.search.strategy import Batch, make_strategy
from dropnas.space.spaces import ORIGINAL, THREE_SKIP, SearchSpace
from dropnas.training.seeding import generator
from tests.unit.search.groups import CONFIG, SMALL, assert_near, group_of, recorded, train
from tests.unit.search.strategy_checks import (
    IMAGES,
    assert_replays,
    assert_seeds_do_not_mix,
)

GDAS = replace(CONFIG, strategy="gdas")
TINY = replace(GDAS, cells=1)


def strategy_of(group: SeedGroup) -> Gdas:
    assert isinstance(group.strategy, Gdas)
    return group.strategy


def rules_of(group: SeedGroup) -> plain.Rules:
    options, config = strategy_of(group).options, group.config
    return plain.Rules(
        epochs=config.epochs,
        learning_rate=config.learning_rate,
        learning_rate_min=config.learning_rate_min,
        momentum=config.momentum,
        nesterov=options.nesterov,
        clip=config.gradient_clip,
        weight_decay=config.weight_decay,
        alpha_learning_rate=config.alpha_learning_rate,
        alpha_weight_decay=config.alpha_weight_decay,
        moves_unsampled=options.unsampled == "moved",
        by_step=options.schedule == "step",
    )


@pytest.mark.usefixtures("doubles")
@pytest.mark.parametrize(
    ("space", "options"),
    [(ORIGINAL, {}), (SMALL, {"nesterov": False, "schedule": "epoch", "unsampled": "frozen"})],
)
def test_steps_agree_with_the_plain_implementation(
    space: SearchSpace, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    group = group_of(replace(GDAS, options=options), space=space, images=IMAGES)
    worlds = [plain.Plain(run.supernet, run.alphas, rules_of(group)) for run in group.runs]
    seen, steps = recorded(group), group.steps_per_epoch
    for number in range(4):  # the second epoch has another temperature
        epoch, step = divmod(number, steps)
        if not step:
            group.start_epoch(epoch)
        losses, batch = group.step(epoch, step), seen[-1]
        assert batch.held_out is not None
        for index, world in enumerate(worlds):
            noise, rate = batch.drawn["noise"][index], world.rate(epoch, step, steps)
            loss = world.weight_step(batch.images[index], batch.labels[index], noise[0], epoch, rate)
            world.alpha_step(batch.held_out[0][index], batch.held_out[1][index], noise[1], epoch)
            assert losses[index].item() == pytest.approx(loss, rel=1e-9)
            found = {"w": group.state.weights[index], "alphas": group.state.alphas[index].detach()}
            flat = torch.cat([weight.detach().flatten() for weight in world.net.parameters()])
            assert_near(found, {"w": flat, "alphas": torch.stack(world.alphas).detach()})


def random_alphas(seed: int) -> Tensor:
    return torch.randn(2, 14, 8, generator=generator(seed, "alphas")).mul(1.5).round(decimals=1)  # some are equal


@pytest.mark.parametrize("space", [ORIGINAL, THREE_SKIP])
def test_genotypes_agree_with_the_plain_implementation(space: SearchSpace) -> None:
    group, twice = group_of(TINY, [0], space), 0
    run = group.runs[0]
    for seed in range(20):
        run.architecture["alphas"].copy_(random_alphas(seed))
        found = strategy_of(group).derive(run)
        for cell, matrix in zip((found.normal, found.reduce), run.alphas, strict=True):
            assert list(cell) == plain.genotype_cell(space.operations, matrix.double().tolist())
            twice += sum(cell[i][1] == cell[i + 1][1] for i in range(0, 8, 2))
    assert twice > 5  # both edges of a node from one predecessor


def test_two_predecessors_are_an_option() -> None:
    group = group_of(replace(TINY, options={"edges": "predecessors"}), [0], ORIGINAL)
    run = group.runs[0]
    run.architecture["alphas"].copy_(random_alphas(1))
    found = strategy_of(group).derive(run)
    assert all(found.normal[i][1] != found.normal[i + 1][1] for i in range(0, 8, 2))
    best = run.alphas.normal[0].softmax(0)[:7]
    assert (ORIGINAL.operations[int(best.argmax())], 0) in found.normal[:2]


# ---- samples


def batch_with(noise: Tensor, temperature: float) -> Batch:
    drawn = {"noise": noise[None], "temperature": torch.tensor([temperature])}
    return Batch(torch.empty(0), torch.empty(0), drawn, None, "")


@pytest.mark.parametrize("level", ["weights", "alphas"])
def test_a_sample_is_one_operation_with_the_gradient_of_its_y(level: Level) -> None:
    group = group_of(replace(TINY, cells=3), [3])
    drawn = strategy_of(group).draw(0, 1, generator(0, "masks"))
    mixing, kept = strategy_of(group).mixing(group.state, batch_with(drawn["noise"][0], 0.7), level)
    assert kept is not None and (kept.sum(dim=-1) == 1).all() and torch.equal(mixing.detach(), kept.float())
    noise = drawn["noise"][0, 0 if level == "weights" else 1]
    alphas = group.state.alphas.detach().clone().requires_grad_()
    y = ((alphas.softmax(-1).log() + noise) / 0.7).softmax(-1)
    (expected,) = torch.autograd.grad(y[:, :1][kept[:, :1]].sum(), [alphas])
    (found,) = torch.autograd.grad(mixing[:, :1][kept[:, :1]].sum(), [group.state.alphas])  # the first cell is normal
    assert torch.allclose(found, expected, atol=1e-6) and expected.any()


def test_samples_have_the_probabilities_of_the_alphas_at_any_temperature() -> None:
    group = group_of(TINY, [3])
    with torch.no_grad():
        group.state.alphas.copy_(torch.tensor([1.0, 0.0, -1.0, 0.5]).expand_as(group.state.alphas))
    counts = torch.zeros(4)
    for number, noise in enumerate(strategy_of(group).draw(0, 1000, generator(0, "masks"))["noise"]):
        kept = strategy_of(group).mixing(group.state, batch_with(noise, 10.0 if number % 2 else 0.1), "weights").kept
        assert kept is not None
        counts += kept.sum(dim=(0, 1, 2))
    p = torch.tensor([1.0, 0.0, -1.0, 0.5]).softmax(0)
    assert (counts / counts.sum()).tolist() == pytest.approx(p.tolist(), abs=0.015)


def test_the_temperature_falls_over_the_search() -> None:
    settings = authors_settings("gdas")
    published = make_strategy(SearchConfig(strategy="gdas", **settings), ORIGINAL)  # type: ignore[arg-type]
    assert isinstance(published, Gdas) and published.weight_share == 0.5
    assert [published.temperature(epoch) for epoch in (0, 249)] == [10.0, pytest.approx(0.1)]
    assert published.temperature(124) == pytest.approx(10 - 9.9 * 124 / 249)
    one = make_strategy(replace(GDAS, epochs=1), ORIGINAL)
    assert isinstance(one, Gdas) and one.temperature(0) == 10


# ---- the search


@pytest.mark.usefixtures("doubles")
def test_seeds_of_a_group_have_the_numbers_that_they_have_alone() -> None:
    assert_seeds_do_not_mix(replace(GDAS, cells=2), last=3)


def test_recorded_it_is_the_plain_search_to_the_bit() -> None:
    assert_replays(TINY, last=4)


@pytest.mark.parametrize("unsampled", ["moved", "frozen"])
def test_weights_that_are_not_sampled_move_by_momentum_and_decay_or_stay(
    unsampled: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = group_of(replace(GDAS, options={"unsampled": unsampled}), [3], images=IMAGES)
    seen = recorded(group)
    train(group, last=1)
    with torch.no_grad():
        alphas = group.state.alphas.clone()
    before = group.state.weights.clone()
    train(group, first=1, last=2)
    moved = group.state.weights != before
    with torch.no_grad():
        group.state.alphas.copy_(alphas)  # those with which the sample was drawn
    kept = strategy_of(group).mixing(group.state, seen[-1], "weights").kept
    assert kept is not None
    others = ~group.state.of_weights(kept)
    assert others.any() and bool(moved[others].any()) == (unsampled == "moved")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature_min": 20.0}, "'temperature_min' is above 'temperature'"),
        ({"temperature": 0}, "'temperature' takes a number above 0, not 0"),
        ({"edges": "nodes"}, "takes one of pairs, predecessors"),
        ({"drop_path": 0.1}, "unknown option 'drop_path'"),
    ],
)
def test_options_that_cannot_be_are_one_clear_line(options: dict[str, Any], message: str) -> None:
    with pytest.raises(DropnasError, match=message) as raised:
        make_strategy(replace(GDAS, options=options), ORIGINAL)
    assert "\n" not in str(raised.value) and "strategy 'gdas'" in str(raised.value)
