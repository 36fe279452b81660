"""SNAS: its steps against the plain reference, its samples, costs and derived cells, and what its options change."""

import itertools
import math
from dataclasses import replace
from typing import Any

import plain_snas as plain
import pytest
import torch
from torch import Tensor

from dropnas.errors import DropnasError
from dropnas.search.config import SearchConfig
from dropnas.search.methods import authors_settings
from dropnas.search.seed_group import SeedGroup
from dropnas.search.strategies.gumbel import gumbel
from dropnas.search.strategies.resources import Cost, cost_of
from dropnas.search.strategies.snas import Snas
from dropnas.search.strategy import make_strategy
from dropnas.space.operations import OPERATIONS, make_operation
from dropnas.space.spaces import ORIGINAL, THREE_SKIP, SearchSpace
from dropnas.training.optimisers import SGD
from dropnas.training.seeding import generator
from tests.unit.search.groups import CONFIG, SMALL, assert_near, group_of, recorded, train, values
from tests.unit.search.strategy_checks import (
    assert_replays,
    assert_seeds_do_not_mix,
)

SNAS = replace(CONFIG, strategy="snas", alpha_scale=0.01)
TINY = replace(SNAS, cells=1)
VISIBLE = {"resource_weight": 0.5, "alpha_gradient_clip": 0.05}  # the resource term matters, and the clip is active


def rules_of(config: SearchConfig, options: Any) -> plain.Rules:
    return plain.Rules(
        epochs=config.epochs,
        momentum=config.momentum,
        clip=config.gradient_clip,
        weight_decay=config.weight_decay,
        alpha_optimiser=options.optimiser,
        alpha_learning_rate=config.alpha_learning_rate,
        alpha_weight_decay=config.alpha_weight_decay,
        alpha_clip=options.alpha_gradient_clip,
        drop_path=options.drop_path,
        resource_weight=options.resource_weight,
        eight_cells=options.resource_cells == "eight",
    )


def strategy_of(group: SeedGroup) -> Snas:
    assert isinstance(group.strategy, Snas)
    return group.strategy


@pytest.mark.usefixtures("doubles")
@pytest.mark.parametrize(
    ("space", "options"),
    [
        (ORIGINAL, VISIBLE),
        (SMALL, VISIBLE | {"optimiser": "sgd", "samples": "cells", "resource_cells": "own"}),
        (SMALL, {"drop_path": 0.0, "resource_weight": 0.0}),
    ],
)
def test_steps_agree_with_the_plain_implementation(
    space: SearchSpace, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    group = group_of(replace(SNAS, options=options), space=space)
    rules = rules_of(SNAS, strategy_of(group).options)
    worlds = [plain.Plain(run.supernet, run.alphas, rules) for run in group.runs]
    seen = recorded(group)
    for number in range(3):  # the second batch is of three images, the third in another epoch
        epoch, step = divmod(number, group.steps_per_epoch)
        if not step:
            group.start_epoch(epoch)
        losses, batch = group.step(epoch, step), seen[-1]
        for index, world in enumerate(worlds):
            images = batch.images[index]
            shape = (SNAS.cells, 14, len(images))
            paths = batch.drawn["paths"][index, ..., : len(images)] if rules.drop_path else torch.ones(shape)
            rate = group.state.weight_optimiser.learning_rate
            noise = batch.drawn["noise"][index]
            loss = world.step(images, batch.labels[index], noise, paths, epoch, rate)
            assert losses[index].item() == pytest.approx(loss, rel=1e-9)
            found = {"w": group.state.weights[index], "alphas": group.state.alphas[index].detach()}
            flat = torch.cat([weight.detach().flatten() for weight in world.net.parameters()])
            assert_near(found, {"w": flat, "alphas": torch.stack(world.alphas).detach()})


def random_alphas(seed: int, operations: int) -> Tensor:
    draws = torch.randn(2, 14, operations, generator=generator(seed, "alphas"))
    return draws.mul(4 if seed % 2 else 0.5).round(decimals=1)  # some are equal


@pytest.mark.parametrize("space", [ORIGINAL, THREE_SKIP])
def test_genotypes_agree_with_the_plain_implementation(space: SearchSpace) -> None:
    run = group_of(TINY, [0], space).runs[0]
    for seed, zero in itertools.product(range(20), ("ranked", "last", "excluded")):
        run.architecture["alphas"].copy_(random_alphas(seed, 8))
        found = make_strategy(replace(TINY, options={"zero": zero}), space).derive(run)
        assert found is not None
        for cell, matrix in zip((found.normal, found.reduce), run.alphas, strict=True):
            assert list(cell) == plain.genotype_cell(space.operations, matrix.double().tolist(), zero)


def test_zero_may_win_an_edge() -> None:
    none = SMALL.operations.index("none")
    found = {}
    for zero in ("ranked", "last", "excluded"):
        run = (group := group_of(replace(TINY, options={"zero": zero}), [0])).runs[0]
        run.architecture["alphas"].zero_()[:, 2:5, none] = 3.0  # all three edges of the second node
        run.architecture["alphas"][:, 5:7, none] = 3.0  # two of four edges of the third node
        genotype = group.strategy.derive(run)
        assert genotype is not None
        found[zero] = [name for name, _ in genotype.normal]
    assert found["ranked"].count("none") == 4 and found["last"].count("none") == 2 and "none" not in found["excluded"]


# ---- samples, paths, costs


def test_noise_is_gumbels() -> None:
    noise = gumbel((200_000,), generator(0, "noise")).double()
    assert noise.mean().item() == pytest.approx(0.57722, abs=0.01)  # Euler's constant
    assert noise.var().item() == pytest.approx(math.pi**2 / 6, abs=0.03)
    chosen = (torch.tensor([1.0, 0.0, -1.0]) + gumbel((100_000, 3), generator(1, "noise"))).argmax(dim=1)
    expected = torch.tensor([1.0, 0.0, -1.0]).softmax(0).tolist()
    assert (chosen.bincount() / len(chosen)).tolist() == pytest.approx(expected, abs=0.01)


def test_the_temperature_falls_over_the_search() -> None:
    published = make_strategy(SearchConfig(strategy="snas", epochs=150), ORIGINAL)
    assert isinstance(published, Snas)
    found = [published.temperature(epoch) for epoch in (0, 74, 149)]
    assert found == pytest.approx([0.99353, 0.515, 0.03], abs=1e-5)
    constant = make_strategy(SearchConfig(strategy="snas", options={"temperature_min": 1.0}), ORIGINAL)
    assert constant.draw(3, 2, generator(0, "x"))["temperature"].tolist() == [1.0, 1.0]


def test_paths_are_drawn_for_each_image_and_edge() -> None:
    strategy = make_strategy(replace(SNAS, batch_size=50, cells=3), ORIGINAL)
    drawn = strategy.draw(0, 20, generator(0, "paths"))
    assert drawn["noise"].shape == (20, 2, 14, 8)
    assert drawn["paths"].shape == (20, 3, 14, 50) and drawn["paths"].dtype == torch.bool
    assert drawn["paths"].double().mean().item() == pytest.approx(0.7, abs=0.01)
    assert "paths" not in make_strategy(replace(SNAS, options={"drop_path": 0.0}), ORIGINAL).draw(
        0, 1, generator(0, "x")
    )


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("name", [*ORIGINAL.operations, "sep_conv_7x7"])
def test_costs_are_those_of_the_authors_tables(name: str, stride: int) -> None:
    operation = make_operation(name, 6, stride, affine=False, pool_norm=True)
    before = {key: value.clone() for key, value in operation.state_dict().items()}
    assert tuple(cost_of(operation, 6, 8, 8)) == plain.cost_of(name, 6, stride, 8 // stride)
    assert all(torch.equal(before[key], value) for key, value in operation.state_dict().items())


def test_costs_of_operations_that_the_authors_do_not_have() -> None:
    """A 1x7 convolution of stride (1, 2) and a 7x1 one of stride (2, 1), on 8x8 pixels."""
    weights = 2 * 7 * 6 * 6
    assert "conv_7x1_1x7" in OPERATIONS
    found = cost_of(make_operation("conv_7x1_1x7", 6, 2, affine=False, pool_norm=True), 6, 8, 8)
    first, second = 32 * (2 * 6 + 6), 16 * (2 * 6 + 6)
    assert found == Cost(weights, 252 * (32 + 16), first + second + weights)


def test_the_resource_term_prefers_cheap_operations() -> None:
    alphas = []
    for weight in (0.0, 50.0):
        config = replace(SNAS, alpha_weight_decay=0.0, options={"resource_weight": weight, "drop_path": 0.0})
        group = group_of(config, [3], images=14)
        train(group, last=8)
        alphas.append(group.runs[0].architecture["alphas"].mean(dim=(0, 1)))
    without, with_term = alphas
    cheap, dear = SMALL.operations.index("none"), SMALL.operations.index("sep_conv_3x3")
    assert with_term[cheap] - with_term[dear] > without[cheap] - without[dear] + 0.05


# ---- the search


@pytest.mark.usefixtures("doubles")
def test_seeds_of_a_group_have_the_numbers_that_they_have_alone() -> None:
    assert_seeds_do_not_mix(replace(SNAS, cells=2), last=3, images=7)


def test_recorded_it_is_the_plain_search_to_the_bit() -> None:
    assert_replays(TINY, last=8)


def test_the_alphas_begin_around_one() -> None:
    alphas = group_of(SNAS, [3], ORIGINAL).runs[0].architecture["alphas"]
    assert alphas.mean().item() == pytest.approx(1, abs=0.005)
    assert alphas.std().item() == pytest.approx(0.01, rel=0.2)


def test_sgd_on_the_alphas_has_neither_momentum_nor_decay() -> None:
    moved = []
    for decay in (0.0, 0.5):
        group = group_of(replace(TINY, alpha_weight_decay=decay, options={"optimiser": "sgd"}))
        train(group, last=3)
        assert isinstance(group.state.architecture_optimiser, SGD)
        assert not group.state.architecture_optimiser.slots["momentum"][0].any()
        moved.append(values(group, 0)["alphas"])
    assert torch.equal(*moved)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"edges": "all"}, "unknown option 'edges'"),  # a genotype has two edges for each node
        ({"temperature_min": 2.0}, "'temperature_min' is above 'temperature'"),
        ({"drop_path": 1.0}, "'drop_path' takes a number at least 0 and below 1"),
        ({"optimiser": "adamw"}, "takes one of adam, sgd"),
        ({"rate_parameterised": 0.1}, "unknown option 'rate_parameterised'"),
    ],
)
def test_options_that_cannot_be_are_one_clear_line(options: dict[str, Any], message: str) -> None:
    with pytest.raises(DropnasError, match=message) as raised:
        make_strategy(replace(SNAS, options=options), ORIGINAL)
    assert "\n" not in str(raised.value) and "strategy 'snas'" in str(raised.value)


def test_the_authors_settings_are_settings() -> None:
    config = SearchConfig(strategy="snas", **authors_settings("snas"))  # type: ignore[arg-type]
    assert (config.cells, config.channels, config.epochs, config.batch_size) == (8, 16, 150, 64)
    assert make_strategy(config, ORIGINAL).weight_share == 1
