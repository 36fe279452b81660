"""The retraining's step as a CUDA graph: the eager step's numbers, one launch, no wait, an exact resume."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from benchmarks._workloads import dropnas_c10
from dropnas.data import augment
from dropnas.data.arrays import ImageArrays
from dropnas.evaluate.config import MemoryFormat, RetrainConfig
from dropnas.evaluate.retrain import Retraining
from dropnas.training import determinism, precision
from dropnas.training.config import Precision
from dropnas.training.graphs import recorder_for
from dropnas.training.seeding import generator

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
DEVICE = "cuda"
SMALL = RetrainConfig(cells=3, channels=8, epochs=4, batch_size=96, crop_padding=1, flip=True, cutout=2, drop_path=0.3)
COUNTS, CLASSES, SIDE = {"train": 700, "test": 300}, 10, 8


def images_of(split: str, device: str) -> ImageArrays:
    """Images with a learnable pattern for each class, partly hidden in noise."""
    patterns = torch.rand((CLASSES, 3, SIDE, SIDE), generator=generator(0, "patterns"))
    labels = torch.arange(COUNTS[split]) % CLASSES
    hidden = torch.rand((len(labels), 3, SIDE, SIDE), generator=generator(0, split))
    pixels = (255 * (patterns[labels] + hidden) / 2).byte()
    mean, std = (torch.full((3,), value, device=device) for value in (0.5, 0.2))
    return ImageArrays(pixels.to(device), labels.to(device), CLASSES, mean, std)


def trainee(config: RetrainConfig = SMALL) -> Retraining:
    determinism.apply(config.seed, DEVICE, 1)
    precision.apply(config.precision)
    training, testing = (images_of(split, DEVICE) for split in COUNTS)
    return Retraining(config, dropnas_c10(), training, testing, DEVICE, recorder_for(DEVICE))


def trained(made: Retraining, recorded: bool, epochs: range = range(1, 3)) -> list[Tensor]:
    """The losses, weights and statistics after some epochs, including the smaller last batch."""
    losses = []
    for epoch in epochs:
        made.start_epoch(epoch)
        for step in range(made.steps_per_epoch):
            if recorded:
                losses.append(made.step(epoch, step).clone())
            else:
                made.position.fill_(step * SMALL.batch_size)
                made.train_batch(min(SMALL.batch_size, len(made.trained) - step * SMALL.batch_size))
                losses.append(made.losses[step : step + 1].clone())
    return [torch.cat(losses), *(tensor.detach().clone() for tensor in made.learner.changed())]


@pytest.mark.parametrize(
    ("kind", "autoaugment", "memory_format"),
    [
        ("fp32", False, "contiguous"),
        ("tf32", False, "contiguous"),
        ("bf16", False, "contiguous"),
        ("bf16", True, "contiguous"),
        ("fp32", False, "channels_last"),
        ("bf16", False, "channels_last"),
    ],
)
def test_it_gives_what_the_eager_step_gives(kind: Precision, autoaugment: bool, memory_format: MemoryFormat) -> None:
    if autoaugment:
        pytest.importorskip("torchvision", reason="some operations are torchvision's")
    config = replace(SMALL, precision=kind, autoaugment=autoaugment, memory_format=memory_format)
    ours, theirs = trained(trainee(config), True), trained(trainee(config), False)
    assert torch.isfinite(ours[0]).all() and ours[0][-1] < ours[0][0]
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_a_step_is_one_launch_of_a_graph_and_waits_for_nothing() -> None:
    made = trainee()
    made.start_epoch(1)
    made.step(1, 0)
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as profiled:
        made.step(1, 1)
    names = [event.name for event in profiled.events()]
    assert sum(name == "cudaGraphLaunch" for name in names) == 1
    assert sum("LaunchKernel" in name for name in names) <= 1  # the position of the batch
    torch.cuda.set_sync_debug_mode("error")
    try:
        made.step(1, 2)
        made.position.fill_(0)
        made.train_batch(SMALL.batch_size)  # eager: any operation that waits would raise
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_the_evaluation_is_recorded_too() -> None:
    made = trainee(replace(SMALL, held_out=70))
    made.start_epoch(1)
    made.step(1, 0)
    found = [(made.errors(), made.errors("held out")) for _ in range(2)]  # recorded, then replayed
    batches = [(made.testing, made.tests), (made.training, made.held_out)]
    for split, (images, indices) in enumerate(batches):
        normalised = augment.normalise(images.batch(indices), made.training.mean, made.training.std)
        eager = made.learner.evaluate([(normalised, images.labels[indices])])
        assert found[0][split] == found[1][split] == pytest.approx(eager, abs=1)  # different batches round differently
    before = [tensor.clone() for tensor in made.learner.changed()]
    made.errors()
    assert all(map(torch.equal, before, made.learner.changed()))


@pytest.mark.parametrize("stopped_after", [1, 5])
def test_it_resumes_to_the_bit(stopped_after: int) -> None:
    whole = trainee()
    expected = trained(whole, True, range(1, 2))
    first = trainee()
    first.start_epoch(1)
    for step in range(stopped_after):
        first.step(1, step)
    (state,) = first.state_dicts()
    copied = {"learner": _on_the_cpu(state["learner"])}
    second = trainee()
    second.start_epoch(1)
    second.load_state_dicts([copied])
    for step in range(stopped_after, second.steps_per_epoch):
        second.step(1, step)
    for one, other in zip(second.learner.changed(), expected[1:], strict=True):
        assert torch.equal(one, other)


def test_it_draws_what_a_cpu_draws() -> None:
    made = trainee()
    made.start_epoch(1)
    on_cpu = Retraining(SMALL, dropnas_c10(), *(images_of("train", "cpu"),) * 2, "cpu")
    on_cpu.start_epoch(1)
    for ours, theirs in zip(vars(made.draws).values(), vars(on_cpu.draws).values(), strict=True):
        assert torch.equal(ours.cpu(), theirs)


def _on_the_cpu(state: object) -> object:
    if isinstance(state, Tensor):
        return state.detach().cpu().clone()
    if isinstance(state, dict):
        return {name: _on_the_cpu(value) for name, value in state.items()}
    return [_on_the_cpu(value) for value in state] if isinstance(state, list) else state
