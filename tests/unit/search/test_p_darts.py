"""P-DARTS against its plain implementation over all phases, its options, its derivation, and how it is interrupted."""

from dataclasses import replace
from functools import partial
from typing import Any

import plain_p_darts as plain
import pytest
import torch
from torch import Tensor

from dropnas.errors import DropnasError
from dropnas.search.config import SearchConfig
from dropnas.search.methods import authors_settings
from dropnas.search.seed_group import SeedGroup
from dropnas.search.strategies.p_darts import PDarts
from dropnas.search.strategies.skip_dropout import SkipDropout, random_bits
from dropnas.search.strategy import Batch, make_strategy
from dropnas.space.genotype import Genotype
from dropnas.space.spaces import ORIGINAL, THREE_SKIP, SearchSpace
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

SPACE = SearchSpace("five", ("dil_conv_3x3", "sep_conv_3x3"), ("max_pool_3x3", "none", "skip_connect"))
IMAGES, STEPS = 14, 12  # seven for w: two steps per epoch, two epochs per phase, the first one frozen
OPTIONS = {
    "added_cells_2": 2,  # 1, 3 and 1 cells
    "added_cells_3": 0,
    "dropped_1": 1,
    "dropped_2": 1,
    "skip_dropout_2": 0.5,
    "alpha_gradient_clip": 0.01,  # the clip is active
    "frozen_part": 0.5,
}
P_DARTS = replace(CONFIG, strategy="p-darts", cells=1, epochs=2, alpha_scale=1.0, options=OPTIONS)
SHALLOW = replace(P_DARTS, options=OPTIONS | {"added_cells_2": 0})
CHANGES = [3, 4, 5, 6, 8, 9, 11]  # before, at and after a phase begins or the alphas begin to move


# --- the steps of all phases ----------------------------------------------------------------------------------------


def world_of(group: SeedGroup, index: int, kept: dict[str, Tensor]) -> plain.Plain:
    run = group.runs[index]
    alphas = dict(zip(plain.KINDS, leaves_of(run.alphas), strict=True))
    return plain.Plain(
        run.space.operations, len(run.supernet.kinds), leaves_of(run.supernet.parameters()), alphas, kept
    )


def dropped_of(batch: Batch, index: int, number: int, rate: float) -> plain.Dropped:
    """The dropout of a seed in one of the passes (of the alphas or of w), by the drawn keys."""

    def dropped(cell: int, edge: int, operation: int, answer: Tensor) -> Tensor:
        if not rate:
            return answer
        key = batch.drawn["keys"][index, number, (cell * 14 + edge) * len(SPACE.operations) + operation]
        kept = (random_bits(key, answer.numel()).view(answer.shape).double() + 2**15) / 2**16 >= rate
        return answer * kept / (1 - rate)

    return dropped


@pytest.mark.usefixtures("doubles")
def test_the_steps_of_all_phases_agree_with_the_plain_implementation() -> None:
    config = replace(P_DARTS, options=OPTIONS | {"skip_dropout_3": 0.3})
    group, worlds = group_of(config, space=SPACE, images=IMAGES), list[plain.Plain]()
    seen = recorded(group)
    for number in range(STEPS):
        epoch, step = divmod(number, 2)
        phase, within = divmod(epoch, 2)
        if not step:
            group.start_epoch(epoch)
        if not step and not within:
            worlds = [world_of(group, index, kept_of(worlds[index : index + 1])) for index in range(2)]
        losses = group.step(epoch, step)
        batch = seen[-1]
        rate = plain.dropout_rate((0.0, 0.5, 0.3)[phase], within, epochs=2, frozen=1)
        for index, world in enumerate(worlds):
            assert batch.held_out is not None
            pairs = [
                (images[index], labels[index]) for images, labels in ((batch.images, batch.labels), batch.held_out)
            ]
            dropped = {name: dropped_of(batch, index, place, rate) for place, name in enumerate(("alphas", "weights"))}
            clip = OPTIONS["alpha_gradient_clip"] if within else None
            loss = plain.step(world, *pairs, dropped, group.state.weight_optimiser.learning_rate, config, clip)
            assert losses[index].item() == pytest.approx(loss, rel=1e-9)
            weights = torch.cat([weight.detach().flatten() for weight in world.weights])
            assert torch.allclose(group.state.weights[index], weights, rtol=0, atol=1e-9)
            assert torch.allclose(group.state.alphas[index], torch.stack([*world.alphas.values()]), rtol=0, atol=1e-9)
            if phase:
                assert torch.equal(group.state.memory["kept"][index], torch.stack([*world.kept.values()]))
        if step:
            group.finish_epoch(epoch)
    assert torch.equal(group.state.memory["kept"].sum(-1), torch.full((2, 2, 14), 3))
    assert not torch.equal(*group.state.memory["kept"])  # the seeds prune differently


def kept_of(before: list[plain.Plain]) -> dict[str, Tensor]:
    """The result of the previous phase."""
    if not before:
        return {kind: torch.ones(14, len(SPACE.operations), dtype=torch.bool) for kind in plain.KINDS}
    (world,) = before
    return {kind: plain.pruned(world.alphas[kind].detach(), world.kept[kind], 1) for kind in plain.KINDS}


def test_of_equal_alphas_the_lower_index_leaves() -> None:
    strategy = make_strategy(P_DARTS, SPACE)
    first = strategy.memory(1, {"alphas": torch.zeros(2, 14, 5)})
    second = strategy.memory(2, {"alphas": torch.zeros(2, 14, 5), **first})
    for found, kept in ((first, [False, True, True, True, True]), (second, [False, False, True, True, True])):
        assert torch.equal(found["kept"], torch.tensor(kept).expand(2, 14, -1))


@pytest.mark.parametrize("grouped", [False, True])
def test_what_was_pruned_is_not_computed(grouped: bool) -> None:
    """The pruned operations have NaN weights, which would make a sum NaN even with weight 0."""
    options = SHALLOW.options | {"dropped_1": 2, "dropped_2": 0}
    group = group_of(replace(SHALLOW, group_seeds=grouped, options=options), (3, 5), SPACE, IMAGES)
    train(group, last=4)
    group.start_epoch(2)
    kept = group.state.memory["kept"].any(dim=0)  # by any seed
    pruned = [
        weight
        for run in group.runs
        for slot, (_, operation) in enumerate(run.supernet.operations())
        if not kept[1].flatten()[slot]
        for weight in operation.parameters()
    ]
    with torch.no_grad():
        for weight in pruned:
            weight.fill_(torch.nan)
    assert pruned and torch.isfinite(group.step(2, 0)).all()


def test_metrics_count_what_is_left() -> None:
    group = group_of(replace(SHALLOW, alpha_scale=0.0), (3,), SPACE, IMAGES)
    rows = [row[0] for row in train(group, last=STEPS) if isinstance(row, list)]
    entropies = [row["alpha_entropy_normal"] for row in rows]  # of equal alphas: only cells of one kind train
    logarithms = torch.tensor([5, 5, 4, 4, 3, 3]).double().log().tolist()
    assert entropies == pytest.approx(logarithms)


# --- dropout --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", [1, 2])
def test_the_rate_of_dropout(phase: int) -> None:
    strategy = make_strategy(SearchConfig(strategy="p-darts", **authors_settings("p-darts")), ORIGINAL)  # type: ignore[arg-type]
    assert isinstance(strategy, PDarts)
    first = (0.0, 0.4, 0.7)[phase]
    found = [strategy.dropout_rate(phase, epoch) for epoch in range(25)]
    assert found == pytest.approx([plain.dropout_rate(first, epoch) for epoch in range(25)])
    assert found[9] < found[10] == first > found[11]  # it jumps back


def test_only_skip_connects_of_stride_one_have_dropout_and_only_where_there_is_a_rate() -> None:
    strategy = make_strategy(replace(P_DARTS, options=OPTIONS | {"skip_dropout_3": 0.0}), SPACE)
    counts = [
        sum(isinstance(module, SkipDropout) for module in strategy.make_supernet(phase, 5).modules())
        for phase in range(3)
    ]
    assert counts == [0, 14 + 6 + 6, 0]  # one normal cell and two reductions
    draws = [strategy.draw(2 * phase, 3, generator(0, "masks")) for phase in range(3)]
    assert [sorted(drawn) for drawn in draws] == [[], ["keys", "scale", "threshold"], []]
    keys = draws[1]["keys"]
    assert keys.shape == (3, 2, 3 * 14 * 5) and len(keys.unique()) == keys.numel()


@pytest.mark.parametrize("dropout", ["elements", "operation"])
def test_dropout_of_elements_or_of_the_whole_operation(dropout: str) -> None:
    options = OPTIONS | {"dropout": dropout, "skip_dropout_1": 0.5}
    group = group_of(replace(SHALLOW, options=options), (3,), SPACE, IMAGES)
    train(group, last=1)
    modules = [module for module in group.runs[0].supernet.modules() if isinstance(module, SkipDropout)]
    parts = {float((module(torch.ones(2, 2, 4, 4)) == 0).double().mean()) for module in modules}
    assert (parts <= {0.0, 1.0}) == (dropout == "operation") and len(parts) > 1


# --- the derivation -------------------------------------------------------------------------------------------------


def finished(seed: int, scale: float, skip: float) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Alphas that favour skip-connects, with three kept operations on each edge."""
    draws = generator(seed, "alphas")
    alphas = scale * torch.randn(2, 14, 8, generator=draws)
    alphas[..., ORIGINAL.operations.index("skip_connect")] += skip
    order = (torch.rand(2, 14, 8, generator=draws) - (alphas > skip / 2) * skip).argsort(dim=-1)
    return {"alphas": alphas}, {"kept": torch.zeros(2, 14, 8, dtype=torch.bool).scatter_(-1, order[..., :3], True)}


@pytest.mark.parametrize("limit", [0, 1, 2, 8])
def test_genotypes_agree_with_the_plain_implementation(limit: int) -> None:
    strategy = make_strategy(replace(P_DARTS, options={"skip_limit": limit}), ORIGINAL)
    bites = 0
    for seed in range(20):
        architecture, memory = finished(seed, 0.3, 0.5)
        found = strategy.derive(run_of(ORIGINAL, architecture, memory))
        of_kinds = partial(plain.genotype, ORIGINAL.operations, architecture["alphas"].double(), memory["kept"])
        assert found is not None and [list(found.normal), list(found.reduce)] == of_kinds(limit)
        assert skips(found) <= limit
        bites += of_kinds(limit) != of_kinds(8)
    assert bites > 10 or limit == 8


def skips(genotype: Genotype) -> int:
    return sum(name == "skip_connect" for name, _ in genotype.normal)


def test_of_equal_edges_the_later_ones_are_chosen() -> None:
    architecture = {"alphas": torch.zeros(2, 14, 8)}
    found = make_strategy(replace(P_DARTS, options={}), ORIGINAL).derive(run_of(ORIGINAL, architecture))
    assert found is not None and [source for _, source in found.normal] == [0, 1, 1, 2, 2, 3, 3, 4]
    assert [source for _, source in found.reduce] == [0, 1, 1, 2, 2, 3, 3, 4]


# --- groups, recordings, interruptions ------------------------------------------------------------------------------


@pytest.mark.usefixtures("doubles")
def test_seeds_in_a_group_are_those_alone() -> None:
    assert_seeds_do_not_mix(SHALLOW, STEPS, IMAGES, SPACE)


def test_recorded_steps_give_the_same_bits() -> None:
    group = assert_replays(SHALLOW, STEPS, images=IMAGES, space=SPACE)
    assert list(group.programs) == ["weights only", ""]


def test_it_continues_to_the_bit() -> None:
    assert_resumes(SHALLOW, CHANGES, STEPS, (3, 5), IMAGES, SPACE)


def test_a_group_continues_to_the_bit() -> None:
    """The masks, which only the checkpoint has, determine what the group computes."""
    assert_resumes(replace(SHALLOW, group_seeds=True), (5, 8), STEPS, (3, 5), IMAGES, SPACE)


# --- its options ----------------------------------------------------------------------------------------------------


def test_the_authors_settings() -> None:
    strategy = make_strategy(SearchConfig(strategy="p-darts", **authors_settings("p-darts")), ORIGINAL)  # type: ignore[arg-type]
    assert isinstance(strategy, PDarts)
    assert strategy.phases == [(5, 25), (11, 25), (17, 25)]
    assert strategy.left == [8, 5, 3] and strategy.frozen_epochs == 10
    assert [strategy.learning_rate(phase, 0) for phase in range(3)] == [0.025] * 3
    assert strategy.config.learning_rate_min == 0.0 and strategy.alpha_gradient_clip == 5.0


@pytest.mark.parametrize(
    ("options", "space", "message"),
    [
        ({"dropped_1": 4}, ORIGINAL, "2 of the 8 operations of space 'original' are left in phase 3; 3 are needed"),
        ({"dropped_1": 7, "dropped_2": 7}, ORIGINAL, "-6 of the 8 operations"),
        ({}, THREE_SKIP, "3 of the 8 operations of space '3-skip' are left in phase 3; 5 are needed"),
        ({"skip_limit": 8, "dropped_2": 4}, ORIGINAL, "1 of the 8 .* 2 are needed"),
        ({"skip_dropout_2": 1.0}, ORIGINAL, "option 'skip_dropout_2' takes a number at least 0 and below 1, not 1.0"),
        ({"dropout": "edges"}, ORIGINAL, "option 'dropout' takes one of elements, operation, not 'edges'"),
        ({"skip_limit": 9}, ORIGINAL, "option 'skip_limit' takes a whole number at least 0 and at most 8, not 9"),
    ],
)
def test_mistakes_are_one_line(options: dict[str, Any], space: SearchSpace, message: str) -> None:
    with pytest.raises(DropnasError, match=message) as raised:
        make_strategy(replace(P_DARTS, options=options), space)
    assert "\n" not in str(raised.value) and "strategy 'p-darts'" in str(raised.value)
