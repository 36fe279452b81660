"""ProxylessNAS: its steps against the plain reference, its samples and schedule, and what its options change."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import plain_proxylessnas as plain
import pytest
import torch
from torch import Tensor

from dropnas.errors import DropnasError
from dropnas.search.config import SearchConfig
from dropnas.search.engine import engine
from dropnas.search.engine.mixing_weights import MixingWeights
from dropnas.search.methods import authors_settings
from dropnas.search.seed_group import SeedGroup
from dropnas.search.strategies.edgewise_adam import EdgewiseAdam
from dropnas.search.strategies.proxylessnas import ProxylessNas
from dropnas.search.strategies.two_level import WEIGHTS_ONLY
from dropnas.search.strategy import Batch, make_strategy
from dropnas.space.spaces import ORIGINAL, SearchSpace
from dropnas.training.seeding import generator
from tests.unit.search.groups import CONFIG, SMALL, assert_near, group_of, recorded, train, values
from tests.unit.search.strategy_checks import (
    IMAGES,
    assert_replays,
    assert_resumes,
    assert_seeds_do_not_mix,
)

OPTIONS = {"held_out": 0.5, "alpha_every": 1, "warm_up": 0.25}  # alphas are trained in each epoch but the first
PROXYLESS = replace(CONFIG, strategy="proxylessnas", epochs=4, alpha_beta1=0.0, alpha_weight_decay=0.0, options=OPTIONS)
TINY = replace(PROXYLESS, cells=1)


def strategy_of(group: SeedGroup) -> ProxylessNas:
    assert isinstance(group.strategy, ProxylessNas)
    return group.strategy


def made(**options: Any) -> ProxylessNas:
    strategy = make_strategy(replace(PROXYLESS, options=options), ORIGINAL)
    assert isinstance(strategy, ProxylessNas)
    return strategy


def rules_of(group: SeedGroup) -> plain.Rules:
    strategy, config = strategy_of(group), group.config
    return plain.Rules(
        epochs=config.epochs,
        warm_up_epochs=strategy.warm_up_epochs,
        frozen_epochs=strategy.frozen_epochs,
        learning_rate=config.learning_rate,
        learning_rate_min=config.learning_rate_min,
        warm_up_factor=strategy.options.warm_up_factor,
        momentum=config.momentum,
        nesterov=strategy.options.nesterov,
        clip=config.gradient_clip,
        weight_decay=config.weight_decay,
        alpha_learning_rate=config.alpha_learning_rate,
        alpha_every=strategy.options.alpha_every,
        all_paths=strategy.options.paths == "all",
        by_step=strategy.options.schedule == "step",
    )


def assert_same(group: SeedGroup, index: int, world: plain.Plain) -> None:
    found = {"w": group.state.weights[index], "alphas": group.state.alphas[index].detach()}
    flat = torch.cat([weight.detach().flatten() for weight in world.net.parameters()])
    assert_near(found, {"w": flat, "alphas": torch.stack([torch.stack(rows) for rows in world.alphas])})
    state = group.state_dicts()[index]["tensors"]
    momenta = [
        world.sgd.state[weight].get("momentum_buffer", torch.zeros_like(weight)) for weight in world.net.parameters()
    ]
    assert_near(
        {"momentum": state["sgd.momentum.0"]}, {"momentum": torch.cat([each.flatten() for each in momenta]).detach()}
    )


@pytest.mark.usefixtures("doubles")
@pytest.mark.parametrize(
    ("space", "options"),
    [
        (ORIGINAL, {}),
        (SMALL, {"samples": "cells", "nesterov": False, "schedule": "epoch", "alpha_every": 2}),
        (SMALL, {"paths": "all"}),
        (SMALL, {"paths": "all", "samples": "cells"}),
    ],
)
def test_steps_agree_with_the_plain_implementation(
    space: SearchSpace, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    group = group_of(replace(PROXYLESS, options=OPTIONS | options), space=space, images=IMAGES)
    worlds = [plain.Plain(run.supernet, run.alphas, rules_of(group)) for run in group.runs]
    seen, steps, moved = recorded(group), group.steps_per_epoch, 0
    for number in range(6):  # two of the warm-up, then four that train the alphas, all or every other one
        epoch, step = divmod(number, steps)
        if not step:
            group.start_epoch(epoch)
        losses, batch = group.step(epoch, step), seen[-1]
        for index, world in enumerate(worlds):
            noise, chance, moves = batch.drawn["noise"][index], batch.drawn["chance"][index], False
            rate = world.rate(epoch, step, steps)
            loss = world.weight_step(batch.images[index], batch.labels[index], noise[0], rate)
            if moves := world.moves_alphas(epoch, step, steps):
                assert batch.held_out is not None
                world.alpha_step(batch.held_out[0][index], batch.held_out[1][index], noise[1], chance)
            assert losses[index].item() == pytest.approx(loss, rel=1e-9)
            assert (batch.variant != WEIGHTS_ONLY) == moves
            assert_same(group, index, world)
        moved += moves
    assert moved in (2, 4)


def after(group: SeedGroup, steps: int, monkeypatch: pytest.MonkeyPatch) -> tuple[Tensor, Tensor, Batch]:
    """The weights and alphas before the last step, and the batch of that step."""
    seen = recorded(group)
    train(group, last=steps - 1)
    before = group.state.weights.clone(), group.state.alphas.detach().clone()
    train(group, first=steps - 1, last=steps)
    return *before, seen[-1]


def test_weights_that_are_not_sampled_stay_to_the_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    group = group_of(PROXYLESS, [3], images=IMAGES)
    weights, _, batch = after(group, 2, monkeypatch)
    kept = strategy_of(group).mixing(group.state, batch, "weights").kept
    assert kept is not None and (kept.sum(dim=-1) == 1).all()
    sampled = group.state.of_weights(kept)
    still = group.state.weights == weights
    assert still[~sampled].all() and still[sampled].double().mean() < 0.1
    assert (~sampled).double().mean() > 0.3


def test_the_p_of_operations_that_are_not_sampled_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    group = group_of(PROXYLESS, [3, 5], images=IMAGES)
    _, before, batch = after(group, 4, monkeypatch)
    now = group.state.alphas.detach()
    moved = now != before
    assert set(moved.sum(dim=-1).unique().tolist()) == {0, 2}  # no change where zero was active
    assert torch.allclose(now.softmax(-1)[~moved], before.softmax(-1)[~moved], rtol=1e-6)
    assert (now.softmax(-1) - before.softmax(-1)).abs().max() > 1e-4
    zeros = strategy_of(group).space.operations.index("none")
    with torch.no_grad():
        group.state.alphas.copy_(before)
    active = strategy_of(group).paths(group.state, batch).active
    assert torch.equal(moved.any(dim=-1), ~active[..., zeros])


def test_on_a_cpu_nothing_but_the_sample_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    counts, mixed_network = list[set[int]](), engine.mixed_network

    def noting(supernets: Any, images: Tensor, weights: Sequence[MixingWeights], *rest: Any) -> Tensor:
        counts.append({sum(operations) for of_cell in weights for operations in of_cell.computed})
        return mixed_network(supernets, images, weights, *rest)

    monkeypatch.setattr(engine, "mixed_network", noting)
    train(group_of(PROXYLESS, [3], images=IMAGES), last=4)
    assert counts == [{1}, {1}, {1}, {2}, {1}, {2}]  # w twice in the warm-up; then w and the alphas


def test_samples_have_the_probabilities_of_the_alphas() -> None:
    group = group_of(TINY, [3])
    strategy, state = strategy_of(group), group.state
    with torch.no_grad():
        state.alphas.copy_(torch.tensor([1.0, 0.0, -1.0, 0.5]).expand_as(state.alphas))
    drawn = strategy.draw(0, 1000, generator(0, "masks"))
    one, active, pairs = torch.zeros(4), torch.zeros(4), torch.zeros(4)
    for noise, chance in zip(drawn["noise"], drawn["chance"], strict=True):
        batch = Batch(torch.empty(0), torch.empty(0), {"noise": noise[None], "chance": chance[None]}, None, "")
        kept, paths = strategy.mixing(state, batch, "weights").kept, strategy.paths(state, batch)
        assert kept is not None
        one += kept.sum(dim=(0, 1, 2))
        pairs += paths.computed.sum(dim=(0, 1, 2))
        active += paths.active.sum(dim=(0, 1, 2))
    p = torch.tensor([1.0, 0.0, -1.0, 0.5]).softmax(0)
    assert (one / one.sum()).tolist() == pytest.approx(p.tolist(), abs=0.015)
    without = [sum(p[i] * p[j] / (1 - p[i]) for i in range(4) if i != j) for j in range(4)]
    assert (pairs / 28000).tolist() == pytest.approx([float(p[j] + without[j]) for j in range(4)], abs=0.015)
    chosen = [
        sum(p[i] * p[j] * (1 / (1 - p[i]) + 1 / (1 - p[j])) * p[j] / (p[i] + p[j]) for i in range(4) if i != j)
        for j in range(4)
    ]
    assert (active / 28000).tolist() == pytest.approx([float(value) for value in chosen], abs=0.015)


# ---- the schedule


def test_epochs_scale_with_the_search() -> None:
    settings = authors_settings("proxylessnas")
    published = make_strategy(SearchConfig(strategy="proxylessnas", **settings), ORIGINAL)  # type: ignore[arg-type]
    assert isinstance(published, ProxylessNas)
    assert (published.warm_up_epochs, published.frozen_epochs, published.weight_share) == (40, 41, 0.9)
    rates = [published.rate(epoch) for epoch in (0, 20, 39.999, 40, 100, 160)]
    assert rates == pytest.approx([0.05, 0.025, 0, 0.025, 0.0125, 0], abs=1e-6)
    short = make_strategy(SearchConfig(strategy="proxylessnas", epochs=1), ORIGINAL)
    assert isinstance(short, ProxylessNas) and short.frozen_epochs == 0


def test_the_alphas_move_at_every_fifth_batch_after_the_warm_up() -> None:
    strategy = made(warm_up=0.5)
    assert [strategy.step_variant(1, step, 12) for step in range(12)] == [WEIGHTS_ONLY] * 12
    moving = [step for step in range(12) if strategy.step_variant(2, step, 12) != WEIGHTS_ONLY]
    assert moving == [4, 9]
    assert [step for step in range(3) if strategy.step_variant(2, step, 3) != WEIGHTS_ONLY] == [2]


def test_rates_change_by_step_or_by_epoch() -> None:
    def rates(schedule: str) -> list[float]:
        drawn = made(schedule=schedule, warm_up=0.5).draw(2, 4, generator(0, "x"))
        return drawn["rate"].tolist()  # type: ignore[no-any-return]

    assert len(set(rates("step"))) == 4 and rates("step")[0] == rates("epoch")[0]
    assert len(set(rates("epoch"))) == 1


# ---- the search


@pytest.mark.usefixtures("doubles")
def test_seeds_of_a_group_have_the_numbers_that_they_have_alone() -> None:
    assert_seeds_do_not_mix(replace(PROXYLESS, cells=2), last=4)


@pytest.mark.parametrize("samples", ["kinds", "cells"])
def test_recorded_it_is_the_plain_search_to_the_bit(samples: str) -> None:
    options = OPTIONS | {"samples": samples, "alpha_every": 2}
    config = replace(PROXYLESS, cells=2, options=options, group_seeds=True)
    group = assert_replays(config, last=4)
    assert sorted(group.programs) == ["", WEIGHTS_ONLY]  # both variants of the step within an epoch


def test_it_resumes_to_the_bit() -> None:
    """Before, at and after the end of the warm-up, and between two steps of the alphas."""
    assert_resumes(replace(TINY, options=OPTIONS | {"alpha_every": 2}), stops=(1, 2, 3, 4, 7), last=8)


def test_nesterov_is_an_option() -> None:
    found = []
    for nesterov in (True, False):
        group = group_of(replace(TINY, options=OPTIONS | {"nesterov": nesterov}), images=IMAGES)
        train(group, last=2)
        assert group.state.weight_optimiser.nesterov == nesterov
        found.append(values(group, 0)["stem.0.weight"])
    assert not torch.equal(*found)


@pytest.mark.usefixtures("doubles")
def test_adam_of_edges_is_torchs_of_each_edge() -> None:
    draws = generator(0, "alphas")
    alphas = torch.randn(1, 2, 3, 4, generator=draws)
    rows = [row.clone() for row in alphas.view(6, 4)]
    ours, torchs = EdgewiseAdam(alphas, 0.1, (0.5, 0.999)), torch.optim.Adam(rows, lr=0.1, betas=(0.5, 0.999))
    for share in (0.6, 0.3, 1, 0.6, 0.6, 1):
        gradient, moving = torch.randn(1, 2, 3, 4, generator=draws), torch.rand(6, generator=draws) < share
        for row, slope, moves in zip(rows, gradient.view(6, 4), moving, strict=True):
            row.grad = slope.clone() if moves else None
        ours.step([gradient], None if share == 1 else moving.view(1, 2, 3, 1))
        torchs.step()
    assert torch.allclose(alphas.view(6, 4), torch.stack(rows), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"warm_up": 0.9}, "'warm_up' and 'frozen' leave none of 4 epochs to the alphas; lower them"),
        ({"held_out": 0.0}, "'held_out' takes a number above 0 and below 1, not 0.0"),
        ({"alpha_every": 0}, "'alpha_every' takes a whole number at least 1"),
        ({"paths": "three"}, "takes one of two, all"),
        ({"unsampled": "moved"}, "unknown option 'unsampled'"),
    ],
)
def test_options_that_cannot_be_are_one_clear_line(options: dict[str, Any], message: str) -> None:
    with pytest.raises(DropnasError, match=message) as raised:
        make_strategy(replace(PROXYLESS, options=options), ORIGINAL)
    assert "\n" not in str(raised.value) and "strategy 'proxylessnas'" in str(raised.value)
