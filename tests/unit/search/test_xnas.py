"""XNAS: rounds compared with a plain forecaster, wipeout at the end, derivation, and its options."""

import math
from dataclasses import replace
from typing import Any

import plain_xnas as plain
import pytest
import torch
from plain_asap import cell
from plain_pass import KINDS, World

from dropnas.search.state import SeedRun
from dropnas.search.strategies.shrinking import LEFT
from dropnas.search.strategies.xnas import Xnas
from dropnas.search.strategy import Batch
from dropnas.space.spaces import ORIGINAL
from tests.unit.search.against_plain import assert_refused, assert_steps_agree, random_alphas, random_left, run_with
from tests.unit.search.groups import CONFIG, SMALL, group_of, train
from tests.unit.search.strategy_checks import IMAGES, assert_replays, assert_resumes, assert_seeds_do_not_mix

BOUND, SIDE = 0.1, 8  # clips many rewards; smaller images would make rounding grow from round to round
XNAS = replace(CONFIG, strategy="xnas", cells=4, epochs=3, options={"bound": BOUND})  # two normal cells, two reductions
SUMMED = {"bound": 0.7, "cells": "summed"}  # rewards always at both bounds would tie with the wipeout's limit
ROUNDS = 6  # three epochs of two batches


def forecasters(options: dict[str, Any]) -> plain.Forecasters:
    each = options.get("cells") != "summed"
    rounds = dict.fromkeys(KINDS, 2 * ROUNDS if each else ROUNDS)
    return plain.Forecasters(len(SMALL.operations), rounds, options["bound"], each, options.get("wipeout", True))


@pytest.mark.usefixtures("doubles")
@pytest.mark.parametrize("options", [{"bound": BOUND}, SUMMED, {"bound": BOUND, "wipeout": False}])
def test_rounds_agree_with_the_plain_implementation(options: dict[str, Any]) -> None:
    of_worlds: dict[int, plain.Forecasters] = {}

    def step(world: World, epoch: int, batch: Batch) -> float:
        of_world = of_worlds.setdefault(id(world), forecasters(options))
        assert batch.held_out is not None
        loss = of_world.step(world, (batch.images, batch.labels), batch.held_out)
        world.alphas = {kind: of_world.alphas(kind) for kind in KINDS}
        return loss

    def compare(run: SeedRun, world: World) -> None:
        experts = of_worlds[id(world)].experts
        left = [[[index in edge for index in range(len(SMALL.operations))] for edge in experts[kind]] for kind in KINDS]
        assert run.memory[LEFT].tolist() == left

    group = assert_steps_agree(replace(XNAS, options=options), step, compare=compare, steps=ROUNDS, side=SIDE)
    left = group.state.memory[LEFT].sum(dim=-1)
    assert left.max() == (1 if options.get("wipeout", True) else len(SMALL.operations))


def test_only_the_best_expert_is_left_after_the_last_round_and_some_leave_before() -> None:
    group = group_of(XNAS, [3], images=IMAGES, side=SIDE)
    train(group, last=ROUNDS - 1)
    before = group.state.memory[LEFT].sum(dim=-1)
    assert before.max() > 1 and before.min() < len(SMALL.operations)
    train(group, first=ROUNDS - 1, last=ROUNDS)
    assert group.strategy.results(group.runs[0]) == {"operations_left": 28}


def test_the_rate_counts_cells_or_batches() -> None:
    """Six normal cells and two reductions, fifty epochs, L = 1."""
    config, batches = replace(XNAS, cells=8, epochs=50), 100
    each, summed = (Xnas(config, ORIGINAL, cells=cells).draw(49, 2, torch.Generator()) for cells in ("each", "summed"))
    rates = [math.sqrt(2 * math.log(8) / (batches * cells)) for cells in (6, 2)]
    assert each["rate"].tolist() == [pytest.approx(rates)] * 2
    assert each["reach"].tolist() == [pytest.approx([2 * rates[0] * 6, 2 * rates[1] * 2]), [0, 0]]
    rate = math.sqrt(2 * math.log(8) / batches)
    assert summed["rate"].tolist() == [pytest.approx([rate, rate])] * 2
    assert summed["reach"].tolist() == [pytest.approx([2 * rate] * 2), [0, 0]]


def test_a_larger_bound_makes_smaller_steps_and_clips_less() -> None:
    moved = []
    for bound in (1e-6, 100.0):
        group = group_of(replace(XNAS, options={"bound": bound}), [3], images=IMAGES)
        train(group, last=1)
        rates = group.draws["strategy_rate"][0, 0].tolist()
        moved.append([group.state.alphas.detach()[0, kind] / rates[kind] for kind in range(2)])
    for tight, loose in zip(*moved, strict=True):
        cells_at_the_bound = tight[..., :2].abs() / 1e-6  # convolutions have rewards in both cells
        assert torch.allclose(cells_at_the_bound, cells_at_the_bound.round(), atol=1e-3)
        assert cells_at_the_bound.max() == pytest.approx(2, rel=1e-3) and loose.abs().max() > 1e-3


def test_genotypes_agree() -> None:
    group = group_of(XNAS, seeds=[3], space=ORIGINAL)
    for seed in range(20):
        alphas, left = random_alphas(seed, ORIGINAL), random_left(seed)
        found = group.strategy.derive(run_with(group, alphas, {LEFT: left}))
        assert found is not None
        for edges, matrix, keeps in zip((found.normal, found.reduce), alphas.tolist(), left.tolist(), strict=True):
            assert list(edges) == cell(matrix, keeps, ORIGINAL.operations)


def test_it_replays_and_resumes() -> None:
    assert len(assert_replays(XNAS, last=ROUNDS).runs) == 2
    assert_resumes(XNAS, stops=[1, 2, 3, 4, 5], last=ROUNDS)
    assert_resumes(replace(XNAS, options=SUMMED), stops=[3], last=ROUNDS, seeds=(3, 5))


@pytest.mark.usefixtures("doubles")
def test_seeds_do_not_mix() -> None:
    assert_seeds_do_not_mix(XNAS, last=5, side=SIDE)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bound": 0}, "takes a number above 0"),
        ({"cells": "all"}, "takes one of each, summed"),
        ({"wipeout": 1}, "takes true or false"),
        ({"eta": 0.1}, "unknown option 'eta'"),
    ],
)
def test_options_that_cannot_be_are_one_line(options: dict[str, Any], message: str) -> None:
    assert_refused(XNAS, message, **options)
