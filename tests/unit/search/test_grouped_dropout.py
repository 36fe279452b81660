"""Every strategy, space and switch of grouped dropout, step by step in double precision against the plain reference.

The trainee of the search stage is compared: its draws, batches, passes and updates, for two seeds at a time.
"""

import itertools
from dataclasses import asdict, replace
from typing import Any

import plain_dropnas as plain
import pytest
import torch
from torch import Tensor

from dropnas.search.config import PRESETS, Scalar
from dropnas.search.dropout import Kept
from dropnas.search.seed_group import SeedGroup
from dropnas.search.strategies.grouped_dropout import GroupedDropout
from dropnas.space.spaces import SPACES
from dropnas.training.seeding import generator
from tests.unit.search.groups import CLASSES, CONFIG, OFTEN, SIDE, SMALL, group_of, recorded

pytestmark = pytest.mark.usefixtures("doubles")
STEPS = 3  # each weight is frozen in one and changes in another; the second has three images
SWITCHES = [
    dict(zip(("alpha_adjust", "decay", "decay_scope", "dropped"), values, strict=True))
    for values in itertools.product(
        ("released", "equation-3"), ("released", "l2"), ("kept", "all"), ("moved", "frozen")
    )
]
CASES: list[tuple[str, str, dict[str, Scalar]]] = [
    *(("original", name, {} if options.rate_parameterised != 3e-5 else OFTEN) for name, options in PRESETS.items()),
    *(("small", "dropnas", OFTEN | switch) for switch in SWITCHES),
    ("3-skip", "dropnas", OFTEN),
    ("1-skip", "dropnas", OFTEN | {"drop_probability": "released", "dropped": "frozen"}),
    *(("small", "dropnas", OFTEN | {"masks": "per-cell", "dropped": dropped}) for dropped in ("moved", "frozen")),
    ("small", "dropnas", OFTEN | {"grouping": "one-group-own-rate"}),
]


def world_of(group: SeedGroup, index: int) -> plain.Plain:
    run = group.runs[index]
    weights = [weight.detach().clone() for weight in run.supernet.parameters()]
    alphas = {kind: alpha.clone() for kind, alpha in run.alphas._asdict().items()}
    return plain.Plain(run.space.operations, run.config.cells, weights, alphas)


def rules_of(group: SeedGroup, options: Any) -> plain.Rules:
    return plain.Rules(
        learning_rate=group.state.weight_optimiser.learning_rate,
        momentum=group.config.momentum,
        clip=CONFIG.gradient_clip,
        weight_decay=CONFIG.weight_decay,
        alpha_learning_rate=CONFIG.alpha_learning_rate,
        alpha_weight_decay=CONFIG.alpha_weight_decay,
        adjust=options.alpha_adjust,
        decay=options.decay,
        scope=options.decay_scope,
        dropped=options.dropped,
    )


def close(ours: Tensor, theirs: Tensor) -> bool:
    return torch.allclose(ours.detach(), theirs, rtol=0, atol=1e-10)


def assert_same(group: SeedGroup, index: int, world: plain.Plain) -> None:
    run, tensors = group.runs[index], group.state_dicts()[index]["tensors"]
    assert all(map(close, run.supernet.parameters(), world.weights))
    if group.config.momentum:
        assert close(tensors["sgd.momentum.0"], torch.cat([velocity.flatten() for velocity in world.velocity]))
    for name, theirs in (("alphas", world.alphas), ("adam.average.0", world.first)):
        assert close(tensors[name], torch.stack([theirs[kind] for kind in plain.KINDS]))
    assert close(tensors["adam.squared_average.0"], torch.stack([world.second[kind] for kind in plain.KINDS]))


@pytest.mark.parametrize(("space_name", "strategy", "options"), CASES)
def test_steps_agree_with_the_plain_implementation(space_name: str, strategy: str, options: dict[str, Scalar]) -> None:
    config = replace(CONFIG, strategy=strategy, options=options, momentum=0.0 if "one-group" in str(options) else 0.9)
    group = group_of(config, space={**SPACES, "small": SMALL}[space_name])
    worlds, seen = [world_of(group, index) for index in range(2)], recorded(group)
    for number in range(STEPS):
        epoch, step = divmod(number, group.steps_per_epoch)
        if not step:
            group.start_epoch(epoch)
        losses = group.step(epoch, step)
        batch = seen[-1]
        for index, world in enumerate(worlds):
            kinds = dict(zip(plain.KINDS, batch.drawn["kinds"][index], strict=True))
            rules = rules_of(group, group.strategy.options)  # type: ignore[attr-defined]
            kept = batch.drawn["cells"][index]
            outcome = plain.step(world, kept, kinds, batch.images[index], batch.labels[index], rules)
            assert losses[index].item() == pytest.approx(outcome.loss, rel=1e-9)
            assert_same(group, index, world)


def test_gradients_agree_and_are_zero_where_dropped() -> None:
    group = group_of(replace(CONFIG, options=OFTEN | {"masks": "per-cell"}), seeds=[3], space=SPACES["original"])
    assert isinstance(group.strategy, GroupedDropout)
    world, seen = world_of(group, 0), recorded(group)
    group.start_epoch(0)
    before = group.state.weights.clone(), group.state.alphas.detach().clone()
    group.step(0, 0)
    batch, state = seen[0], group.state
    with torch.no_grad():
        state.weights.copy_(before[0])
        state.alphas.copy_(before[1])
    kept = Kept(batch.drawn["cells"], batch.drawn["kinds"])
    _, _, gradients = group.strategy.differentiate(state, batch, kept)
    outcome = plain.differentiate(world, kept.cells[0], batch.images[0], batch.labels[0])
    assert close(gradients.weights[0], torch.cat([gradient.flatten() for gradient in outcome.gradients]))
    assert (gradients.weights[~state.of_weights(kept.cells)] == 0).all()  # to the bit
    assert close(gradients.alphas[0], torch.stack([outcome.alpha_gradients[kind] for kind in plain.KINDS]))
    assert (gradients.alphas[~kept.kinds] == 0).all()


def test_reference_gradient_agrees_with_finite_differences() -> None:
    world = world_of(group_of(CONFIG, seeds=[3], space=SPACES["original"]), 0)
    kept = torch.ones(CONFIG.cells, 14, 8, dtype=torch.bool)
    images = torch.randn(4, 3, SIDE, SIDE, generator=generator(3, "images"))
    labels = torch.arange(4) % CLASSES
    outcome = plain.differentiate(world, kept, images, labels)

    def loss() -> float:
        return plain.loss_of(plain.logits_of(world, world.weights, kept, images), labels).item()

    entries: list[tuple[Tensor, Tensor, tuple[int, ...]]] = [
        (world.alphas["reduce"], outcome.alpha_gradients["reduce"], (3, 2))
    ]
    entries += [(world.weights[index], outcome.gradients[index], (0, 0, 0, 0)) for index in (0, 3, 9, 40)]
    for tensor, gradient, index in entries:
        tensor[index] += 1e-6
        above = loss()
        tensor[index] -= 2e-6
        slope = (above - loss()) / 2e-6
        tensor[index] += 1e-6
        assert gradient[index].item() == pytest.approx(slope, rel=1e-4, abs=1e-7)


def test_an_unknown_option_is_named() -> None:
    with pytest.raises(Exception, match="unknown option 'rate'"):
        group_of(replace(CONFIG, options={"rate": 1}))


def test_options_are_those_of_the_preset_and_what_differs() -> None:
    group = group_of(replace(CONFIG, strategy="no-partial-decay", options={"masks": "per-cell"}))
    expected = asdict(PRESETS["no-partial-decay"]) | {"masks": "per-cell"}
    assert asdict(group.strategy.options) == expected  # type: ignore[attr-defined]
