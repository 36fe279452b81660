"""Random search with weight sharing: steps, scores and selection against plain torch; the draws; interruptions."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import plain_random_weight_sharing as plain
import pytest
import torch
from plain_pass import World
from torch import Tensor

from dropnas.data import arrays
from dropnas.search import stage
from dropnas.search.config import SearchConfig
from dropnas.search.seed_group import SeedGroup
from dropnas.search.step import batch_of
from dropnas.search.strategies.drawn_architecture import draw_architecture, genotype_of
from dropnas.search.strategies.random_weight_sharing import RandomWeightSharing
from dropnas.search.strategy import Batch
from dropnas.space.genotype import Genotype
from dropnas.space.spaces import ONE_SKIP, ORIGINAL, SearchSpace, edges, find_space
from dropnas.training import determinism
from dropnas.training.loop import train as train_to_the_end
from dropnas.training.seeding import generator
from dropnas.workspace import Workspace
from tests.unit.search.against_plain import assert_refused, assert_steps_agree, world_of
from tests.unit.search.groups import CONFIG, SMALL, assert_equal, group_of, resumed, train
from tests.unit.search.strategy_checks import IMAGES, assert_replays, assert_seeds_do_not_mix
from tests.unit.search.test_search_stage import CONFIG as STAGE
from tests.unit.search.test_search_stage import KilledError, Mortal, search

NAME = "random-weight-sharing"
SCORED = {"rounds": 2, "architectures": 6, "batches": 3, "finalists": 2, "short": "all"}
SHARING = replace(CONFIG, strategy=NAME, epochs=2, options=SCORED)
TRAINED, CLOSING = 4, 16  # two epochs of two batches; two rounds of six architectures and two finalists
OPERATIONS, ZERO = len(SMALL.operations), SMALL.operations.index("none")


def architecture(mask: Tensor) -> plain.Architecture:
    normal, reduce = ({edge: row.index(True) for edge, row in enumerate(kind) if any(row)} for kind in mask.tolist())
    plain.check((normal, reduce))
    return normal, reduce


def to_the_end(group: SeedGroup, first: int = 0, last: int = TRAINED + CLOSING) -> None:
    """Run the steps `first` to `last`, counted over both epochs; the closing steps come last."""
    train(group, last=min(last, 2), first=first)
    for step in range(max(first, 2), last):
        if step == 2:
            group.start_epoch(1)
        group.step(1, step - 2)
    if last == TRAINED + CLOSING:
        group.finish_epoch(1)


def method(group: SeedGroup) -> RandomWeightSharing:
    assert isinstance(group.strategy, RandomWeightSharing)
    return group.strategy


@pytest.mark.usefixtures("doubles")
@pytest.mark.parametrize("statistics", ["drawn", "all"])
def test_steps_agree_with_the_plain_implementation(statistics: str) -> None:
    def step(world: World, epoch: int, batch: Batch) -> float:
        drawn = architecture(batch.drawn["architecture"])
        rows = plain.rows_of(drawn, OPERATIONS, ZERO, everything=statistics == "all")
        return world.weight_step((batch.images, batch.labels), rows)

    config = replace(SHARING, epochs=3, options=SCORED | {"statistics": statistics})
    group = assert_steps_agree(config, step, steps=4)
    assert not group.state.alphas.any()
    counts = {int(b) for name, b in group.runs[0].supernet.named_buffers() if "batches" in name}
    assert counts == {4} if statistics == "all" else {0, 1, 4} < counts


def batches_of(group: SeedGroup, drawn: Iterable[dict[str, Tensor]]) -> list[tuple[Tensor, Tensor]]:
    found = [batch_of(group.images, group.config, {name: v[None] for name, v in each.items()}) for each in drawn]
    return [(images[0], labels[0]) for images, labels in found]


def errors_of(group: SeedGroup, index: int, world: World) -> tuple[list[list[float]], list[list[float]]]:
    """For each round, the plain errors on a few batches and on all held-out images."""
    strategy, run = method(group), group.runs[index]
    scores, finals = [], []
    for number in range(2):
        masks = [architecture(strategy.candidate(run, number, place)) for place in range(6)]
        firsts = [3 * (6 * number + place) for place in range(6)]
        few = [batches_of(group, [strategy.batch(run, first + b) for b in range(3)]) for first in firsts]
        every = [batches_of(group, strategy.all_batches(run, number, place)) for place in range(6)]
        scores.append([plain.error(world, *pair, OPERATIONS, ZERO) for pair in zip(masks, few, strict=True)])
        finals.append([plain.error(world, *pair, OPERATIONS, ZERO) for pair in zip(masks, every, strict=True)])
    return scores, finals


@pytest.mark.usefixtures("doubles")
@pytest.mark.parametrize("seeds", [(0, 1), (2, 3), (4, 5)])
def test_the_choice_agrees_with_the_plain_implementation(seeds: tuple[int, int]) -> None:
    group = group_of(replace(SHARING, batch_size=3), seeds, images=IMAGES)
    steps = 2 * len(group.sizes)
    train(group, last=steps // 2)
    group.start_epoch(1)
    errors = [group.step(1, step) for step in range(group.steps_per_epoch)][len(group.sizes) :]
    for index in range(2):
        world = world_of(group, index)
        scores, finals = errors_of(group, index, world)
        number, place, error = plain.select(scores, finals, finalists=2)
        run = group.runs[index]
        ours = [each[index].item() for each in errors]
        assert ours[:6] == scores[0] and ours[8:14] == scores[1]
        assert run.memory["chosen"].tolist() == [number, place] and run.memory["chosen_error"].item() == error
        assert method(group).derive(run) == genotype_of(SMALL, method(group).candidate(run, number, place))
        assert method(group).results(run) == {"selection_error": 100 * error, "selection_scored": 12}


def test_genotypes_are_the_masks() -> None:
    for seed in range(20):
        mask = draw_architecture(range(8), 8, generator(seed, "architecture"))
        found, drawn = genotype_of(ORIGINAL, mask), architecture(mask)
        for cell, expected in zip((found.normal, found.reduce), drawn, strict=True):
            assert list(cell) == [(ORIGINAL.operations[o], edges()[edge][1]) for edge, o in sorted(expected.items())]


def test_draws_are_uniform() -> None:
    """The frequencies of each edge and each operation, within four standard deviations."""
    random, draws = generator(0, "architecture"), 3000
    masks = torch.stack([draw_architecture([0, 2, 3], 4, random) for _ in range(draws)]).double()
    shares = masks.sum(dim=-1).mean(dim=0)
    for number, (node, _) in enumerate(edges()):
        share = 2 / node
        assert (shares[:, number] - share).abs().max() <= 4 * (share * (1 - share) / draws) ** 0.5
    operations = masks.sum(dim=(0, 1, 2)) / masks.sum()
    assert operations[1] == 0 and (operations[[0, 2, 3]] - 1 / 3).abs().max() < 4 * (2 / 9 / (16 * draws)) ** 0.5
    assert len({tuple(mask.flatten().nonzero().flatten().tolist()) for mask in masks}) > 0.99 * draws


def test_scores_pass_over_the_held_out_images_again_and_again() -> None:
    group = group_of(replace(SHARING, batch_size=3), [3], images=IMAGES)
    strategy, run = method(group), group.runs[0]
    passes = [[strategy.batch(run, 3 * number + place)["order"].tolist() for place in range(3)] for number in range(4)]
    for of_pass in passes:
        assert [len(batch) for batch in of_pass] == [3, 3, 1]
        assert sorted(chain(*of_pass)) == run.held_out.tolist()
    assert len({str(of_pass) for of_pass in passes}) == 4
    finals = [batch["order"].tolist() for batch in strategy.all_batches(run, 0, 0)]
    assert list(chain(*finals)) == run.held_out.tolist()


def test_images_of_the_selection_are_augmented_or_plain() -> None:
    group = group_of(SHARING, [3], images=IMAGES)
    run, original = group.runs[0], group.images
    for images, expected in (("plain", True), ("augmented", False)):
        strategy = RandomWeightSharing(SHARING, SMALL, images=images)
        drawn = strategy.batch(run, 0)
        ((found, _),) = batches_of(group, [drawn])
        raw = found * original.std[:, None, None] + original.mean[:, None, None]
        assert torch.allclose(raw, original.batch(drawn["order"]) / 255, atol=1e-6) == expected


def test_zero_can_be_left_out_and_a_space_need_not_have_it() -> None:
    group = group_of(replace(SHARING, options=SCORED | {"zero": False}), [3], images=IMAGES)
    candidates = [method(group).candidate(group.runs[0], 0, place) for place in range(40)]
    assert not any(mask[..., ZERO].any() for mask in candidates)
    assert any(method(group_of(SHARING, [3])).candidate(group.runs[0], 0, place)[..., ZERO].any() for place in range(9))
    without = SearchSpace("without", ("sep_conv_3x3",), ("max_pool_3x3", "skip_connect"))
    other = group_of(SHARING, [3], without, images=IMAGES)
    to_the_end(other)
    assert isinstance(method(other).derive(other.runs[0]), Genotype)


@pytest.mark.parametrize(
    ("epochs", "options", "expected"),
    [
        (150, {}, (5, 1000, 10)),  # 391 batches an epoch, as on CIFAR-10
        (150, {"rounds": 1}, (1, 1000, 10)),
        (25, {}, (1, 978, 10)),
        (25, {"short": "all"}, (1, 1000, 10)),
        (1, {"architectures": 100}, (1, 4, 4)),
        (52, {"architectures": 100, "finalists": 3}, (2, 100, 3)),
    ],
)
def test_the_selection_grows_with_the_training(epochs: int, options: dict[str, Any], expected: Any) -> None:
    config = replace(SHARING, epochs=epochs, batch_size=64, options={})
    run = group_of(SHARING, [3]).runs[0]
    run.trained = torch.arange(25_000)
    assert RandomWeightSharing(config, ORIGINAL, **options).selection(run) == expected


def test_it_is_replayed() -> None:
    assert_replays(SHARING, last=2)


@pytest.mark.usefixtures("doubles")
def test_seeds_do_not_mix() -> None:
    assert_seeds_do_not_mix(replace(SHARING, epochs=9), last=5)


@pytest.mark.parametrize(
    ("seeds", "stops"),
    [((3,), [1, 3, 4, 5, 9, 10, 11, 12, 19]), ((3, 5), [4, 7])],  # in both epochs and rounds, at and between finalists
)
def test_killed_anywhere_it_continues_to_the_bit(seeds: tuple[int, ...], stops: list[int]) -> None:
    config = replace(SHARING, cells=1)
    straight, killed = (group_of(config, seeds, images=IMAGES) for _ in range(2))
    for first, stop in pairwise([0, *stops]):
        for group in (straight, killed):
            to_the_end(group, first, stop)
        assert_equal(killed, straight)
        killed = resumed(group_of(config, seeds, images=IMAGES), killed.state_dicts(), 0 if stop < 2 else 2)
    for group in (straight, killed):
        to_the_end(group, stops[-1])
    assert_equal(killed, straight)
    assert method(killed).derive(killed.runs[0]) == method(straight).derive(straight.runs[0]) is not None


def test_the_stage_goes_on_inside_the_selection(dataset: Path, tmp_path: Path) -> None:
    options = SCORED | {"batches": 1}
    config = SearchConfig(**(vars(STAGE) | {"strategy": NAME, "options": options, "cells": 1}))
    straight = search(config, dataset, tmp_path / "straight")
    scratch = Workspace(tmp_path / "killed/scratch", "identity", checkpoint_seconds=0)
    for lifetime in (6, 8):  # in the first round, in the second
        determinism.apply(config.seed, "cpu", 1)
        mortal = Mortal([config], find_space(config.space), arrays.load(dataset, "train"), "cpu")
        mortal.lifetime = lifetime
        with pytest.raises(KilledError):
            train_to_the_end(mortal, config.epochs, [scratch])
    out = tmp_path / "out"
    out.mkdir()
    stage.run(config, [dataset], out, Workspace(tmp_path / "killed/scratch", "identity"))
    assert {path.name: path.read_bytes() for path in out.iterdir()} == straight
    assert b"selection_error" in straight["result.json"] and "genotype.json" in straight


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"architectures": 5}, "10 finalists of 5 architectures; take fewer finalists, or more architectures"),
        ({"batches": 0}, "takes a whole number at least 1"),
        ({"short": "none"}, "takes one of share, all"),
    ],
)
def test_options_that_cannot_be_are_one_line(options: dict[str, Any], message: str) -> None:
    assert_refused(SHARING, message, ONE_SKIP, **options)


def test_equal_scores_keep_the_earlier_architecture(monkeypatch: pytest.MonkeyPatch) -> None:
    errors = iter([0.5, 0.2, 0.5, 0.2, 0.2, 0.9, 0.4, 0.4, 0.3, 0.1, 0.3, 0.3, 0.1, 0.1, 0.4, 0.4])
    monkeypatch.setattr(f"{RandomWeightSharing.__module__}.error_of", lambda *_: next(errors))
    group = group_of(SHARING, [3], images=IMAGES)
    run, finalists = group.runs[0], list[list[int]]()
    for step in range(CLOSING):
        method(group).close(run, step)
        if step in (5, 13):
            finalists.append(run.memory["finalists"].tolist())
    assert finalists == [[1, 3], [1, 4]]
    assert run.memory["chosen"].tolist() == [0, 1] and run.memory["chosen_error"] == 0.4
