"""StacNAS against its plain implementation over both stages, its space and derivation, and how it is interrupted."""

from dataclasses import replace
from typing import Any

import plain_stacnas as plain
import pytest
import torch
from torch import Tensor

from dropnas.errors import DropnasError
from dropnas.search.config import SearchConfig
from dropnas.search.methods import authors_settings
from dropnas.search.seed_group import SeedGroup
from dropnas.search.strategies.stacnas import StacNas
from dropnas.search.strategy import Strategy, make_strategy
from dropnas.space.spaces import ONE_SKIP, ORIGINAL, THREE_SKIP, SearchSpace
from dropnas.training.seeding import generator
from tests.unit.search.groups import (
    CONFIG,
    group_of,
    leaves_of,
    recorded,
    run_of,
    train,
)
from tests.unit.search.strategy_checks import assert_replays, assert_resumes, assert_seeds_do_not_mix

SPACE = SearchSpace("two clusters", ("sep_conv_3x3", "sep_conv_5x5"), ("skip_connect", "none"))
NINE = ("sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5")
NINE += ("max_pool_3x3", "avg_pool_3x3", "skip_connect", "skip_connect", "none")
IMAGES, STEPS = 7, 6  # two steps per epoch, the second one of three images; one and a half epochs per stage
STAC = replace(CONFIG, strategy="stacnas", cells=1, epochs=2, alpha_scale=1.0, options={"added_cells": 2})
SHALLOW = replace(STAC, options={"added_cells": 0})


def world_of(group: SeedGroup, index: int, kept: dict[str, Tensor]) -> plain.Plain:
    run = group.runs[index]
    alphas = dict(zip(plain.KINDS, leaves_of(run.alphas), strict=True))
    return plain.Plain(
        run.space.operations, len(run.supernet.kinds), leaves_of(run.supernet.parameters()), alphas, kept
    )


# --- the steps of both stages ---------------------------------------------------------------------------------------


@pytest.mark.usefixtures("doubles")
@pytest.mark.parametrize(("space", "cells"), [(SPACE, 3), (ORIGINAL, 1)], ids=["two clusters", "original"])
def test_the_steps_of_both_stages_agree_with_the_plain_implementation(space: SearchSpace, cells: int) -> None:
    config = replace(STAC, options={"added_cells": cells - 1})
    group, worlds = group_of(config, space=space, images=IMAGES), list[plain.Plain]()
    seen = recorded(group)
    for number in range(8):
        epoch, step = divmod(number, 2)
        if not step:
            group.start_epoch(epoch)
        if number in (0, 4):
            worlds = [world_of(group, index, kept_of(group, worlds[index : index + 1])) for index in range(2)]
        losses, rate = group.step(epoch, step), group.state.weight_optimiser.learning_rate
        for index, world in enumerate(worlds):
            loss = plain.step(world, (seen[-1].images[index], seen[-1].labels[index]), rate, config)
            assert losses[index].item() == pytest.approx(loss, rel=1e-9)
            weights = torch.cat([weight.detach().flatten() for weight in world.weights])
            assert torch.allclose(group.state.weights[index], weights, rtol=0, atol=1e-9)
            assert torch.allclose(group.state.alphas[index], torch.stack([*world.alphas.values()]), rtol=0, atol=1e-9)
            assert torch.equal(group.state.memory["kept"][index], torch.stack([*world.kept.values()]))
    assert len(group.state.memory["kept"].flatten(0, 2).unique(dim=0)) == (2 if space is SPACE else 4)  # clusters


def kept_of(group: SeedGroup, before: list[plain.Plain]) -> dict[str, Tensor]:
    """The candidates of the first stage, or those of the second stage that follow."""
    operations = group.space.operations
    if not before:
        return dict.fromkeys(plain.KINDS, torch.tensor([plain.first_stage(operations)] * 14))
    return {kind: plain.second_stage(operations, alphas.detach()) for kind, alphas in before[0].alphas.items()}


def test_the_space_has_a_second_skip_connect_with_an_alpha_of_its_own() -> None:
    group = group_of(SHALLOW, (3,), SPACE, IMAGES)
    train(group, last=STEPS)
    (run,) = group.runs
    operations = ("sep_conv_3x3", "sep_conv_5x5", "skip_connect", "skip_connect", "none")
    assert run.space.operations == group.strategy.space.operations == operations
    assert make_strategy(STAC, ORIGINAL).space.operations == NINE
    kept = run.memory["kept"]
    first, second = kept.any(dim=1).unbind()[1], kept[1]
    assert first.tolist() == [True] * 5  # both clusters won somewhere
    skips = second[:, 2]
    start, end = (torch.tensor(run.history[epoch]["reduce"]) for epoch in (2, 3))
    assert (start[skips][:, 2] != start[skips][:, 3]).all() and (start[skips] != end[skips])[:, 2:4].all()


def test_what_is_no_candidate_is_not_computed() -> None:
    group = group_of(replace(SHALLOW, group_seeds=True), (3,), ORIGINAL, IMAGES)
    group.start_epoch(0)
    with torch.no_grad():
        for name, operation in group.runs[0].supernet.operations():
            for weight in operation.parameters():
                if name.endswith("5x5"):
                    weight.fill_(torch.nan)
    assert torch.isfinite(group.step(0, 0)).all()


# --- the derivation -------------------------------------------------------------------------------------------------


def finished(strategy: Strategy, seed: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    draws = generator(seed, "alphas")
    first, second = (torch.randn(2, 14, 9, generator=draws) for _ in range(2))
    return {"alphas": second}, strategy.memory(1, {"alphas": first})


@pytest.mark.parametrize("seed", range(20))
def test_genotypes_agree_with_the_plain_implementation(seed: int) -> None:
    strategy = make_strategy(STAC, ORIGINAL)
    architecture, memory = finished(strategy, seed)
    found = strategy.derive(run_of(strategy.space, architecture, memory))
    expected = plain.genotype(NINE, architecture["alphas"], memory["kept"])
    assert found is not None and [list(found.normal), list(found.reduce)] == expected


def test_by_probability_edges_are_compared_among_their_own_candidates() -> None:
    strategy = make_strategy(replace(STAC, options={"score": "probability"}), ORIGINAL)
    differ = 0
    for seed in range(20):
        architecture, memory = finished(strategy, seed)
        found = strategy.derive(run_of(strategy.space, architecture, memory))
        exponentials = architecture["alphas"].double().exp() * memory["kept"]
        p = (exponentials / exponentials.sum(dim=-1, keepdim=True)).log()
        assert found is not None
        assert [list(found.normal), list(found.reduce)] == plain.genotype(NINE, p, memory["kept"])
        differ += [list(found.normal), list(found.reduce)] != plain.genotype(
            NINE, architecture["alphas"], memory["kept"]
        )
    assert differ > 10


# --- groups, recordings, interruptions ------------------------------------------------------------------------------


@pytest.mark.usefixtures("doubles")
def test_seeds_in_a_group_are_those_alone() -> None:
    assert_seeds_do_not_mix(SHALLOW, STEPS, IMAGES, SPACE)


def test_recorded_steps_give_the_same_bits() -> None:
    assert_replays(SHALLOW, STEPS, images=IMAGES, space=SPACE)


@pytest.mark.parametrize("grouped", [False, True])
def test_it_continues_to_the_bit(grouped: bool) -> None:
    assert_resumes(replace(SHALLOW, group_seeds=grouped), (1, 3, 4, 5, 6), 8, (3, 5), IMAGES, SPACE)


# --- its options ----------------------------------------------------------------------------------------------------


def test_the_authors_settings() -> None:
    strategy = make_strategy(SearchConfig(strategy="stacnas", **authors_settings("stacnas")), ORIGINAL)  # type: ignore[arg-type]
    assert isinstance(strategy, StacNas) and strategy.phases == ((14, 80), (20, 80)) and strategy.weight_share == 1


def test_a_space_may_lack_a_whole_cluster() -> None:
    assert make_strategy(STAC, ONE_SKIP).space.operations.count("skip_connect") == 2


@pytest.mark.parametrize(
    ("options", "space", "message"),
    [
        ({"added_cells": -1}, ORIGINAL, "option 'added_cells' takes a whole number at least 0"),
        ({"score": "p"}, ORIGINAL, "option 'score' takes one of alpha, probability, not 'p'"),
        ({"clusters": 3}, ORIGINAL, "unknown option 'clusters'"),
        (
            {},
            THREE_SKIP,
            "space '3-skip' does not consist of clusters; use the space original, or some of avg_pool_3x3",
        ),
        ({}, SearchSpace("half", ("sep_conv_3x3",), ("none",)), "space 'half' does not consist of clusters"),
        (
            {},
            SearchSpace("other", (*NINE[:4], "sep_conv_7x7"), ("none",)),
            "space 'other' does not consist of clusters",
        ),
    ],
)
def test_mistakes_are_one_line(options: dict[str, Any], space: SearchSpace, message: str) -> None:
    with pytest.raises(DropnasError, match=message) as raised:
        make_strategy(replace(STAC, options=options), space)
    assert "\n" not in str(raised.value) and "strategy 'stacnas'" in str(raised.value)
