"""DARTS' two-level search: its gradient against analytic ones and autograd, its step against torch, its split."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional

from dropnas.config import read_parameters
from dropnas.data import arrays
from dropnas.errors import DropnasError
from dropnas.plan import make_plan
from dropnas.search import hypergradient, stage
from dropnas.search.architecture import Alphas, initial_alphas, mixtures
from dropnas.search.config import TWO_LEVEL, SearchConfig
from dropnas.search.hypergradient import Descent, Loss, first_order, gradient_of, second_order
from dropnas.search.state import SearchState
from dropnas.search.strategy import GroupedDropout, make_optimisers, make_strategy
from dropnas.search.supernet import Supernet
from dropnas.search.two_level import TwoLevel
from dropnas.space.spaces import ORIGINAL, SearchSpace, find_space
from dropnas.training import determinism, precision
from dropnas.training.initialisation import initialise
from dropnas.training.loop import train
from dropnas.training.seeding import generator
from dropnas.workspace import Workspace

DESCENT = Descent(rate=0.3, momentum=0.9, decay=0.05)
SMALL = SearchSpace("small", ("sep_conv_3x3", "dil_conv_3x3"), ("none", "skip_connect"))
CONFIG = SearchConfig(
    cells=3,
    channels=2,
    gradient_clip=0.5,
    weight_decay=0.05,
    alpha_learning_rate=0.02,
    alpha_weight_decay=0.3,
    strategy="darts-second-order",
)
CLASSES, BATCH, SIDE = 3, 8, 4


def leaf(values: Tensor) -> Tensor:
    return values.double().requires_grad_()


# --- the mathematics ------------------------------------------------------------------------------------------------


class Quadratic:
    """L_train = ||w - A alpha||^2 / 2 and L_val = ||w - b||^2 / 2 + c alpha, whose hypergradient is known in full."""

    def __init__(self, seed: int) -> None:
        draws = np.random.default_rng(seed)
        self.a, self.b, self.c = draws.normal(size=(5, 3)), draws.normal(size=5), draws.normal(size=3)
        self.w, self.alpha, self.velocity = draws.normal(size=5), draws.normal(size=3), draws.normal(size=5)

    def training(self, weights: Sequence[Tensor], alphas: Sequence[Tensor]) -> Tensor:
        return (torch.cat(list(weights)) - torch.tensor(self.a) @ alphas[0]).square().sum() / 2

    def validation(self, weights: Sequence[Tensor], alphas: Sequence[Tensor]) -> Tensor:
        return (torch.cat(list(weights)) - torch.tensor(self.b)).square().sum() / 2 + torch.tensor(self.c) @ alphas[0]

    def analytic(self, descent: Descent) -> np.ndarray:
        """c + xi A^T (w' - b), since dw'/dalpha = xi A."""
        slope = descent.momentum * self.velocity + self.w - self.a @ self.alpha + descent.decay * self.w
        moved = self.w - descent.rate * slope
        return np.asarray(self.c + descent.rate * self.a.T @ (moved - self.b))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("descent", [DESCENT, Descent(0.0375, 0.0, 0.0), Descent(0.0, 0.9, 3e-4)])
def test_second_order_is_the_analytic_gradient_of_a_quadratic_problem(seed: int, descent: Descent) -> None:
    problem = Quadratic(seed)
    weights = [leaf(part) for part in torch.tensor(problem.w).split([2, 3])]
    velocities = list(torch.tensor(problem.velocity).split([2, 3]))
    alphas = [leaf(torch.tensor(problem.alpha))]
    gradients = gradient_of(problem.training), gradient_of(problem.validation)
    (found,) = second_order(*gradients, weights, alphas, velocities, descent)
    assert found.numpy() == pytest.approx(problem.analytic(descent), rel=1e-9, abs=1e-10)
    assert torch.equal(torch.cat(weights), torch.tensor(problem.w)) and all(w.grad is None for w in weights)


def test_first_order_is_the_gradient_at_the_present_weights() -> None:
    problem = Quadratic(0)
    (found,) = first_order(gradient_of(problem.validation), [leaf(torch.tensor(problem.w))], [leaf(torch.zeros(3))])
    assert found.numpy() == pytest.approx(problem.c)


def test_without_a_validation_gradient_in_w_nothing_is_divided_by_zero() -> None:
    problem = Quadratic(0)

    def direct_only(weights: Sequence[Tensor], alphas: Sequence[Tensor]) -> Tensor:
        return torch.tensor(problem.c) @ alphas[0]

    weights, alphas = [leaf(torch.tensor(problem.w))], [leaf(torch.tensor(problem.alpha))]
    gradients = gradient_of(problem.training), gradient_of(direct_only)
    (found,) = second_order(*gradients, weights, alphas, [torch.zeros_like(weights[0])], DESCENT)
    assert found.numpy() == pytest.approx(problem.c)


def test_the_difference_has_the_published_length() -> None:
    """L_train = alpha sum w^3: its mixed derivative along v, 3 w^2 v, comes out with an error of epsilon^2 v^3."""
    w, v = torch.tensor([1.0, -2.0]).double(), torch.tensor([3.0, 4.0]).double()
    cubic = gradient_of(lambda weights, alphas: alphas[0] * weights[0].pow(3).sum())
    (found,) = hypergradient.mixed_derivative(cubic, [w], [leaf(torch.tensor(1.0))], [v])
    epsilon = 0.01 / 5
    expected = (3 * w.square() * v + epsilon**2 * v.pow(3)).sum()
    assert found.item() == pytest.approx(expected.item(), rel=1e-9)
    assert epsilon**2 * v.pow(3).sum() > 1e-6 * expected  # the error can be seen


def through_the_step(
    training: Loss,
    validation: Loss,
    weights: Sequence[Tensor],
    alphas: Sequence[Tensor],
    velocities: Sequence[Tensor],
    descent: Descent,
) -> list[Tensor]:
    """The exact hypergradient: autograd through the virtual step."""
    gradients = torch.autograd.grad(training(weights, alphas), weights, create_graph=True, materialize_grads=True)
    moved = [
        w - descent.rate * (descent.momentum * v + g + descent.decay * w)
        for w, v, g in zip(weights, velocities, gradients, strict=True)
    ]
    return list(torch.autograd.grad(validation(moved, alphas), alphas, materialize_grads=True))


@pytest.mark.parametrize("seed", range(5))
def test_second_order_agrees_with_autograd_through_the_step_where_nothing_is_quadratic(seed: int) -> None:
    draws = generator(seed, "problem")
    inputs, targets = (torch.randn(6, 4, generator=draws, dtype=torch.float64) for _ in range(2))

    def loss(weights: Sequence[Tensor], alphas: Sequence[Tensor]) -> Tensor:
        hidden = torch.tanh(inputs @ weights[0])
        mixed = alphas[0].softmax(0)[0] * hidden + alphas[0].softmax(0)[1] * hidden.square() + alphas[0].softmax(0)[2]
        return (mixed @ weights[1] - targets).square().mean()

    def validation(weights: Sequence[Tensor], alphas: Sequence[Tensor]) -> Tensor:
        return loss(weights, alphas).exp().log1p()

    weights = [leaf(torch.randn(4, 4, generator=draws)) for _ in range(2)]
    velocities = [torch.randn(4, 4, generator=draws).double() for _ in range(2)]
    alphas = [leaf(torch.randn(3, generator=draws))]
    found = second_order(gradient_of(loss), gradient_of(validation), weights, alphas, velocities, DESCENT)
    exact = through_the_step(loss, validation, weights, alphas, velocities, DESCENT)
    plain = first_order(gradient_of(validation), weights, alphas)
    assert torch.allclose(found[0], exact[0], rtol=1e-3, atol=1e-5)
    assert not torch.allclose(plain[0], exact[0], rtol=1e-2)  # the second order is worth something here


# --- the step -------------------------------------------------------------------------------------------------------


def new_state(space: SearchSpace, config: SearchConfig, dtype: torch.dtype = torch.float64) -> SearchState:
    supernet = Supernet(space, config.channels, config.cells, CLASSES)
    initialise(supernet, generator(0, "weights"))
    supernet.to(dtype)
    drawn = initial_alphas(space, 0.3, generator(0, "alphas"))
    alphas = Alphas(*(alpha.to(dtype).requires_grad_() for alpha in drawn))
    sgd, adam = make_optimisers(config, supernet, alphas)
    return SearchState(
        supernet, alphas, sgd, adam, generator(0, "masks"), "fp32", "cpu", 0, 1, held_out=batch(1, dtype)
    )


def batch(number: int, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    draws = generator(number, "images")
    images = torch.randn(BATCH, 3, SIDE, SIDE, generator=draws, dtype=torch.float64)
    return images.to(dtype), torch.randint(CLASSES, (BATCH,), generator=draws)


def loss_of(state: SearchState, images: Tensor, labels: Tensor) -> Loss:
    """The loss as a plain function, written another way: parameters by name, buffers left to copies."""
    names = [name for name, _ in state.supernet.named_parameters()]
    kept = torch.ones(len(state.supernet.kinds), *state.alphas[0].shape, dtype=torch.bool)

    def loss(weights: Sequence[Tensor], alphas: Sequence[Tensor]) -> Tensor:
        values = dict(zip(names, weights, strict=True))
        values |= {name: buffer.clone() for name, buffer in state.supernet.named_buffers()}
        mixture = mixtures(Alphas(*alphas), kept, state.supernet.kinds)
        return functional.cross_entropy(functional_call(state.supernet, values, (images, mixture)), labels)

    return loss


def snapshot(state: SearchState) -> list[Tensor]:
    return [value.detach().clone() for value in (*state.supernet.state_dict().values(), *state.alphas)]


def trained(state: SearchState, config: SearchConfig, space: SearchSpace, steps: int) -> SearchState:
    """The state after some steps, so that there is momentum."""
    for number in range(steps):
        make_strategy(config, space).step(state, *batch(10 + number, state.alphas[0].dtype))
    return state


def test_the_supernets_hypergradient_agrees_with_autograd_through_the_virtual_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With a difference so short that no ReLU switches on its way: then it is exact, since between switches the
    network is smooth. Over the published length some switch, which is the method's own error."""
    monkeypatch.setattr(hypergradient, "LENGTH", 1e-7)
    state = trained(new_state(SMALL, CONFIG), CONFIG, SMALL, 2)
    images, labels = batch(2)
    found = TwoLevel(CONFIG, SMALL).alpha_gradient(state, images, labels)
    weights = list(state.supernet.parameters())
    velocities = [state.weight_optimiser.state[weight]["momentum_buffer"] for weight in weights]
    assert any(bool(velocity.any()) for velocity in velocities)
    assert state.held_out is not None
    training, validation = loss_of(state, images, labels), loss_of(state, *state.held_out)
    descent = Descent(CONFIG.learning_rate, CONFIG.momentum, CONFIG.weight_decay)
    exact = through_the_step(training, validation, weights, state.alphas, velocities, descent)
    plain = first_order(gradient_of(validation), weights, state.alphas)
    for ours, theirs, without in zip(found, exact, plain, strict=True):
        assert (ours - theirs).norm() < 1e-6 * theirs.norm()
        assert (without - theirs).norm() > 0.1 * theirs.norm()


@pytest.mark.parametrize("strategy", TWO_LEVEL)
def test_the_alpha_step_leaves_the_supernet_as_it_was(strategy: str) -> None:
    config = SearchConfig(**(vars(CONFIG) | {"strategy": strategy}))
    state = trained(new_state(SMALL, config, torch.float32), config, SMALL, 1)
    before = snapshot(state)
    TwoLevel(config, SMALL).alpha_gradient(state, *batch(2, torch.float32))
    assert all(map(torch.equal, snapshot(state), before))  # w, alpha and the running statistics


@pytest.mark.parametrize("strategy", TWO_LEVEL)
def test_a_step_is_adam_on_alpha_then_sgd_on_w_with_torchs_own_decay(strategy: str) -> None:
    config = SearchConfig(**(vars(CONFIG) | {"strategy": strategy}))
    state, plain = new_state(SMALL, config), new_state(SMALL, config)
    ours = TwoLevel(config, SMALL)
    adam = torch.optim.Adam(plain.alphas, lr=0.02, betas=(0.5, 0.999), weight_decay=0.3)
    sgd = torch.optim.SGD(plain.supernet.parameters(), lr=0.0375, momentum=0.9, weight_decay=0.05)
    for number in range(3):
        images, labels = batch(10 + number)
        plain.weight_optimiser.state.update(sgd.state)  # for the virtual step's momentum
        for alpha, gradient in zip(plain.alphas, ours.alpha_gradient(plain, images, labels), strict=True):
            alpha.grad = gradient
        adam.step()
        sgd.zero_grad()
        kept = torch.ones(len(plain.supernet.kinds), *plain.alphas[0].shape, dtype=torch.bool)
        logits = plain.supernet(images, mixtures(plain.alphas, kept, plain.supernet.kinds))
        expected = functional.cross_entropy(logits, labels)
        expected.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(plain.supernet.parameters(), 0.5)
        assert norm > 0.5  # the clip is active
        sgd.step()
        loss, found = ours.step(state, images, labels)
        assert torch.allclose(loss, expected, rtol=0, atol=1e-12) and torch.allclose(found, logits, rtol=0, atol=1e-12)
        for one, other in zip(snapshot(state), snapshot(plain), strict=True):
            assert torch.allclose(one, other, rtol=0, atol=1e-9)


def test_the_running_statistics_have_seen_the_training_batches_alone() -> None:
    state = trained(new_state(SMALL, CONFIG), CONFIG, SMALL, 3)
    counts = [value for name, value in state.supernet.named_buffers() if name.endswith("num_batches_tracked")]
    assert {int(count) for count in counts} == {3}


def difference_by_precision(number: int) -> float:
    """How far the gradient of a batch in single precision is from that in double, relative to it."""
    states = [new_state(SMALL, CONFIG, dtype) for dtype in (torch.float64, torch.float32)]
    exact, single = (
        torch.cat(TwoLevel(CONFIG, SMALL).alpha_gradient(state, *batch(number, state.alphas[0].dtype)))
        for state in states
    )
    return float((exact - single).norm() / exact.norm())


def test_single_precision_changes_little() -> None:
    """By rounding alone in most batches. In a few a ReLU switches on the way of the one and not of the other; which
    ones depends on the processor."""
    assert sorted(map(difference_by_precision, range(2, 7)))[2] < 1e-4


def test_reduced_precision_is_for_all_passes_but_those_of_the_difference() -> None:
    state = new_state(SMALL, CONFIG, torch.float32)
    state.precision = "bf16"
    reduced: list[bool] = []
    state.supernet.register_forward_pre_hook(lambda *_: reduced.append(torch.is_autocast_enabled("cpu")))
    precision.apply("bf16")
    try:
        TwoLevel(CONFIG, SMALL).step(state, *batch(2, torch.float32))
        assert reduced == [True, True, False, False, True]  # virtual step, held-out loss, the two ends; then w
        assert torch.get_float32_matmul_precision() == "high"  # as it was
    finally:
        precision.apply("fp32")


def test_it_has_no_options_and_needs_held_out_images() -> None:
    with pytest.raises(DropnasError, match="unknown option 'decay'"):
        make_strategy(SearchConfig(strategy="darts-first-order", options={"decay": "l2"}), ORIGINAL)
    state = new_state(SMALL, CONFIG)
    state.held_out = None
    with pytest.raises(DropnasError, match="no held-out batch"):
        TwoLevel(CONFIG, SMALL).step(state, *batch(1))


# --- the search -----------------------------------------------------------------------------------------------------


IMAGES, KINDS = 19, 4


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("noise")
    draws = np.random.default_rng(0)
    for split, count in (("train", IMAGES), ("test", 4)):
        np.save(folder / f"{split}_images.npy", draws.integers(0, 256, (count, 6, 6, 1), dtype=np.uint8))
        np.save(folder / f"{split}_labels.npy", np.arange(count, dtype=np.int64) % KINDS)
    content = {"name": "noise", "kind": "arrays", "classes": KINDS, "channels": 1, "height": 6, "width": 6}
    content |= {"mean": [0.5] * 3, "std": [0.3] * 3, "train": IMAGES, "test": 4}
    (folder / "dataset.json").write_text(json.dumps(content))
    return folder


def two_level(strategy: str, **changes: Any) -> SearchConfig:
    sizes = {"space": "1-skip", "cells": 3, "channels": 2, "epochs": 2, "batch_size": 4, "crop_padding": 1, "seed": 3}
    return SearchConfig(strategy=strategy, alpha_learning_rate=0.01, **{**sizes, **changes})


def search(config: SearchConfig, dataset: Path, folder: Path) -> dict[str, bytes]:
    out = folder / "out"
    out.mkdir(parents=True)
    stage.run(config, [dataset], out, Workspace(folder / "scratch", "identity"))
    return {path.name: path.read_bytes() for path in out.iterdir()}


class KilledError(Exception):
    """Stands for the end of a process."""


class Mortal(stage.Search):
    """A search that dies before its `lifetime`-th step."""

    lifetime = 0

    def step(self, epoch: int, step: int) -> Tensor:
        if not self.lifetime:
            raise KilledError
        self.lifetime -= 1
        return super().step(epoch, step)


class Recorded(stage.Search):
    """A search that remembers what its strategy was given."""

    seen: list[tuple[Tensor, Tensor, Tensor, Tensor]]

    def step(self, epoch: int, step: int) -> Tensor:
        chosen = self.order[step * self.config.batch_size : (step + 1) * self.config.batch_size]
        loss = super().step(epoch, step)
        assert self.state.held_out is not None
        self.seen.append((chosen, *self.state.held_out, self.images.labels))
        return loss


def test_each_half_of_the_images_has_its_part(dataset: Path, tmp_path: Path) -> None:
    config = two_level("darts-first-order", crop_padding=0, flip=False)
    images = arrays.load(dataset, "train")
    recorded = Recorded(config, find_space(config.space), images, "cpu")
    recorded.seen = []
    train(recorded, config.epochs, Workspace(tmp_path / "scratch", "identity"))
    weights, alphas = set(recorded.trained.tolist()), set(recorded.held_out.tolist())
    assert weights.isdisjoint(alphas) and weights | alphas == set(range(len(images)))
    assert (len(weights), len(alphas)) == (10, 9)
    for epoch in range(config.epochs):  # 10 images: batches of 4, 4 and 2
        of_epoch = recorded.seen[3 * epoch : 3 * epoch + 3]
        assert sorted(torch.cat([chosen for chosen, *_ in of_epoch]).tolist()) == sorted(weights)
    originals = images.batch(torch.arange(len(images))) / 255
    batches = []
    for _, held_out, labels, _ in recorded.seen:
        assert held_out.shape == (4, 3, 6, 6)
        raw = held_out * images.std[:, None, None] + images.mean[:, None, None]
        which = [int((originals - one).abs().sum(dim=(1, 2, 3)).argmin()) for one in raw]
        assert set(which) <= alphas and len(set(which)) == 4
        assert torch.equal(images.labels[which], labels)
        batches.append(tuple(which))
    assert len(set(batches)) > 3  # they differ from step to step


def test_metrics_count_the_images_that_train_the_weights(dataset: Path, tmp_path: Path) -> None:
    config = two_level("darts-first-order", epochs=1, learning_rate=1e-30)
    found = search(config, dataset, tmp_path)
    header, row = found["metrics.csv"].decode().splitlines()
    values = dict(zip(header.split(","), map(float, row.split(",")), strict=True))
    assert values["train_loss"] == pytest.approx(math.log(4), rel=0.3)  # of untrained weights, four classes
    assert (values["train_accuracy"] / 100 * 10) == pytest.approx(round(values["train_accuracy"] / 10), abs=1e-6)


@pytest.fixture(scope="module", params=TWO_LEVEL)
def straight(request: pytest.FixtureRequest, dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A strategy and the files of an uninterrupted search with it."""
    return request.param, search(two_level(request.param, batch_size=6), dataset, tmp_path_factory.mktemp("straight"))


def test_a_two_level_search_killed_inside_an_epoch_ends_the_same(straight: Any, dataset: Path, tmp_path: Path) -> None:
    strategy, files = straight
    config = two_level(strategy, batch_size=6)  # two steps an epoch
    scratch = Workspace(tmp_path / "scratch", "identity", checkpoint_seconds=0)
    for lifetime in (1, 2):  # inside the first epoch, inside the second
        determinism.apply(config.seed, "cpu", 1)
        mortal = Mortal(config, find_space(config.space), arrays.load(dataset, "train"), "cpu")
        mortal.lifetime = lifetime
        with pytest.raises(KilledError):
            train(mortal, config.epochs, scratch)
    assert list(scratch.scratch.iterdir())
    assert search(config, dataset, tmp_path) == files


def test_the_share_is_the_strategys_and_leaves_the_alphas_a_batch(dataset: Path) -> None:
    images = arrays.load(dataset, "train")

    class Greedy(TwoLevel):
        weight_share = 18 / 19

    class Wrong(TwoLevel):
        weight_share = 1.5

    class Mixed(GroupedDropout):  # as a user could write it
        weight_share = 2 / 3

    assert stage.held_out_images(Mixed(CONFIG, ORIGINAL), len(images), "users:Strategy") == 6
    assert stage.held_out_images(GroupedDropout(CONFIG, ORIGINAL), len(images), "dropnas") == 0
    for strategy, message in ((Greedy, "one held-out image"), (Wrong, "weight_share is 1.5")):
        with pytest.raises(DropnasError, match=message):
            stage.held_out_images(strategy(CONFIG, ORIGINAL), len(images), "users:Strategy")


HEAD = "profile: x\ndescription: x\ntables: [table1]\ndatasets:\n  cifar10: {name: digits, source: bundled}\nmethods:\n"


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ("{label: X, strategy: darts-second-order, options: {decay: l2}}", r"methods \(X\).options: .* has no options"),
        ("{label: X, strategy: darts-third-order}", "no strategy 'darts-third-order'.*known: .*darts-second-order"),
        ("{label: 'DARTS, second order', strategy: darts-second-order}", "label darts-second-order is the paper's"),
        ("{label: No alpha adjust, strategy: dropnas}", "label no-alpha-adjust is the paper's"),
    ],
)
def test_mistakes_in_a_parameter_file_are_told_in_one_line(tmp_path: Path, method: str, message: str) -> None:
    file = tmp_path / "x.yaml"
    file.write_text(f"{HEAD}  - {method}\n")
    with pytest.raises(DropnasError, match=message) as raised:
        read_parameters(file)
    assert "\n" not in str(raised.value)


def test_they_are_methods_by_name(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    method = "{label: Two-level, strategy: darts-second-order}"
    file.write_text(f"{HEAD}  - {method}\nsearch: {{options: {{decay: l2}}}}\n")
    runs = make_plan(read_parameters(file)).runs.values()
    configs = [run.config for run in runs if run.stage == "search" and run.config.strategy == "darts-second-order"]
    assert configs
    assert all(config.options == {} for config in configs)  # the file's options are those of grouped dropout
