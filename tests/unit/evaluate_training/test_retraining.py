"""Retraining on real handwriting: what it learns, what it leaves, and that nothing but its seed decides it."""

import csv
import json
import math
import multiprocessing
import os
import random
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional

from dropnas.data import arrays, augment
from dropnas.data.batches import epoch_order
from dropnas.errors import DropnasError
from dropnas.evaluate import loading, retrain
from dropnas.evaluate.config import RetrainConfig
from dropnas.space.genotype import read_genotype
from dropnas.workspace import Workspace

FORK = multiprocessing.get_context("fork")
SMALL = RetrainConfig(
    cells=3, channels=4, epochs=3, batch_size=64, learning_rate=0.1, crop_padding=1, flip=False, cutout=2, drop_path=0.1
)
FILES = {"genotype.json", "network.json", "metrics.csv", "result.json", "network.safetensors"}


def retrained(config: RetrainConfig, inputs: list[Path], folder: Path, **means: Any) -> dict[str, bytes]:
    """Run the stage; gives the bytes of every file that it left."""
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
    network = loading.load(finished).network
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


def test_killed_at_random_moments_it_ends_as_if_left_alone(
    finished: Path, digits: Path, genotype: Path, tmp_path: Path
) -> None:
    moments, kills, ended = random.Random(1), 0, False
    while not ended:
        after = moments.uniform(0.2, 0.9) * 1.15**kills  # ever later, so that a busy machine gets somewhere, too
        ended = not killed(lambda: retrained(SMALL, [digits, genotype], tmp_path, checkpoint_seconds=0.1), after)
        kills += not ended
        assert kills < 30, "it makes no progress"
    assert kills >= 2
    left = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert left == {path.name: path.read_bytes() for path in finished.iterdir()}


def killed(work: Callable[[], object], after: float) -> bool:
    """Run in a process of its own; whether it had to be killed."""
    process = FORK.Process(target=work)
    process.start()
    process.join(after)
    alive = process.is_alive()
    if alive:
        os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    assert alive or process.exitcode == 0
    return alive


def test_a_step_is_plain_sgd_on_both_losses(digits: Path, genotype: Path) -> None:
    """Three steps against momentum, decay and clipping written out by hand."""
    config = replace(SMALL, crop_padding=0, cutout=0, drop_path=0.0, gradient_clip=0.5, weight_decay=0.01)
    training = arrays.load(digits, "train")
    trainee = retrain.Retraining(config, read_genotype(genotype), training, training, "cpu")
    twin = retrain.Retraining(config, read_genotype(genotype), training, training, "cpu").learner.network
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
        torch.testing.assert_close(found, loss.detach())
    for weight, expected in zip(trainee.learner.parameters, weights, strict=True):
        torch.testing.assert_close(weight, expected, rtol=1e-3, atol=1e-5)


def test_options_that_are_off_are_off(digits: Path, genotype: Path, tmp_path: Path) -> None:
    config = replace(SMALL, epochs=1, auxiliary_weight=0.0, drop_path=0.0, cutout=0, crop_padding=0)
    left = retrained(config, [digits, genotype], tmp_path)
    result = json.loads(left["result.json"])
    assert result["parameters"] == result["parameters_with_auxiliary"]


def test_autoaugment_changes_the_images(digits: Path, genotype: Path) -> None:
    training = arrays.load(digits, "train")
    images = [
        retrain.Retraining(config, read_genotype(genotype), training, training, "cpu")._augment(
            training.batch(torch.arange(32))
        )
        for config in (SMALL, replace(SMALL, autoaugment=True))
    ]
    assert images[0].shape == images[1].shape == (32, 3, 8, 8) and not torch.equal(*images)


def test_bf16_trains_too(digits: Path, genotype: Path, tmp_path: Path) -> None:
    left = retrained(replace(SMALL, epochs=1, precision="bf16"), [digits, genotype], tmp_path)
    assert math.isfinite(json.loads(left["result.json"])["top1_error"]["final"])


def test_a_loss_that_is_not_finite_stops_it(digits: Path, genotype: Path, tmp_path: Path) -> None:
    with pytest.raises(DropnasError, match=r"epoch 1, step .*not finite"):
        retrained(replace(SMALL, learning_rate=1e30), [digits, genotype], tmp_path)
    assert not list((tmp_path / "out").iterdir())
