"""The transfer on real handwriting: one process and two processes give the same training."""

import csv
import gc
import json
import multiprocessing
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional

from dropnas.data.imagenet import ImageSource
from dropnas.errors import DropnasError
from dropnas.evaluate import loading, transfer
from dropnas.evaluate.config import TransferConfig
from dropnas.evaluate.learner import with_auxiliary
from dropnas.space.genotype import Genotype
from dropnas.training import signals
from dropnas.training.distributed import SINGLE
from dropnas.training.loop import train
from dropnas.workspace import Workspace

FORK = multiprocessing.get_context("fork")
ROOT = Path(__file__).parents[3]
SMALL = TransferConfig(
    cells=3,
    channels=4,
    image_size=32,
    epochs=2,
    batch_size=64,
    micro_batch=16,
    learning_rate=0.05,
    warmup_epochs=1,
    drop_path=0.1,
    squeeze_excitation=True,
)
SHORT = replace(SMALL, batch_size=160, micro_batch=40, learning_rate=0.01)
BRIEF = replace(SMALL, batch_size=640, micro_batch=160)
TWO = """
import sys
from pathlib import Path
from dropnas.evaluate import transfer
from dropnas.workspace import Workspace
from test_transferring import BRIEF
data, genotype, folder = map(Path, sys.argv[1:])
transfer.run(BRIEF, [data, genotype], folder / "out", Workspace(folder / "scratch", "transfer"))
"""


@pytest.fixture(scope="module")
def alone(digits: Path, genotype: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One finished transfer of one process."""
    folder = tmp_path_factory.mktemp("alone")
    (folder / "out").mkdir()
    transfer.run(SMALL, [digits, genotype], folder / "out", Workspace(folder / "scratch", "transfer"))
    return folder / "out"


def trainee(config: TransferConfig, digits: Path, genotype: Path) -> transfer.Transfer:
    training, testing = ImageSource(digits, "train"), ImageSource(digits, "test")
    return transfer.Transfer(config, Genotype.read(genotype), training, testing, Workspace(Path("none"), "x"), SINGLE)


def test_it_learns_and_its_network_can_be_loaded(alone: Path) -> None:
    rows = list(csv.DictReader((alone / "metrics.csv").open()))
    assert float(rows[1]["train_loss"]) < float(rows[0]["train_loss"])
    assert [float(row["learning_rate"]) for row in rows] == [0.05, 0.05]
    result = json.loads((alone / "result.json").read_text())
    assert result["test_images"] == 300 and result["classes"] == 10
    assert result["top5_error"]["final"] < result["top1_error"]["final"] < 90
    network = loading.read_network(alone, {})
    assert network.shape.squeeze_excitation and network.shape.image_size == (32, 32)


def test_two_processes_give_the_same_training(digits: Path, genotype: Path, tmp_path: Path) -> None:
    """Compare weights, running statistics and errors up to rounding.

    Only two steps, because rounding grows quickly: one process whose weights start 1e-7 apart differs by 1e-3 after
    six.
    """
    (tmp_path / "two.py").write_text(TWO)
    for name in ("one", "out"):
        (tmp_path / name).mkdir()
    transfer.run(BRIEF, [digits, genotype], tmp_path / "one", Workspace(tmp_path / "scratch", "transfer"))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    paths = os.pathsep.join([str(ROOT), str(Path(__file__).parent)])
    environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    subprocess.run([*command, tmp_path / "two.py", digits, genotype, tmp_path], env=environment, check=True)
    one, two = (load_file(tmp_path / name / "network.safetensors") for name in ("one", "out"))
    assert one.keys() == two.keys()
    for name, tensor in one.items():
        torch.testing.assert_close(two[name], tensor, rtol=1e-4, atol=1e-5)
    results = [json.loads((tmp_path / name / "result.json").read_text()) for name in ("one", "out")]
    assert results[0] == results[1]


def as_rank(rank: int, port: int, stopped: int | None, inputs: list[Path], folder: Path) -> None:
    """Run one of two processes; the one of rank `stopped` gets SIGTERM in the second epoch."""
    places = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ.update({name: str(value) for name, value in places.items()})
    real = transfer.Transfer.step

    def step(self: transfer.Transfer, epoch: int, number: int) -> torch.Tensor:
        if rank == stopped and (epoch, number) == (1, 1):
            os.kill(os.getpid(), signals.SIGNALS[0])
        return real(self, epoch, number)

    transfer.Transfer.step = step  # type: ignore[method-assign, assignment]
    transfer.run(SHORT, inputs, folder / "out", Workspace(folder / "scratch", "transfer"))


def two_processes(stopped: int | None, inputs: list[Path], folder: Path) -> list[int | None]:
    """The exit codes of the processes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ranks = [FORK.Process(target=as_rank, args=(rank, port, stopped, inputs, folder)) for rank in (0, 1)]
    for rank in ranks:
        rank.start()
    for rank in ranks:
        rank.join(900)  # far more than needed, even on a busy machine
    return [rank.exitcode for rank in ranks]


@pytest.fixture(scope="module")
def undisturbed(digits: Path, genotype: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One finished transfer of two processes."""
    folder = tmp_path_factory.mktemp("undisturbed")
    (folder / "out").mkdir()
    assert two_processes(None, [digits, genotype], folder) == [0, 0]
    return folder / "out"


@pytest.mark.parametrize("stopped", [0, 1])
def test_a_signal_to_one_process_stops_both_and_they_resume_as_one(
    stopped: int, undisturbed: Path, digits: Path, genotype: Path, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    assert two_processes(stopped, [digits, genotype], tmp_path) == [signals.EXIT_STOPPED] * 2
    assert not list((tmp_path / "out").iterdir())
    assert two_processes(None, [digits, genotype], tmp_path) == [0, 0]
    for path in undisturbed.iterdir():
        assert (tmp_path / "out" / path.name).read_bytes() == path.read_bytes()


def test_the_gradient_is_the_mean_over_the_global_batch(digits: Path, genotype: Path) -> None:
    """The sum over micro-batches equals one loss over all of them, each with its own batch norm."""
    config = replace(SMALL, mixup=0.0, drop_path=0.0, autoaugment=False)
    learner = trainee(config, digits, genotype)
    twin = trainee(config, digits, genotype)
    found = {}
    learner.learner.descend = lambda: found.update(  # type: ignore[method-assign]
        {name: weight.grad for name, weight in learner.learner.network.named_parameters()}
    )
    for one in (learner, twin):
        one.start_epoch(0)
    learner.step(0, 0)
    batches, losses = twin._batches(0, 0), []
    mean, std = (tensor.view(3, 1, 1) for tensor in (twin.training.mean, twin.training.std))
    for _ in range(4):
        images, labels = next(batches)
        outputs = twin.learner.network((images.float() / 255 - mean) / std)
        for logits, weight in zip(outputs, (1, 0.4), strict=True):
            smooth = 0.9 * functional.one_hot(labels, 10) + 0.01
            losses.append(-weight * (smooth * logits.log_softmax(1)).sum(1).mean())
    (torch.stack(losses).sum() / 4).backward()  # type: ignore[no-untyped-call]
    for name, parameter in twin.learner.network.named_parameters():
        torch.testing.assert_close(found[name], parameter.grad, rtol=1e-3, atol=1e-5)


def augmented(digits: Path, genotype: Path, augmenting: str, workers: int = 0, step: int = 0) -> list[torch.Tensor]:
    """The augmented micro-batches of epoch 1 from a step on."""
    one = trainee(SMALL, digits, genotype)
    one.workspace, one.augmenting = replace(one.workspace, workers=workers), augmenting
    loaded, places = one._batches(1, step), [(later, part) for later in range(step, 2) for part in range(one.own)]
    return [one._augmented(next(loaded)[0], (1, *place)).clone() for place in places]


def test_augmentation_does_not_depend_on_where_it_is_done(digits: Path, genotype: Path) -> None:
    """On the device, or in any number of decoding processes, and from any step: the same pixels."""
    assert trainee(SMALL, digits, genotype).augmenting == "decoding"
    expected = torch.stack(augmented(digits, genotype, "device"))
    assert not torch.equal(expected, torch.stack(augmented(digits, genotype, "nowhere")))
    for workers in (0, 1, 2):
        assert torch.equal(torch.stack(augmented(digits, genotype, "decoding", workers)), expected)
        resumed = torch.stack(augmented(digits, genotype, "decoding", workers, step=1))
        assert torch.equal(resumed, expected[len(expected) // 2 :])


@pytest.mark.parametrize("autoaugment", [False, True])
def test_decoding_processes_end_with_the_training(autoaugment: bool, digits: Path, genotype: Path) -> None:
    """It must not need the garbage collector, which does not run at the end of a process. They ignore signals."""
    training = trainee(replace(SMALL, autoaugment=autoaugment), digits, genotype)
    training.workspace = replace(training.workspace, workers=1)
    training.start_epoch(0)
    gc.disable()
    try:
        training.step(0, 0)
        decoding = multiprocessing.active_children()
        assert decoding
        del training
        assert not set(decoding) & set(multiprocessing.active_children())
    finally:
        gc.enable()


def test_mixup_mixes_targets_as_it_mixes_images() -> None:
    logits = torch.randn(6, 4)
    labels, others = torch.tensor([0, 1, 2, 3, 0, 1]), torch.tensor([5, 4, 3, 2, 1, 0])
    share = 0.3
    soft = share * functional.one_hot(labels, 4) + (1 - share) * functional.one_hot(labels[others], 4)
    expected = -(soft * logits.log_softmax(1)).sum(1).mean()
    pair = [with_auxiliary((logits, None), targets, 0.4) for targets in (labels, labels[others])]
    torch.testing.assert_close(share * pair[0] + (1 - share) * pair[1], expected)


def test_mixup_has_the_beta_distribution_and_a_place_of_its_own() -> None:
    shares = [transfer._mixup(SMALL, (0, step, 0), 8)[0] for step in range(2000)]
    assert sum(shares) / 2000 == pytest.approx(0.5, abs=0.04)
    variance = sum((share - 0.5) ** 2 for share in shares) / 2000
    assert variance == pytest.approx(1 / (4 * (2 * SMALL.mixup + 1)), abs=0.02)
    assert transfer._mixup(SMALL, (1, 2, 3), 8)[0] == transfer._mixup(SMALL, (1, 2, 3), 8)[0]
    assert sorted(transfer._mixup(SMALL, (1, 2, 3), 8)[1].tolist()) == list(range(8))


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [("cosine", [0.4, 0.8, 0.8, 0.6828427, 0.4, 0.1171573]), ("linear", [0.4, 0.8, 0.8, 0.6, 0.4, 0.2])],
)
def test_warm_up_then_down_to_zero(schedule: str, expected: list[float]) -> None:
    config = TransferConfig(epochs=6, warmup_epochs=2, schedule=schedule)  # type: ignore[arg-type]
    assert [transfer.learning_rate(config, epoch) for epoch in range(6)] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (replace(SMALL, micro_batch=48), "no multiple of micro_batch"),
        (replace(SMALL, batch_size=1024), "do not fill one batch"),
    ],
)
def test_batches_that_do_not_fit_are_refused(config: TransferConfig, words: str, digits: Path, genotype: Path) -> None:
    with pytest.raises(DropnasError, match=words):
        trainee(config, digits, genotype)


def test_stopped_in_the_middle_of_an_epoch_it_ends_the_same(
    alone: Path, digits: Path, genotype: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "out").mkdir()
    workspace = Workspace(tmp_path / "scratch", "transfer")
    real: Callable[..., torch.Tensor] = transfer.Transfer.step

    def stopping(self: transfer.Transfer, epoch: int, step: int) -> torch.Tensor:
        if (epoch, step) == (1, 4):
            os.kill(os.getpid(), signals.SIGNALS[0])
        return real(self, epoch, step)

    with monkeypatch.context() as patch:
        patch.setattr(transfer.Transfer, "step", stopping)
        with pytest.raises(SystemExit):
            transfer.run(SMALL, [digits, genotype], tmp_path / "out", workspace)
    transfer.run(SMALL, [digits, genotype], tmp_path / "out", workspace)
    for path in alone.iterdir():
        assert (tmp_path / "out" / path.name).read_bytes() == path.read_bytes()


def test_every_test_image_counts(digits: Path, genotype: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """300 images in batches of 299 would leave out one image."""
    monkeypatch.setattr(transfer, "TRANSFER_TEST_BATCH", 299)
    assert sum(len(labels) for _, labels in trainee(SMALL, digits, genotype)._test_batches()) == 300


def test_the_loop_takes_it_as_a_trainee(digits: Path, genotype: Path, tmp_path: Path) -> None:
    (rows,) = train(trainee(replace(SMALL, epochs=1), digits, genotype), 1, [Workspace(tmp_path, "x")])
    assert rows[0]["epoch"] == 1
