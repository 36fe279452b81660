"""Shared by the tests of two-level methods: agreement with a plain reference."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest
import torch
from plain_pass import Rules, World, cosine
from torch import Tensor

from dropnas.errors import DropnasError
from dropnas.search.config import Scalar, SearchConfig
from dropnas.search.seed_group import SeedGroup
from dropnas.search.state import SeedRun
from dropnas.search.strategy import Batch, make_strategy
from dropnas.space.spaces import EDGES, SearchSpace
from dropnas.training.seeding import generator
from tests.unit.search.groups import SIDE, SMALL, assert_near, group_of, recorded
from tests.unit.search.strategy_checks import IMAGES


def of_seed(batch: Batch, index: int) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """The batch that trains w and the held-out one."""
    assert batch.held_out is not None
    return (batch.images[index], batch.labels[index]), (batch.held_out[0][index], batch.held_out[1][index])


def world_of(group: SeedGroup, index: int, alpha_clip: float = float("inf")) -> World:
    """The current state of one search as a plain world."""
    config, run = group.config, group.runs[index]
    rules = Rules(
        config.momentum,
        config.weight_decay,
        config.gradient_clip,
        config.alpha_learning_rate,
        (config.alpha_beta1, config.alpha_beta2),
        config.alpha_weight_decay,
        alpha_clip,
    )
    return World(run.supernet, run.alphas._asdict(), rules)


def assert_agrees(group: SeedGroup, index: int, world: World) -> None:
    """Compare weights, running statistics and alphas."""
    assert_near(dict(group.runs[index].supernet.state_dict()), dict(world.supernet.state_dict()))
    ours = {kind: alpha.detach() for kind, alpha in group.runs[index].alphas._asdict().items()}
    assert_near(ours, {kind: alpha.detach() for kind, alpha in world.alphas.items()})


def assert_steps_agree(
    config: SearchConfig,
    plain_step: Callable[[World, int, Batch], float],
    after_epoch: Callable[[World, int], None] = lambda world, epoch: None,
    compare: Callable[[SeedRun, World], None] = lambda run, world: None,
    steps: int = 4,
    space: SearchSpace = SMALL,
    alpha_clip: float = float("inf"),
    side: int = SIDE,
) -> SeedGroup:
    """Train two seeds, and compare each with its own world.

    Args:
        plain_step: takes a world, an epoch and a batch of this seed; returns the loss.
        after_epoch: takes a world and an epoch.
        compare: further comparisons, besides weights, running statistics and alphas.
    """
    group = group_of(config, (3, 5), space, images=IMAGES, side=side)
    worlds, seen = [world_of(group, index, alpha_clip) for index in range(2)], recorded(group)
    for number in range(steps):
        epoch, step = divmod(number, len(group.sizes))
        if not step:
            group.start_epoch(epoch)
        losses = group.step(epoch, step)
        if step + 1 == len(group.sizes):
            group.finish_epoch(epoch)
        for index, world in enumerate(worlds):
            world.set_rate(cosine(config.learning_rate, config.learning_rate_min, epoch, config.epochs))
            loss = plain_step(world, epoch, alone(seen[-1], index))
            if step + 1 == len(group.sizes):
                after_epoch(world, epoch)
            assert losses[index].item() == pytest.approx(loss, rel=1e-9)
            assert_agrees(group, index, world)
            compare(group.runs[index], world)
    return group


def alone(batch: Batch, index: int) -> Batch:
    """The batch of one seed, without the axis of the seeds."""
    training, held_out = of_seed(batch, index)
    drawn = {name: tensor[index] for name, tensor in batch.drawn.items()}
    return Batch(*training, drawn, held_out, batch.variant)


def assert_refused(config: SearchConfig, message: str, space: SearchSpace = SMALL, **options: Scalar) -> None:
    """Check that making the strategy with these options gives a one-line error."""
    with pytest.raises(DropnasError, match=message) as raised:
        make_strategy(replace(config, options=options), space)
    assert "\n" not in str(raised.value) and config.strategy in str(raised.value)


def run_with(group: SeedGroup, alphas: Tensor, memory: Mapping[str, Tensor] = {}) -> SeedRun:
    """A finished run of the group's first search with other alphas (2, edges, operations)."""
    run = group.runs[0]
    history = [*run.history, {"normal": alphas[0].tolist(), "reduce": alphas[1].tolist()}]
    return replace(run, architecture={"alphas": alphas}, memory={**run.memory, **memory}, history=history)


def random_alphas(seed: int, space: SearchSpace, scale: float = 1.0) -> Tensor:
    """(2, edges, operations)."""
    return scale * torch.randn(2, EDGES, len(space.operations), generator=generator(seed, "alphas")).double()


def random_left(seed: int) -> Tensor:
    """Masks (2, edges, 8) that leave each edge an operation other than `none`, which is the last one."""
    left = torch.rand(2, 14, 8, generator=generator(seed, "masks")) < 0.4
    left[..., 0] |= ~left[..., :-1].any(dim=-1)
    return left
