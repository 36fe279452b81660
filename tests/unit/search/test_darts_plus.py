"""DARTS+: its step against plain torch, both criteria against plain loops, and a search that stops early."""

import json
from dataclasses import replace
from pathlib import Path

import plain_darts_plus as plain
import pytest
import torch

from dropnas.search.config import SearchConfig
from dropnas.search.seed_group import SeedGroup
from dropnas.search.strategies.darts_plus import DartsPlus
from dropnas.space.names import SKIP
from dropnas.space.spaces import ORIGINAL, SearchSpace
from tests.unit.search.against_plain import assert_refused, assert_steps_agree, random_alphas, run_with
from tests.unit.search.groups import CONFIG, SMALL, group_of, train
from tests.unit.search.strategy_checks import IMAGES, assert_replays, assert_resumes
from tests.unit.search.test_search_stage import CONFIG as STAGE
from tests.unit.search.test_search_stage import search

PLUS = replace(CONFIG, strategy="darts-plus")
RANKING = {"criterion": "ranking"}
READINGS = ("best", "operations", "edges")


def method(group: SeedGroup) -> DartsPlus:
    assert isinstance(group.strategy, DartsPlus)
    return group.strategy


def made(space: SearchSpace = ORIGINAL, **options: object) -> DartsPlus:
    return DartsPlus(PLUS, space, **options)  # type: ignore[arg-type]


@pytest.mark.usefixtures("doubles")
def test_steps_agree_with_the_plain_implementation() -> None:
    assert_steps_agree(
        replace(PLUS, epochs=4), lambda world, _, batch: plain.step(world, (batch.images, batch.labels), batch.held_out)
    )


@pytest.mark.parametrize("score", ["probability", "alpha"])
@pytest.mark.parametrize("seed", range(20))
def test_the_genotype_and_the_first_criterion_agree(seed: int, score: str) -> None:
    group = group_of(replace(PLUS, options={"score": score}), seeds=[3], space=ORIGINAL)
    alphas = random_alphas(seed, ORIGINAL)
    run = run_with(group, alphas)
    found = method(group).derive(run)
    normal, reduce = (plain.cell(matrix, ORIGINAL.operations, score) for matrix in alphas.tolist())
    assert (list(found.normal), list(found.reduce)) == (normal, reduce)
    for limit in range(1, 5):
        stops = plain.stops_by_skips(alphas[0].tolist(), ORIGINAL.operations, limit, score)
        assert (made(skip_connects=limit, score=score).reason(run.history) is not None) == stops


def test_the_score_can_decide() -> None:
    """The order of raw alphas of different edges differs from that of probabilities."""
    chosen = [
        [method(group).derive(run_with(group, random_alphas(seed, ORIGINAL))) for seed in range(20)]
        for group in (group_of(replace(PLUS, options={"score": s}), [3], ORIGINAL) for s in ("probability", "alpha"))
    ]
    assert chosen[0] != chosen[1]


@pytest.mark.parametrize("reading", READINGS)
@pytest.mark.parametrize("seed", range(20))
def test_the_second_criterion_agrees(seed: int, reading: str) -> None:
    """The alphas change less and less, so that each criterion is met at some time."""
    learnable, history = list(ORIGINAL.groups[0]), [random_alphas(seed, ORIGINAL)]
    for epoch in range(30):
        history.append(history[-1] + random_alphas(100 * seed + epoch + 1, ORIGINAL, scale=0.5**epoch))
    matrices = [{"normal": alphas[0].tolist(), "reduce": alphas[1].tolist()} for alphas in history]
    strategy = made(criterion="ranking", ranking=reading, patience=4)
    found, expected = list[bool](), list[bool]()
    for last in range(1, len(history) + 1):
        normal = [each["normal"] for each in matrices[:last]]
        expected.append(plain.stops_by_ranking(normal, learnable, reading, 4, "probability"))
        found.append(strategy.reason(matrices[:last]) is not None)
    assert found == expected and not any(found[:4]) and found[-1]


def test_the_readings_of_the_ranking_differ() -> None:
    """The best operation becomes constant earlier than the whole order."""
    start, swapped, ranked = (torch.zeros(2, 14, 8) for _ in range(3))
    start[..., :4] = torch.tensor([3.0, 2.0, 1.0, 0.0])
    swapped[..., :4] = torch.tensor([3.0, 1.0, 2.0, 0.0])  # the best operation of each edge stays
    ranked.copy_(start)
    ranked[0, 5] += 1.0
    ranked[0, 5, 4:] -= 20.0  # another edge comes first

    def stops(reading: str, other: torch.Tensor) -> bool:
        history = [{"normal": alphas[0].tolist(), "reduce": alphas[1].tolist()} for alphas in (start, other)]
        return made(criterion="ranking", ranking=reading, patience=1).reason(history) is not None

    assert [stops(reading, swapped) for reading in READINGS] == [True, False, True]
    assert [stops(reading, ranked) for reading in READINGS] == [True, True, False]


def skips_from(epoch: int, group: SeedGroup) -> None:
    """Make skip-connects the best on all edges after that epoch."""
    end_epoch = group.strategy.end_epoch

    def ending(now: int, run: object) -> bool:
        if now >= epoch:
            group.state.alphas.detach()[..., SMALL.operations.index(SKIP)] = 5.0
        return end_epoch(now, run)  # type: ignore[arg-type]

    group.strategy.end_epoch = ending  # type: ignore[method-assign]


@pytest.mark.parametrize(("cell", "skips"), [("stopping", 8), ("before", 0)])
def test_skip_connects_end_a_search_and_an_option_takes_the_cell_before(cell: str, skips: int) -> None:
    group = group_of(replace(PLUS, alpha_learning_rate=1e-9, options={"cell": cell}), [3], images=IMAGES)
    group.state.alphas.detach()[..., 0] = 1.0  # until then a convolution is the best everywhere
    skips_from(1, group)
    train(group, last=2)
    assert not group.stopped
    train(group, first=2, last=4)
    assert group.stopped
    run = group.runs[0]
    assert sum(name == SKIP for name, _ in method(group).derive(run).normal) == skips
    assert method(group).results(run) == {"stop_reason": "8 skip-connects in the normal cell"}


def test_a_ranking_that_stays_ends_a_search_after_so_many_epochs() -> None:
    config = replace(PLUS, epochs=5, alpha_learning_rate=1e-9, options=RANKING | {"patience": 3})
    group = group_of(config, [3], images=IMAGES)
    train(group, last=4)
    assert not group.stopped
    train(group, first=4, last=6)
    assert group.stopped
    assert method(group).results(group.runs[0]) == {"stop_reason": "the ranking has not changed, with patience 3"}


def test_a_search_that_meets_no_criterion_says_so() -> None:
    group = group_of(replace(PLUS, options=RANKING), [3], images=IMAGES)
    train(group, last=6)
    assert not group.stopped
    assert method(group).results(group.runs[0]) == {"stop_reason": "the last epoch was reached"}


def test_it_replays_and_resumes() -> None:
    assert_replays(PLUS, last=4)
    assert_resumes(replace(PLUS, options=RANKING | {"patience": 2}), stops=[1, 2, 3], last=4)


ONE = SearchSpace("one", ("sep_conv_3x3",), ("max_pool_3x3", "none"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"criterion": "skips"}, "takes one of skip-connects, ranking, not 'skips'"),
        ({"patience": 0}, "takes a whole number at least 1"),
        ({}, "the space 'one' has no skip_connect"),
        (RANKING, "has one convolutional operation"),
        (RANKING | {"ranking": "edges", "cell": "before"}, "cell: before needs criterion: skip-connects"),
    ],
)
def test_options_that_cannot_be_are_one_line(options: dict[str, str | int], message: str) -> None:
    assert_refused(PLUS, message, ONE, **options)


def test_the_stage_writes_genotype_and_reason(dataset: Path, tmp_path: Path) -> None:
    config = SearchConfig(**(vars(STAGE) | {"strategy": "darts-plus", "options": RANKING | {"patience": 1}}))
    found = search(replace(config, epochs=4, alpha_learning_rate=1e-9), dataset, tmp_path)
    result = json.loads(found["result.json"])
    assert result["epochs"] == 1 and result["stop_reason"] == "the ranking has not changed, with patience 1"
    assert len(json.loads(found["genotype.json"])["normal"]) == 8
