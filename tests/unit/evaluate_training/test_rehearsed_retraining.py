"""A retraining replayed from recordings on a CPU, with the events of a GPU, gives the bits of the plain way.

AutoAugment is off, because it looks up values in Python on a CPU and in torch on a GPU.
"""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from dropnas.artifacts.metrics_file import Row
from dropnas.data import arrays
from dropnas.evaluate import retrain
from dropnas.evaluate.config import RetrainConfig
from dropnas.space.published import load_genotype
from dropnas.training.graphs import Recorder
from dropnas.training.rehearsal import Rehearsal

CONFIG = RetrainConfig(
    cells=3,
    channels=2,
    epochs=3,
    batch_size=300,
    crop_padding=1,
    cutout=2,
    drop_path=0.3,
    held_out=40,
)


@pytest.fixture(autouse=True)
def several_test_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrain, "TEST_BATCH", 128)


def trainee(digits: Path, recorder: Recorder | None) -> retrain.Retraining:
    training, testing = (arrays.load(digits, split) for split in ("train", "test"))
    made = retrain.Retraining(CONFIG, load_genotype("dropnas_c10"), training, testing, "cpu", recorder)
    made.learner.forward = made.learner.network
    return made


def trained(made: retrain.Retraining, epochs: range) -> tuple[list[Tensor], list[Row]]:
    """The losses and rows of whole epochs, whose last batch is smaller."""
    losses, rows = [], []
    for epoch in epochs:
        made.start_epoch(epoch)
        losses += [made.step(epoch, step).clone() for step in range(made.steps_per_epoch)]
        rows += made.finish_epoch(epoch)
    return losses, rows


def test_training_and_evaluation_are_the_plain_ones(digits: Path) -> None:
    ours, theirs = trainee(digits, Rehearsal()), trainee(digits, None)
    (losses, rows), (expected, plain_rows) = trained(ours, range(1, 3)), trained(theirs, range(1, 3))
    assert all(map(torch.equal, losses, expected)) and rows == plain_rows
    assert all(map(torch.equal, ours.learner.changed(), theirs.learner.changed()))
    sizes = {size for what, size in ours.programs.replays if what == "train"}  # type: ignore[misc]
    assert len(sizes) == 2 and max(sizes) == 300


@pytest.mark.parametrize("stopped", [1, 2])
def test_resumed_inside_an_epoch_it_is_the_plain_one(digits: Path, stopped: int) -> None:
    straight, first, second = trainee(digits, None), trainee(digits, None), trainee(digits, Rehearsal())
    trained(straight, range(1, 2))
    first.start_epoch(1)
    for step in range(stopped):
        first.step(1, step)
    second.start_epoch(1)
    second.load_state_dicts(first.state_dicts())
    for step in range(stopped, second.steps_per_epoch):
        second.step(1, step)
    assert all(map(torch.equal, straight.learner.changed(), second.learner.changed()))


def test_an_epoch_of_one_step(digits: Path) -> None:
    found = []
    for recorder in (Rehearsal(), None):
        training = arrays.load(digits, "train")
        config = replace(CONFIG, batch_size=len(training), held_out=0)
        made = retrain.Retraining(config, load_genotype("dropnas_c10"), training, training, "cpu", recorder)
        made.learner.forward = made.learner.network
        found.append(trained(made, range(1, 2)))
    assert torch.equal(found[0][0][0], found[1][0][0]) and found[0][1] == found[1][1]
