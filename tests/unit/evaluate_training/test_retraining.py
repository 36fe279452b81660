"""Retraining on real handwriting: what it learns, which files it writes, and that only its seed matters."""

import csv
import json
import math
import multiprocessing
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from dropnas.data import arrays, augment, autoaugment, image_operations, operation_tables
from dropnas.data.batches import epoch_order
from dropnas.errors import DropnasError
from dropnas.evaluate import draws, loading, retrain
from dropnas.evaluate.config import RetrainConfig
from dropnas.evaluate.learner import with_auxiliary
from dropnas.evaluate.stack import Outputs
from dropnas.space.genotype import Genotype
from dropnas.training import determinism
from dropnas.workspace import Workspace

FORK = multiprocessing.get_context("fork")
SMALL = RetrainConfig(
    cells=3, channels=4, epochs=3, batch_size=64, learning_rate=0.1, crop_padding=1, flip=False, cutout=2, drop_path=0.1
)
FILES = {"genotype.json", "network.json", "metrics.csv", "result.json", "network.safetensors"}


def retrained(config: RetrainConfig, inputs: list[Path], folder: Path, **means: Any) -> dict[str, bytes]:
    """Run the stage; return the bytes of every file that it wrote."""
    out = folder / "out"
    out.mkdir(parents=True, exist_ok=True)
    statistics = retrain.run(config, inputs, out, Workspace(folder / "scratch", "retraining", **means))
    assert statistics.keys() == {"images_per_second"}
    return {path.name: path.read_bytes() for path in out.iterdir()}


@pytest.fixture(scope="module")
def finished(digits: Path, genotype: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One finished retraining."""
    folder = tmp_path_factory.mktemp("finished")
    retrained(SMALL, [digits, genotype], folder)
    return folder / "out"


def test_it_learns_and_leaves_its_files(finished: Path) -> None:
    assert {path.name for path in finished.iterdir()} == FILES
    result = json.loads((finished / "result.json").read_text())
    assert result["top1_error"]["final"] < 50  # chance is 90
    assert result["top1_error"]["best"] <= result["top1_error"]["final"]
    assert result["top5_error"]["final"] < result["top1_error"]["final"]
    assert (result["epochs"], result["classes"], result["test_images"]) == (3, 10, 300)
    assert 0 < result["parameters"] < result["parameters_with_auxiliary"]


def test_metrics_follow_the_protocol(finished: Path) -> None:
    rows = list(csv.DictReader((finished / "metrics.csv").open()))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    rates = [0.1 * (1 + math.cos(math.pi * epoch / 3)) / 2 for epoch in range(3)]
    assert [float(row["learning_rate"]) for row in rows] == pytest.approx(rates)
    assert [float(row["drop_path"]) for row in rows] == pytest.approx([0, 0.1 / 3, 0.2 / 3])
    result = json.loads((finished / "result.json").read_text())["top1_error"]
    errors = [float(row["top1_error"]) for row in rows]
    assert (result["final"], result["best"]) == (errors[-1], min(errors))
    assert result["best_epoch"] == errors.index(min(errors)) + 1


def test_the_archived_network_has_the_final_error(finished: Path, digits: Path) -> None:
    network = loading.read_network(finished, {}).network
    test = arrays.load(digits, "test")
    with torch.no_grad():
        logits, _ = network(augment.normalise(test.batch(torch.arange(len(test))), test.mean, test.std))
    wrong = (logits.argmax(1) != test.labels).sum().item()
    result = json.loads((finished / "result.json").read_text())
    assert result["top1_error"]["final"] == pytest.approx(100 * wrong / len(test))


def test_equal_runs_give_equal_bytes_and_other_seeds_others(
    finished: Path, digits: Path, genotype: Path, tmp_path: Path
) -> None:
    torch.manual_seed(123)
    again = retrained(SMALL, [digits, genotype], tmp_path / "again")
    assert again == {path.name: path.read_bytes() for path in finished.iterdir()}
    other = retrained(replace(SMALL, seed=1, epochs=1), [digits, genotype], tmp_path / "other")
    assert other["network.safetensors"] != again["network.safetensors"]


def test_killed_again_and_again_it_ends_as_if_left_alone(
    finished: Path, digits: Path, genotype: Path, tmp_path: Path
) -> None:
    """A kill in each of the three epochs of eleven steps."""

    def work() -> object:
        return retrained(SMALL, [digits, genotype], tmp_path, checkpoint_seconds=0)

    assert [killed(work, steps) for steps in (3, 14, 9, 33)] == [True, True, True, False]
    left = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert left == {path.name: path.read_bytes() for path in finished.iterdir()}


def killed(work: Callable[[], object], steps: int) -> bool:
    """Run in a separate process that is killed after some steps; return whether it was killed."""
    process = FORK.Process(target=mortal, args=(work, steps))
    process.start()
    process.join()
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode != 0


def mortal(work: Callable[[], object], steps: int) -> None:
    left, step = iter(range(steps)), retrain.Retraining.step

    def counted(self: retrain.Retraining, epoch: int, number: int) -> torch.Tensor:
        if next(left, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)
        return step(self, epoch, number)

    retrain.Retraining.step = counted  # type: ignore[method-assign]
    work()


def test_a_step_is_plain_sgd_on_both_losses(digits: Path, genotype: Path) -> None:
    """Three steps against momentum, decay and clipping written out by hand."""
    config = replace(SMALL, crop_padding=0, cutout=0, drop_path=0.0, gradient_clip=0.5, weight_decay=0.01)
    training = arrays.load(digits, "train")
    trainee = retrain.Retraining(config, Genotype.read(genotype), training, training, "cpu")
    twin = retrain.Retraining(config, Genotype.read(genotype), training, training, "cpu").learner.network
    weights, velocity = list(twin.parameters()), [torch.zeros_like(weight) for weight in twin.parameters()]
    trainee.start_epoch(0)
    order = epoch_order(len(training), config.seed, 0)
    for step in range(3):
        found = trainee.step(0, step)
        chosen = order[step * 64 : (step + 1) * 64]
        pixels = training.images[chosen].expand(-1, 3, -1, -1).float() / 255
        logits, auxiliary = twin((pixels - training.mean.view(3, 1, 1)) / training.std.view(3, 1, 1))
        labels = training.labels[chosen]
        loss = functional.cross_entropy(logits, labels) + 0.4 * functional.cross_entropy(auxiliary, labels)
        gradients = torch.autograd.grad(loss, weights)
        norm = math.sqrt(sum(float(gradient.square().sum()) for gradient in gradients))
        assert norm > 0.5, "the clip is tried too"
        with torch.no_grad():
            for weight, speed, gradient in zip(weights, velocity, gradients, strict=True):
                speed.mul_(0.9).add_(gradient * 0.5 / norm + 0.01 * weight)
                weight.sub_(0.1 * speed)
        torch.testing.assert_close(found[0], loss.detach())
    for weight, expected in zip(trainee.learner.parameters, weights, strict=True):
        torch.testing.assert_close(weight, expected, rtol=1e-3, atol=1e-5)


def test_norms_start_uniform_where_that_is_wanted(digits: Path, genotype: Path) -> None:
    """All weights of the network, including the auxiliary tower's, and no others."""
    training, cells = arrays.load(digits, "train"), Genotype.read(genotype)
    ones, uniform = (
        retrain.Retraining(config, cells, training, training, "cpu").learner.network.state_dict()
        for config in (SMALL, replace(SMALL, norm_weight="uniform"))
    )
    norms = {name.replace("running_mean", "weight") for name in ones if name.endswith("running_mean")}
    assert norms and all(bool((ones[name] == 1).all()) for name in norms)
    assert all(0 < float(uniform[name].mean()) < 1 for name in norms)
    assert {name for name in ones if not torch.equal(ones[name], uniform[name])} == norms


def test_options_that_are_off_are_off(digits: Path, genotype: Path, tmp_path: Path) -> None:
    config = replace(SMALL, epochs=1, auxiliary_weight=0.0, drop_path=0.0, cutout=0, crop_padding=0)
    left = retrained(config, [digits, genotype], tmp_path)
    result = json.loads(left["result.json"])
    assert result["parameters"] == result["parameters_with_auxiliary"]


AUGMENTED = replace(SMALL, flip=True, autoaugment=True)


def small_trainee(config: RetrainConfig, digits: Path, genotype: Path, device: str = "cpu") -> retrain.Retraining:
    training, testing = (arrays.load(digits, split, device=device) for split in ("train", "test"))
    return retrain.Retraining(config, Genotype.read(genotype), training, testing, device)


def test_images_are_augmented_as_batches_are_one_by_one(digits: Path) -> None:
    """Apply an epoch's draws image by image, in the order crop, flip, AutoAugment, normalise, Cutout."""
    data = arrays.load(digits, "train")
    drawn = draws.draw(AUGMENTED, 1, 50, (8, 8), 3, 0.5)
    found = draws.augmented(data.batch(drawn.order), data, AUGMENTED, drawn)
    operations = autoaugment._listed(autoaugment.CIFAR_POLICY).operations
    for place in range(50):
        image = functional.pad(data.batch(drawn.order[place : place + 1]), (1, 1, 1, 1))
        row, column = drawn.crops[place].tolist()
        image = image[:, :, row : row + 8, column : column + 8]
        image = image.flip(3) if drawn.mirrored[place] else image
        for number in drawn.operations[place].tolist():
            image = image_operations.apply(image, *operations[number]) if number else image
        expected = (image.float() / 255 - data.mean.view(3, 1, 1)) / data.std.view(3, 1, 1)
        row, column = drawn.holes[place].tolist()
        expected[:, :, max(0, row - 1) : row + 1, max(0, column - 1) : column + 1] = 0
        torch.testing.assert_close(found[place : place + 1], expected)
    assert 0 < drawn.kept.float().mean() < 1 and drawn.mirrored.any() and drawn.operations.any()


def test_draws_follow_from_seed_and_epoch_alone() -> None:
    def bits(config: RetrainConfig, epoch: int) -> list[bytes]:
        made = draws.draw(config, epoch, 200, (8, 8), 5, 0.5)
        return [values.contiguous().numpy().tobytes() for values in vars(made).values()]

    before = torch.get_rng_state()
    assert bits(AUGMENTED, 1) == bits(AUGMENTED, 1)
    for other in (bits(AUGMENTED, 2), bits(replace(AUGMENTED, seed=1), 1)):
        assert all(left != right for left, right in zip(bits(AUGMENTED, 1), other, strict=True))
    assert torch.equal(before, torch.get_rng_state())


class Called(TorchDispatchMode):
    """Records the called operations of torch."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.add(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


LOOKS = {"_local_scalar_dense", "item", "nonzero", "equal", "is_nonzero", "masked_select", "unique", "_unique2"}


def test_the_host_reads_no_value_in_a_step(digits: Path, genotype: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operation_tables, "_where", operation_tables._chosen)  # as on a GPU
    trainee = small_trainee(AUGMENTED, digits, genotype)
    trainee.learner.forward = trainee.learner.network  # as on a GPU
    trainee.start_epoch(1)
    trainee.step(1, 0)
    with Called() as called:
        trainee.step(1, 1)
    assert "convolution" in called.names and not LOOKS & called.names


def test_what_drop_path_keeps_is_scaled_to_the_same_mean(digits: Path, genotype: Path) -> None:
    """At the third of three epochs the rate is two thirds of its last value: 0.4 of 0.6."""
    trainee = small_trainee(replace(SMALL, drop_path=0.6), digits, genotype)
    seen: list[torch.Tensor] = []
    forward = trainee.learner.forward

    def noted(images: torch.Tensor, masks: torch.Tensor) -> Outputs:
        seen.append(masks)
        return forward(images, masks)

    trainee.learner.forward = noted
    trainee.start_epoch(2)
    for step in range(trainee.steps_per_epoch):
        trainee.step(2, step)
    masks = torch.cat([mask.flatten() for mask in seen])
    assert masks.unique().tolist() == pytest.approx([0, 1 / 0.6])
    assert float(masks.mean()) == pytest.approx(1, abs=0.1)


def test_every_step_sees_its_own_images(digits: Path, genotype: Path) -> None:
    """Full and smaller last batches, compared with the same images passed by hand."""
    config = replace(AUGMENTED, batch_size=500, drop_path=0.0)
    trainee, twin = (small_trainee(config, digits, genotype) for _ in range(2))
    trainee.start_epoch(1)
    drawn = draws.draw(config, 1, len(trainee.trained), (8, 8), 0, 0.0)
    for step in range(trainee.steps_per_epoch):
        chosen = drawn.rows(torch.arange(500 * step, min(500 * step + 500, len(trainee.trained))))
        twin.learner.network.load_state_dict(trainee.learner.network.state_dict())
        images = draws.augmented(twin.training.batch(chosen.order), twin.training, config, chosen)
        expected = with_auxiliary(twin.learner.network(images), twin.training.labels[chosen.order], 0.4)
        torch.testing.assert_close(trainee.step(1, step)[0], expected.detach())
    assert trainee.images_seen == len(trainee.trained) and trainee.images_seen % 500


def test_all_that_a_step_changes_is_named(digits: Path, genotype: Path) -> None:
    """A GPU restores it after warming up."""
    trainee = small_trainee(AUGMENTED, digits, genotype)
    trainee.start_epoch(1)
    trainee.step(1, 0)
    moving = [*trainee.learner.changed(), trainee.losses]
    saved = [tensor.detach().clone() for tensor in moving]
    first = trainee.step(1, 1).clone()
    weights = [weight.detach().clone() for weight in trainee.learner.parameters]
    with torch.no_grad():
        for tensor, old in zip(moving, saved, strict=True):
            tensor.copy_(old)
    assert torch.equal(trainee.step(1, 1), first)
    assert all(torch.equal(left, right) for left, right in zip(weights, trainee.learner.parameters, strict=True))


def test_bf16_trains_too(digits: Path, genotype: Path, tmp_path: Path) -> None:
    left = retrained(replace(SMALL, epochs=1, precision="bf16"), [digits, genotype], tmp_path)
    assert math.isfinite(json.loads(left["result.json"])["top1_error"]["final"])


@pytest.mark.parametrize("deterministic", [True, False])
def test_it_lets_cudnn_choose_by_timing_only_where_that_is_wanted(
    digits: Path, genotype: Path, tmp_path: Path, deterministic: bool
) -> None:
    try:
        retrained(replace(SMALL, epochs=1, deterministic=deterministic), [digits, genotype], tmp_path)
        assert torch.backends.cudnn.benchmark is not deterministic
    finally:
        determinism.apply(0, "cpu", 1)


def test_a_loss_that_is_not_finite_stops_it(digits: Path, genotype: Path, tmp_path: Path) -> None:
    with pytest.raises(DropnasError, match=r"epoch 1, step .*not finite"):
        retrained(replace(SMALL, learning_rate=1e30), [digits, genotype], tmp_path)
    assert not list((tmp_path / "out").iterdir())
