"""The whole step of every strategy and switch, in double precision, against the plain reference."""

import itertools
from dataclasses import asdict

import plain_dropnas as plain
import pytest
import torch
from torch import Tensor

from dropnas.search.architecture import Alphas, initial_alphas
from dropnas.search.config import PRESETS, Scalar, SearchConfig
from dropnas.search.dropout import Kept
from dropnas.search.strategy import GroupedDropout, SearchState, make_optimisers
from dropnas.search.supernet import Supernet
from dropnas.space.spaces import SPACES, SearchSpace
from dropnas.training.initialisation import initialise
from dropnas.training.seeding import generator

CELLS, CHANNELS, CLASSES, BATCH, SIDE = 3, 2, 5, 4, 4
STEPS = 2  # what is frozen in one moved in another
OFTEN = {"rate_parameterised": 0.3**4, "rate_non_parameterised": 0.4**4}  # drops enough to see
CONFIG = SearchConfig(  # both clips are active, decay is large, alphas move quickly
    cells=CELLS,
    channels=CHANNELS,
    gradient_clip=0.5,
    weight_decay=0.05,
    alpha_learning_rate=0.02,
    alpha_weight_decay=0.3,
)
SMALL = SearchSpace("small", ("dil_conv_3x3", "sep_conv_3x3"), ("none", "skip_connect"))  # as a user could write it
SWITCHES = [
    dict(zip(("alpha_adjust", "decay", "decay_scope", "dropped"), values, strict=True))
    for values in itertools.product(
        ("released", "equation-3"), ("released", "l2"), ("kept", "all"), ("moved", "frozen")
    )
]
CASES = (
    [("original", asdict(options)) for options in PRESETS.values() if options.rate_parameterised != 3e-5]
    + [("original", asdict(options) | OFTEN) for options in PRESETS.values() if options.rate_parameterised == 3e-5]
    + [("small", OFTEN | switch) for switch in SWITCHES]
    + [("3-skip", OFTEN), ("1-skip", OFTEN | {"drop_probability": "released", "dropped": "frozen"})]
    + [("small", OFTEN | {"masks": "per-cell", "dropped": dropped}) for dropped in ("moved", "frozen")]
    + [("small", OFTEN | {"grouping": "one-group-own-rate"})]
)


class Recorded(GroupedDropout):
    """Remembers its masks, as a user's subclass could."""

    kept: Kept

    def sample(self, state: SearchState) -> Kept:
        self.kept = super().sample(state)
        return self.kept


def new_state(space: SearchSpace, config: SearchConfig) -> SearchState:
    supernet = Supernet(space, CHANNELS, CELLS, CLASSES)
    initialise(supernet, generator(0, "weights"))
    supernet.double()
    drawn = initial_alphas(space, 0.3, generator(0, "alphas"))
    alphas = Alphas(*(alpha.double().requires_grad_() for alpha in drawn))
    sgd, adam = make_optimisers(config, supernet, alphas)
    return SearchState(supernet, alphas, sgd, adam, generator(0, "masks"), "fp32", "cpu", 0, 1)


def new_world(state: SearchState, space: SearchSpace) -> plain.Plain:
    weights = [weight.detach().clone() for weight in state.supernet.parameters()]
    alphas = {kind: alpha.detach().clone() for kind, alpha in state.alphas._asdict().items()}
    return plain.Plain(space.operations, CELLS, weights, alphas)


def rules_of(options: dict[str, Scalar]) -> plain.Rules:
    return plain.Rules(
        clip=CONFIG.gradient_clip,
        weight_decay=CONFIG.weight_decay,
        alpha_learning_rate=CONFIG.alpha_learning_rate,
        alpha_weight_decay=CONFIG.alpha_weight_decay,
        adjust=str(options.get("alpha_adjust", "released")),
        decay=str(options.get("decay", "released")),
        scope=str(options.get("decay_scope", "kept")),
        dropped=str(options.get("dropped", "moved")),
    )


def kinds_of(kept: Kept) -> dict[str, Tensor]:
    return dict(zip(plain.KINDS, kept.kinds, strict=True))


def close(ours: Tensor, theirs: Tensor) -> bool:
    return torch.allclose(ours.detach(), theirs, rtol=0, atol=1e-10)


def assert_same(state: SearchState, world: plain.Plain) -> None:
    weights = list(state.supernet.parameters())
    assert all(map(close, weights, world.weights))
    for weight, velocity in zip(weights, world.velocity, strict=True):
        buffer = state.weight_optimiser.state[weight].get("momentum_buffer")
        assert close(torch.zeros_like(weight) if buffer is None else buffer, velocity)
    for kind, alpha in state.alphas._asdict().items():
        assert close(alpha, world.alphas[kind])
        assert close(state.alpha_optimiser.state[alpha]["exp_avg"], world.first[kind])
        assert close(state.alpha_optimiser.state[alpha]["exp_avg_sq"], world.second[kind])


@pytest.mark.parametrize(("space_name", "options"), CASES)
def test_steps_agree_with_the_plain_implementation(space_name: str, options: dict[str, Scalar]) -> None:
    space = {**SPACES, "small": SMALL}[space_name]
    state = new_state(space, CONFIG)
    world = new_world(state, space)
    strategy = Recorded(CONFIG, space, **options)
    draws = generator(1, "images")
    for _ in range(STEPS):
        images = torch.randn(BATCH, 3, SIDE, SIDE, generator=draws, dtype=torch.float64)
        labels = torch.randint(CLASSES, (BATCH,), generator=draws)
        loss, logits = strategy.step(state, images, labels)
        kept = strategy.kept
        outcome = plain.step(world, kept.cells, kinds_of(kept), images, labels, rules_of(options))
        assert close(loss, torch.tensor(outcome.loss, dtype=torch.float64))
        assert close(logits, outcome.logits)
        assert_same(state, world)


def test_gradients_agree_and_are_absent_where_dropped() -> None:
    space = SPACES["original"]
    state = new_state(space, CONFIG)
    world = new_world(state, space)
    strategy = Recorded(CONFIG, space, **OFTEN, masks="per-cell")
    images = torch.randn(BATCH, 3, SIDE, SIDE, generator=generator(2, "images"), dtype=torch.float64)
    labels = torch.arange(BATCH)
    kept = strategy.sample(state)
    strategy.differentiate(state, kept, images, labels)
    outcome = plain.differentiate(world, kept.cells, images, labels)
    weights = zip(state.supernet.parameters(), outcome.gradients, world.owners(), strict=True)
    for weight, gradient, owner in weights:
        dropped = owner.place is not None and not kept.cells[owner.place]
        assert (weight.grad is None) == dropped
        assert weight.grad is None or close(weight.grad, gradient)
    for kind, alpha, mask in zip(plain.KINDS, state.alphas, kept.kinds, strict=True):
        assert alpha.grad is not None and close(alpha.grad, outcome.alpha_gradients[kind])
        assert (alpha.grad[~mask] == 0).all()  # to the bit


def test_reference_gradient_agrees_with_finite_differences() -> None:
    space = SPACES["original"]
    world = new_world(new_state(space, CONFIG), space)
    kept = torch.ones(CELLS, 14, 8, dtype=torch.bool)
    images = torch.randn(BATCH, 3, SIDE, SIDE, generator=generator(3, "images"), dtype=torch.float64)
    labels = torch.arange(BATCH)
    outcome = plain.differentiate(world, kept, images, labels)

    def loss() -> float:
        return plain.loss_of(plain.logits_of(world, world.weights, kept, images), labels).item()

    entries: list[tuple[Tensor, Tensor, tuple[int, ...]]] = [
        (world.alphas["reduce"], outcome.alpha_gradients["reduce"], (3, 2))
    ]
    entries += [(world.weights[index], outcome.gradients[index], (0, 0, 0, 0)) for index in (0, 3, 9, 40)]
    for values, gradient, place in entries:
        values[place] += 1e-6
        above = loss()
        values[place] -= 2e-6
        slope = (above - loss()) / 2e-6
        values[place] += 1e-6
        assert gradient[place].item() == pytest.approx(slope, rel=1e-4, abs=1e-7)
