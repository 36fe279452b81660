"""ASAP: steps and masks against plain torch, the schedule, the end of a search, and the derivation."""

from collections import defaultdict
from dataclasses import replace
from typing import Any

import plain_asap as plain
import pytest
import torch
from plain_pass import World

from dropnas.search.state import SeedRun
from dropnas.search.strategies.asap import Asap
from dropnas.search.strategies.shrinking import LEFT, best_left
from dropnas.search.strategies.two_level import WEIGHTS_ONLY
from dropnas.search.strategy import Batch
from dropnas.space.spaces import ORIGINAL, edges
from tests.unit.search.against_plain import assert_refused, assert_steps_agree, random_alphas, random_left, run_with
from tests.unit.search.groups import CONFIG, SMALL, group_of, train
from tests.unit.search.strategy_checks import IMAGES, assert_replays, assert_resumes, assert_seeds_do_not_mix

FIRST = 1.02  # above the grace temperature in the first of four epochs, and below it from the second on
OPTIONS = {"schedule": "absolute", "temperature": FIRST}
ASAP = replace(CONFIG, strategy="asap", epochs=4, alpha_scale=1.0, alpha_learning_rate=0.2, options=OPTIONS)
ONCE = OPTIONS | {"interval": "epoch"}
QUICK = OPTIONS | {"threshold": 0.999, "count": "edge"}  # of two operations on an edge, the weaker one is pruned


def made(**options: Any) -> Asap:
    return Asap(replace(ASAP, epochs=50), ORIGINAL, **options)


class Reference:
    """Plain steps of several worlds, each with its mask."""

    def __init__(self, interval: str, shrinks: bool) -> None:
        self.left: defaultdict[int, plain.Left] = defaultdict(lambda: plain.all_left(len(SMALL.operations)))
        self.interval, self.shrinks, self.steps = interval, shrinks, defaultdict[int, int](int)

    def step(self, world: World, epoch: int, batch: Batch) -> float:
        left, number = self.left[id(world)], self.steps[id(world)] % 2
        self.steps[id(world)] += 1
        temperature = plain.temperature(epoch + (number / 2 if self.interval == "step" else 0), FIRST)
        grace = 1.0 if epoch else 0.0  # decided once per epoch
        training = batch.images, batch.labels
        assert batch.held_out is not None
        loss = plain.step(world, left, temperature, grace, training, batch.held_out)
        if self.interval == "step" and epoch:
            plain.prune(world, left, temperature, shrinks=self.shrinks)
        return loss

    def end_epoch(self, world: World, epoch: int) -> None:
        if self.interval == "epoch" and epoch:
            plain.prune(world, self.left[id(world)], plain.temperature(epoch, FIRST), shrinks=self.shrinks)

    def compare(self, run: SeedRun, world: World) -> None:
        assert run.memory[LEFT].tolist() == list(self.left[id(world)].values())


@pytest.mark.usefixtures("doubles")
@pytest.mark.parametrize("interval", ["step", "epoch"])
@pytest.mark.parametrize("count", ["space", "edge"])
def test_steps_and_masks_agree_with_the_plain_implementation(interval: str, count: str) -> None:
    config = replace(ASAP, options=OPTIONS | {"interval": interval, "count": count, "alpha_gradient_clip": 0.01})
    reference = Reference(interval, count == "edge")
    group = assert_steps_agree(config, reference.step, reference.end_epoch, reference.compare, steps=6, alpha_clip=0.01)
    left = group.state.memory[LEFT].sum(dim=-1)
    assert left.min() == 1 and left.max() > 1 and left.float().mean() < 3.5


def test_the_schedule_is_the_published_one() -> None:
    strategy = made()
    assert strategy.frozen_epochs == 10
    assert [strategy.variant(epoch) for epoch in (0, 9, 10, 49)] == [WEIGHTS_ONLY, WEIGHTS_ONLY, "", ""]
    for epoch in range(50):
        assert strategy.temperature(epoch) == pytest.approx(plain.temperature(epoch), rel=1e-12)
    within = strategy.draw(12, 4, torch.Generator())["temperature"]
    assert within.tolist() == pytest.approx([plain.temperature(12 + step / 4) for step in range(4)])
    constant = made(interval="epoch").draw(12, 4, torch.Generator())["temperature"]
    assert constant.tolist() == pytest.approx([plain.temperature(12)] * 4)


def test_a_shorter_search_cools_as_far_unless_the_schedule_is_absolute() -> None:
    short = replace(ASAP, epochs=5)
    scaled, absolute = Asap(short, ORIGINAL), Asap(short, ORIGINAL, schedule="absolute", grace_temperature=1.5)
    assert [scaled.temperature(epoch) for epoch in range(5)] == [made().temperature(10 * epoch) for epoch in range(5)]
    assert scaled.frozen_epochs == 1 and absolute.frozen_epochs == 2
    assert absolute.temperature(2) == pytest.approx(1.6 * 0.95**2)


def test_in_the_first_epochs_alphas_and_masks_stay() -> None:
    group = group_of(ASAP, [3], images=IMAGES)
    before = group.state.alphas.detach().clone()
    train(group, last=2)
    assert torch.equal(group.state.alphas, before) and bool(group.state.memory[LEFT].all())
    train(group, first=2, last=3)
    assert not torch.equal(group.state.alphas, before) and not bool(group.state.memory[LEFT].all())


def test_pruned_operations_are_not_computed_and_have_no_gradient() -> None:
    group = group_of(ASAP, [3], images=IMAGES)
    train(group, last=4)
    left = group.state.of_cells(group.state.memory[LEFT])
    before = {name: buffer.clone() for name, buffer in group.runs[0].supernet.named_buffers()}
    train(group, first=4, last=5)
    after = dict(group.runs[0].supernet.named_buffers())
    counts = [name for name in before if name.endswith("num_batches_tracked") and ".edges." in name]
    for name in counts:
        _, cell, _, edge, operation, *_ = name.split(".")
        computed = bool(left[0, int(cell), int(edge), int(operation)])
        assert int(after[name] - before[name]) == int(computed)
    assert {bool(after[name] > before[name]) for name in counts} == {True, False}


@pytest.mark.parametrize("options", [QUICK, QUICK | {"interval": "epoch"}])
def test_it_ends_when_each_edge_has_one_operation(options: dict[str, Any]) -> None:
    group = group_of(replace(ASAP, epochs=8, options=options), [3], images=IMAGES)
    train(group, last=2)
    assert not group.stopped
    number = 2
    while not group.stopped:
        train(group, first=number, last=number + 1)
        number += 1
    assert number < 16
    run = group.runs[0]
    results = group.strategy.results(run)
    assert results == {"stop_reason": "one operation is left on each edge", "operations_left": 28}
    found, survivors = group.strategy.derive(run), run.memory[LEFT].int().argmax(dim=-1)[0].tolist()
    assert found is not None
    for number, (name, predecessor) in enumerate(found.normal):
        survivor = SMALL.operations[survivors[edges().index((2 + number // 2, predecessor))]]
        assert survivor in (name, "none")


@pytest.mark.parametrize("score", ["alpha", "weight"])
def test_genotypes_agree(score: str) -> None:
    group = group_of(replace(ASAP, options=OPTIONS | {"score": score}), seeds=[3], space=ORIGINAL)
    for seed in range(20):
        alphas, left = random_alphas(seed, ORIGINAL), random_left(seed)
        run = run_with(group, alphas, {LEFT: left})
        scores = alphas.tolist()
        if score == "weight":
            weights = [
                [dict(plain.phi(row, keeps, plain.temperature(0, FIRST))) for row, keeps in zip(a, b, strict=True)]
                for a, b in zip(alphas, left.tolist(), strict=True)
            ]
            scores = [[[float(edge.get(index, 0)) for index in range(8)] for edge in kind] for kind in weights]
        found = group.strategy.derive(run)
        assert found is not None
        for cell, matrix, keeps in zip((found.normal, found.reduce), scores, left.tolist(), strict=True):
            assert list(cell) == plain.cell(matrix, keeps, ORIGINAL.operations)


def test_an_edge_on_which_only_zero_is_left_comes_last() -> None:
    scores, left = torch.zeros(2, 14, 8), torch.ones(2, 14, 8, dtype=torch.bool)
    scores[0, 2, 3], scores[0, 2, 7] = 9.0, 10.0  # from the first input to the second node
    left[0, 2] = torch.arange(8) == 7
    found = best_left(ORIGINAL, scores, left)
    assert found.normal[2:4] == (("sep_conv_3x3", 1), ("sep_conv_3x3", 2))
    left[0, 3] = left[0, 2]  # now the node has only one other edge
    assert best_left(ORIGINAL, scores, left).normal[2:4] == (("sep_conv_3x3", 2), ("dil_conv_5x5", 0))


def test_it_replays_and_resumes() -> None:
    replayed = assert_replays(ASAP, last=6)
    assert list(replayed.programs) == [WEIGHTS_ONLY, ""]
    assert_resumes(ASAP, stops=[1, 2, 3, 4, 5], last=6)
    assert_resumes(replace(ASAP, options=ONCE), stops=[2, 3, 4, 5], last=6)


@pytest.mark.usefixtures("doubles")
def test_seeds_do_not_mix() -> None:
    assert_seeds_do_not_mix(ASAP, last=5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": 1.0}, "takes a number above 0 and below 1"),
        ({"interval": "batch"}, "takes one of step, epoch"),
        ({"schedule": "absolute"}, "temperature never falls below 1.0 in 4 epochs, so that the alphas never move"),
        ({"grace_temperature": 0.1}, "never falls below 0.1 in 4 epochs"),
    ],
)
def test_options_that_cannot_be_are_one_line(options: dict[str, Any], message: str) -> None:
    assert_refused(ASAP, message, **options)
