"""DARTS' two-level search: its gradient against analytic ones and autograd, its step against torch, its split."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from dropnas.config import read_parameters
from dropnas.errors import DropnasError
from dropnas.pipeline.plan import make_plan
from dropnas.search.architecture import Alphas, mixtures
from dropnas.search.config import FIRST_ORDER, SECOND_ORDER, SearchConfig
from dropnas.search.seed_group import SeedGroup
from dropnas.search.strategies import hypergradient
from dropnas.search.strategies.darts import Darts
from dropnas.search.strategies.hypergradient import VirtualStep, mixed_derivative, second_order
from dropnas.search.strategy import Batch, make_strategy
from dropnas.space.spaces import ORIGINAL
from dropnas.training import precision
from dropnas.training.seeding import generator
from tests.unit.search.groups import CLASSES, CONFIG, SMALL, group_of, train, values

TWO_LEVEL = (FIRST_ORDER, SECOND_ORDER)
STEP = VirtualStep(rate=0.3, momentum=0.9, decay=0.05)
DARTS = replace(CONFIG, strategy=SECOND_ORDER, batch_size=8)
IMAGES = 16  # eight for w and eight for the alphas: one step per epoch
Function = Callable[[Tensor, Tensor], Tensor]  # of w and alpha: a scalar


# --- the mathematics ------------------------------------------------------------------------------------------------


def gradients_of(loss: Function, alpha: Tensor) -> tuple[Any, Any, Any]:
    """The derivatives in w, in alpha, and in both, as functions of w."""

    def of(variables: str) -> Callable[[Tensor], Any]:
        def gradient(weights: Tensor) -> Any:
            w, a = weights.detach().requires_grad_(), alpha.detach().requires_grad_()
            wanted = [{"w": w, "a": a}[name] for name in variables]
            found = torch.autograd.grad(loss(w, a), wanted, materialize_grads=True)
            return found if len(found) > 1 else found[0]

        return gradient

    return of("w"), of("a"), of("wa")


def through_the_step(
    training: Function, validation: Function, weights: Tensor, alpha: Tensor, velocity: Tensor, step: VirtualStep
) -> Tensor:
    """The exact hypergradient: autograd through the virtual step."""
    w, a = weights.detach().requires_grad_(), alpha.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(training(w, a), [w], create_graph=True)
    moved = w - step.rate * (step.momentum * velocity + gradient + step.decay * w)
    return torch.autograd.grad(validation(moved, a), [a])[0]


class Quadratic:
    """L_train = ||w - A alpha||^2 / 2 and L_val = ||w - b||^2 / 2 + c alpha, whose hypergradient is known in full.

    Two seeds are computed, which must not mix.
    """

    def __init__(self, seed: int) -> None:
        draws = np.random.default_rng(seed)
        self.a, self.b, self.c = draws.normal(size=(2, 5, 3)), draws.normal(size=(2, 5)), draws.normal(size=(2, 3))
        self.w, self.velocity = draws.normal(size=(2, 5)), draws.normal(size=(2, 5))
        self.alpha = torch.tensor(draws.normal(size=(2, 3)))

    def training(self, weights: Tensor, alpha: Tensor) -> Tensor:
        return (weights - (torch.tensor(self.a) @ alpha[..., None])[..., 0]).square().sum() / 2

    def validation(self, weights: Tensor, alpha: Tensor) -> Tensor:
        return (weights - torch.tensor(self.b)).square().sum() / 2 + (torch.tensor(self.c) * alpha).sum()

    def analytic(self, step: VirtualStep, seed: int) -> np.ndarray:
        """c + xi A^T (w' - b), since dw'/dalpha = xi A."""
        a, w = self.a[seed], self.w[seed]
        slope = step.momentum * self.velocity[seed] + w - a @ self.alpha[seed].numpy() + step.decay * w
        return np.asarray(self.c[seed] + step.rate * a.T @ (w - step.rate * slope - self.b[seed]))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("step", [STEP, VirtualStep(0.0375, 0.0, 0.0), VirtualStep(0.0, 0.9, 3e-4)])
def test_second_order_is_the_analytic_gradient_of_a_quadratic_problem(seed: int, step: VirtualStep) -> None:
    problem = Quadratic(seed)
    weights, velocity = torch.tensor(problem.w), torch.tensor(problem.velocity)
    in_w, in_alpha, _ = gradients_of(problem.training, problem.alpha)
    _, _, in_both = gradients_of(problem.validation, problem.alpha)
    found = second_order(in_w, in_both, in_alpha, weights, velocity, step)
    for index in range(2):
        assert found[index].numpy() == pytest.approx(problem.analytic(step, index), rel=1e-9, abs=1e-10)
    assert torch.equal(weights, torch.tensor(problem.w))


def test_without_a_validation_gradient_in_w_nothing_is_divided_by_zero() -> None:
    problem = Quadratic(0)
    in_w, in_alpha, _ = gradients_of(problem.training, problem.alpha)
    _, _, in_both = gradients_of(lambda w, a: (torch.tensor(problem.c) * a).sum() + 0 * w.sum(), problem.alpha)
    found = second_order(in_w, in_both, in_alpha, torch.tensor(problem.w), torch.zeros(2, 5).double(), STEP)
    assert found.numpy() == pytest.approx(problem.c)


def test_the_difference_has_the_published_length_for_each_seed() -> None:
    """L_train = alpha sum w^3: its mixed derivative along v, 3 w^2 v, comes out with an error of epsilon^2 v^3."""
    w = torch.tensor([[1.0, -2.0], [0.5, 1.0]]).double()
    v = torch.tensor([[3.0, 4.0], [6.0, 8.0]]).double()
    _, in_alpha, _ = gradients_of(lambda weights, a: (a[:, 0] * weights.pow(3).sum(1)).sum(), torch.ones(2, 1).double())
    found = mixed_derivative(in_alpha, w, v)
    epsilon = 0.01 / torch.tensor([[5.0], [10.0]]).double()
    error = (epsilon**2 * v.pow(3)).sum(1)
    expected = (3 * w.square() * v).sum(1) + error
    assert found[:, 0].tolist() == pytest.approx(expected.tolist(), rel=1e-9)
    assert (error > 1e-6 * expected).all()  # the error is visible


@pytest.mark.parametrize("seed", range(3))
def test_second_order_agrees_with_autograd_through_the_step_where_nothing_is_quadratic(seed: int) -> None:
    draws = generator(seed, "problem")
    inputs, targets = (torch.randn(6, 4, generator=draws, dtype=torch.float64) for _ in range(2))

    def loss(weights: Tensor, alpha: Tensor) -> Tensor:
        first, second = weights[0].view(2, 4, 4)
        p = alpha[0].softmax(0)
        hidden = torch.tanh(inputs @ first)
        return ((p[0] * hidden + p[1] * hidden.square() + p[2]) @ second - targets).square().mean()

    def validation(weights: Tensor, alpha: Tensor) -> Tensor:
        return loss(weights, alpha).exp().log1p()

    weights, velocity = (torch.randn(1, 32, generator=draws).double() for _ in range(2))
    alpha = torch.randn(1, 3, generator=draws).double()
    in_w, in_alpha, _ = gradients_of(loss, alpha)
    _, plain, in_both = gradients_of(validation, alpha)
    found = second_order(in_w, in_both, in_alpha, weights, velocity, STEP)
    exact = through_the_step(loss, validation, weights, alpha, velocity, STEP)
    assert torch.allclose(found, exact, rtol=1e-3, atol=1e-5)
    assert not torch.allclose(plain(weights), exact, rtol=1e-2)  # the second order matters here


# --- the step -------------------------------------------------------------------------------------------------------


def batch_of(number: int, seeds: int = 1) -> Batch:
    """A batch of noise, and another one that is held out."""
    draws = generator(number, "images")
    dtype = torch.get_default_dtype()
    pairs = [
        (
            torch.randn(seeds, 8, 3, 4, 4, generator=draws, dtype=torch.float64).to(dtype),
            torch.randint(CLASSES, (seeds, 8), generator=draws),
        )
        for _ in range(2)
    ]
    return Batch(*pairs[0], {}, pairs[1], "")


def plain_loss(group: SeedGroup, index: int, images: Tensor, labels: Tensor) -> Function:
    """The loss of one seed as a function of named parameters, by the plain supernet; only copies of buffers change."""
    supernet = group.runs[index].supernet
    shapes = {name: weight.shape for name, weight in supernet.named_parameters()}
    kept = torch.ones(len(supernet.kinds), 14, len(SMALL.operations), dtype=torch.bool)

    def loss(weights: Tensor, alpha: Tensor) -> Tensor:
        parts = torch.split(weights, [shape.numel() for shape in shapes.values()])  # type: ignore[no-untyped-call]
        named = {name: part.view(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}
        named |= {name: buffer.clone() for name, buffer in supernet.named_buffers()}
        mixture = mixtures(Alphas(*alpha.unbind()), kept, supernet.kinds)
        return functional.cross_entropy(functional_call(supernet, named, (images[index], mixture)), labels[index])

    return loss


def begun(config: SearchConfig, seeds: Sequence[int] = (0, 1), steps: int = 2) -> SeedGroup:
    """A group after some steps, so that there is momentum."""
    group = group_of(config, seeds, SMALL, images=IMAGES)
    train(group, last=steps)
    return group


@pytest.mark.usefixtures("doubles")
def test_the_supernets_hypergradient_agrees_with_autograd_through_the_virtual_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The difference is so short that no ReLU switches, so it is exact: the network is smooth between switches. Over
    the published length, some ReLUs switch, which is the method's own error."""
    monkeypatch.setattr(hypergradient, "LENGTH", 1e-7)
    group, batch = begun(DARTS), batch_of(2, seeds=2)
    assert isinstance(group.strategy, Darts) and batch.held_out is not None
    found, state = group.strategy.architecture_gradients(group.state, batch)[0], group.state
    (momentum,) = state.weight_optimiser.slots["momentum"]
    assert momentum.any(dim=1).all()
    step = VirtualStep(state.weight_optimiser.learning_rate, DARTS.momentum, DARTS.weight_decay)
    for index in range(2):
        training = plain_loss(group, index, batch.images, batch.labels)
        validation = plain_loss(group, index, *batch.held_out)
        arguments = state.weights[index], state.alphas[index], momentum[index]
        exact = through_the_step(training, validation, *arguments, step)
        _, plain, _ = gradients_of(validation, state.alphas[index])
        assert (found[index] - exact).norm() < 1e-6 * exact.norm()
        assert (plain(state.weights[index]) - exact).norm() > 0.1 * exact.norm()


@pytest.mark.parametrize("strategy", TWO_LEVEL)
def test_the_gradient_of_the_alphas_leaves_everything_as_it_was(strategy: str) -> None:
    group = begun(replace(DARTS, strategy=strategy), steps=1)
    assert isinstance(group.strategy, Darts)
    before = [tensor.detach().clone() for tensor in group.state.tensors()]
    group.strategy.architecture_gradients(group.state, batch_of(2, seeds=2))[0]
    assert all(map(torch.equal, before, group.state.tensors()))


@pytest.mark.usefixtures("doubles")
@pytest.mark.parametrize("strategy", TWO_LEVEL)
def test_a_step_is_adam_on_alpha_then_sgd_on_w_with_torchs_own_decay(strategy: str) -> None:
    group = group_of(replace(DARTS, strategy=strategy), (0, 1), SMALL, images=IMAGES)
    assert isinstance(group.strategy, Darts)
    weights, alphas = (
        [nn.Parameter(each.detach().clone()) for each in of] for of in (group.state.weights, group.state.alphas)
    )
    sgds = [torch.optim.SGD([each], lr=0.0375, momentum=0.9, weight_decay=0.05) for each in weights]
    adams = [torch.optim.Adam([each], lr=0.02, betas=(0.5, 0.999), weight_decay=0.3) for each in alphas]
    for number in range(3):
        batch = batch_of(10 + number, seeds=2)
        gradients = group.strategy.architecture_gradients(group.state, batch)[0]
        losses, _ = group.strategy.step(group.state, batch)
        for index, (w, alpha) in enumerate(zip(weights, alphas, strict=True)):
            alpha.grad = gradients[index]
            adams[index].step()
            loss = plain_loss(group, index, batch.images, batch.labels)(w, alpha.detach())
            (w.grad,) = torch.autograd.grad(loss, [w])
            assert nn.utils.clip_grad_norm_([w], 0.5) > 0.5  # the clip is active
            sgds[index].step()
            assert losses[index].item() == pytest.approx(loss.item(), rel=1e-12)
            assert torch.allclose(group.state.weights[index], w, rtol=0, atol=1e-9)
            assert torch.allclose(group.state.alphas[index], alpha, rtol=0, atol=1e-9)


def test_the_running_statistics_have_seen_the_training_batches_alone() -> None:
    group = begun(DARTS, steps=3)
    counts = [value for name, value in values(group, 1).items() if name.endswith("num_batches_tracked")]
    assert {int(count) for count in counts} == {3}


def difference_by_precision(number: int) -> float:
    """How far the gradient of a batch in single precision is from that in double, relative to it."""
    groups, found = list[SeedGroup](), list[Tensor]()
    for dtype in (torch.float64, torch.float32):
        torch.set_default_dtype(dtype)
        groups.append(group_of(DARTS, (0,), SMALL, images=IMAGES))
        group, first = groups[-1], groups[0]
        with torch.no_grad():
            group.state.weights.copy_(first.state.weights)
            group.state.alphas.copy_(first.state.alphas)
        assert isinstance(group.strategy, Darts)
        found.append(group.strategy.architecture_gradients(group.state, batch_of(number))[0].double())
    return float((found[0] - found[1]).norm() / found[0].norm())


@pytest.mark.usefixtures("doubles")
def test_single_precision_changes_little() -> None:
    """In most batches, only by rounding. In a few, a ReLU switches in one computation and not in the other; which
    ones depends on the processor."""
    assert sorted(map(difference_by_precision, range(2, 7)))[2] < 1e-4


def test_reduced_precision_is_for_all_passes_but_those_of_the_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    group, reduced = begun(replace(DARTS, precision="bf16")), list[bool]()
    mix = group.state.engine.mix

    def noting(*arguments: Any) -> Tensor:
        reduced.append(torch.is_autocast_enabled("cpu"))
        return mix(*arguments)

    monkeypatch.setattr(group.state.engine, "mix", noting)
    precision.apply("bf16")
    try:
        group.strategy.step(group.state, batch_of(2, seeds=2))
        assert reduced == [True, True, False, False, True]  # virtual step, held-out loss, the two ends; then w
        assert torch.get_float32_matmul_precision() == "high"  # unchanged
    finally:
        precision.apply("fp32")


def test_it_has_no_options() -> None:
    with pytest.raises(DropnasError, match="unknown option 'decay'"):
        make_strategy(SearchConfig(strategy="darts-first-order", options={"decay": "l2"}), ORIGINAL)


# --- the search -----------------------------------------------------------------------------------------------------


def test_each_half_of_the_images_has_its_part() -> None:
    config = replace(DARTS, strategy=FIRST_ORDER, batch_size=4, crop_padding=0, flip=False)
    group = group_of(config, (3, 5), SMALL, images=19)
    images, seen = group.images, list[Batch]()
    step = group.strategy.step

    def noting(state: Any, batch: Batch) -> Any:
        seen.append(batch)
        return step(state, batch)

    group.strategy.step = noting  # type: ignore[method-assign]
    train(group, last=6)  # 10 images: batches of 4, 4 and 2
    originals = images.batch(torch.arange(len(images))) / 255

    def which(batch: Tensor) -> list[int]:
        raw = batch * images.std[:, None, None] + images.mean[:, None, None]
        return [int((originals - one).abs().sum(dim=(1, 2, 3)).argmin()) for one in raw]

    for index, run in enumerate(group.runs):
        weights, alphas = set(run.trained.tolist()), set(run.held_out.tolist())
        assert weights.isdisjoint(alphas) and weights | alphas == set(range(19)) and len(weights) == 10
        for epoch in range(2):
            of_epoch = seen[3 * epoch : 3 * epoch + 3]
            assert sorted(which(torch.cat([batch.images[index] for batch in of_epoch]))) == sorted(weights)
        batches = []
        for batch in seen:
            assert batch.held_out is not None and batch.held_out[0].shape[1] == 4
            chosen = which(batch.held_out[0][index])
            assert set(chosen) <= alphas and len(set(chosen)) == 4
            assert torch.equal(images.labels[chosen], batch.held_out[1][index])
            batches.append(tuple(chosen))
        assert len(set(batches)) > 3  # the batches differ from step to step
    assert group.runs[0].trained.tolist() != group.runs[1].trained.tolist()


def test_metrics_count_the_images_that_train_the_weights() -> None:
    config = replace(DARTS, strategy=FIRST_ORDER, batch_size=4, learning_rate=1e-30, learning_rate_min=1e-30)
    (row, _) = train(group_of(config, (3, 5), SMALL, images=19), last=3)[-1]
    assert row["train_loss"] == pytest.approx(math.log(CLASSES), rel=0.3)  # of untrained weights
    assert row["train_accuracy"] / 10 == pytest.approx(round(row["train_accuracy"] / 10), abs=1e-6)  # of ten images


class Greedy(Darts):
    weight_share = 18 / 19


def test_one_held_out_image_is_too_few() -> None:
    with pytest.raises(DropnasError, match=r"weight_share 0.947.* of 19 images holds out 1; a batch needs two"):
        group_of(replace(DARTS, strategy=f"{__name__}:Greedy"), images=19)


HEAD = "profile: x\ndescription: x\ntables: [table1]\ndatasets:\n  cifar10: {name: digits, source: bundled}\nmethods:\n"


@pytest.mark.parametrize(
    ("method", "message"),
    [
        (
            "{label: X, strategy: darts-second-order, options: {decay: l2}}",
            r"strategy 'darts-second-order': unknown option 'decay'.*it has none",
        ),
        ("{label: X, strategy: darts-third-order}", "no strategy 'darts-third-order'.*known: .*darts-second-order"),
        ("{label: 'DARTS, second order', strategy: darts-second-order}", "label darts-second-order is taken"),
        ("{label: No alpha adjust, strategy: dropnas}", "label no-alpha-adjust is taken"),
    ],
)
def test_mistakes_in_a_parameter_file_are_reported_in_one_line(tmp_path: Path, method: str, message: str) -> None:
    file = tmp_path / "x.yaml"
    file.write_text(f"{HEAD}  - {method}\n")
    with pytest.raises(DropnasError, match=message) as raised:
        make_plan(read_parameters(file))
    assert "\n" not in str(raised.value)


def test_they_are_methods_by_name(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    method = "{label: Two-level, strategy: darts-second-order}"
    file.write_text(f"{HEAD}  - {method}\nsearch: {{options: {{decay: l2}}}}\n")
    runs = make_plan(read_parameters(file)).runs.values()
    configs = [run.config for run in runs if run.stage == "search" and run.config.strategy == "darts-second-order"]
    assert configs
    assert all(config.options == {} for config in configs)  # the file's options are those of grouped dropout
