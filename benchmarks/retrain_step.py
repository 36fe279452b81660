"""Times a step and an evaluation in the retraining of `dropnas_c10`: the stage's code compared with a plain loop.

Design choices: the two implementations are timed alternately. The fast one is the stage's code; on a GPU its step is
recorded as a CUDA graph. The plain one is an ordinary training loop: unmodified modules, torch's optimiser with
`foreach`, and random numbers drawn on the device for each batch. Neither reads values back from the device. The time of
the fast one includes drawing the random numbers of an epoch. Both train on noise images with AutoAugment, drop-path and
the auxiliary tower, so they do the same work. In the evaluation, however, only the fast one gathers and normalises the
images. On a CPU, peak memory is that of a separate process that runs one step. On a GPU, the plain loop is also
measured with channels last, and the precisions are measured one after another. The measurements of `make gpu` follow.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from benchmarks import _retrain_on_gpu, _workloads
from benchmarks._interleaved import compared, in_turns, spread, timed
from benchmarks._launches import launches
from benchmarks._limits import conditions, limits, until_done
from benchmarks._pieces import forget
from benchmarks._searches import peak_of_process
from benchmarks._workloads import CLASSES, Training, dropnas_c10, noise
from dropnas.artifacts.training_files import NetworkFile
from dropnas.data import augment, autoaugment
from dropnas.errors import DropnasError
from dropnas.evaluate.cells import draw_paths, drop_path_masks
from dropnas.evaluate.cifar_network import CifarNetwork
from dropnas.evaluate.config import RetrainConfig
from dropnas.evaluate.learner import with_auxiliary
from dropnas.training import determinism, precision
from dropnas.training.config import Precision
from dropnas.training.initialisation import initialise
from dropnas.training.seeding import generator

Way = Literal["fast", "plain"]
WAYS: tuple[Way, ...] = get_args(Way)
RATE = 0.1


@dataclass(frozen=True)
class Size:
    """A retraining to be timed: network, batch size, image side, number of test images, and number of rounds."""

    cells: int
    channels: int
    batch: int
    side: int
    tests: int
    rounds: int


SIZES = {"paper": Size(20, 36, 8, 32, 16, 4), "smoke": Size(3, 8, 64, 8, 100, 20)}
SIZES_CUDA = {"paper": Size(20, 36, 192, 32, 500, 5)}
PRECISIONS: tuple[Precision, ...] = ("fp32",)
PRECISIONS_CUDA: tuple[Precision, ...] = ("bf16", "fp32", "tf32")
GROWTH, GROWTH_CUDA = (2, 4, 16), (48, 96, 384)  # further batch sizes, at the paper's size
STEPS_CUDA = 20  # steps per epoch, with one wait at the end


def measure(device: str, only: str | None = None, tiny: bool = False) -> Iterator[tuple[str, Any]]:
    """Measure both implementations: images per second in training and evaluation, their ratio, memory, and launches.

    Then measure the fast implementation at other batch sizes. With `only="layouts"`, take only the measurements of
    `make gpu`; `tiny` uses a tiny size for these.

    Raises:
        DropnasError: there is no such part.
    """
    if only not in (None, "layouts"):
        raise DropnasError(f"no part {only!r}", remedy="there is one, layouts")
    cuda = device.startswith("cuda")
    determinism.apply(0, device, 1)
    yield from conditions().items()
    if only is None:
        yield from _both_ways(device)
    if only or cuda:
        yield from _retrain_on_gpu.pieces(device, tiny)


def _both_ways(device: str) -> Iterator[tuple[str, Any]]:
    cuda = device.startswith("cuda")
    yield "limits", limits(device)
    sizes, kinds = (SIZES_CUDA, PRECISIONS_CUDA) if cuda else (SIZES, PRECISIONS)
    for name, size in sizes.items():
        for kind in kinds:
            yield f"{name}, {kind}", _measured(size, kind, device)
    paper = replace(sizes["paper"], rounds=2)
    for batch in GROWTH_CUDA if cuda else GROWTH:
        yield f"growth, batch {batch}", _pace(replace(paper, batch=batch), device)


class Plain:
    """An ordinary training loop for the same network, images and augmentation."""

    def __init__(self, size: Size, kind: Precision, device: str, layout: torch.memory_format) -> None:
        self.config, self.device, self.layout = _config(size, kind), device, layout
        self.data = noise(size.batch, size.side, device)
        sides = (size.side, size.side)
        shape = NetworkFile("cifar", size.cells, size.channels, CLASSES, True, True, False, sides)
        network = CifarNetwork(shape, dropnas_c10())
        initialise(network, generator(0, "initialisation"))
        self.network = network.to(device, memory_format=layout)  # type: ignore[call-overload]
        self.parameters = list(self.network.parameters())
        self.optimiser = torch.optim.SGD(self.parameters, lr=0.05, momentum=0.9, weight_decay=3e-4, foreach=True)
        self.random = generator(0, "plain", device=device)
        self.indices = torch.arange(size.batch, device=device)

    def step(self) -> Tensor:
        images, labels = self._images(), self.data.labels[self.indices]
        kept = draw_paths(self.network.stack.edges, len(labels), RATE, self.random)
        with precision.autocast(self.config.precision, self.device):
            outputs = self.network(images, drop_path_masks(kept, 1 / (1 - RATE)))
            loss = with_auxiliary(outputs, labels, self.config.auxiliary_weight)
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.parameters, self.config.gradient_clip, foreach=True)
        self.optimiser.step()
        return loss.detach()

    def epoch(self) -> None:
        for _ in range(_steps(self.device)):
            self.step()

    @torch.no_grad()
    def evaluate(self, images: Tensor, labels: Tensor) -> Tensor:
        self.network.eval()
        with precision.autocast(self.config.precision, self.device):
            logits, _ = self.network(images.contiguous(memory_format=self.layout))
        self.network.train()
        return (logits.argmax(1) == labels).sum()

    def _images(self) -> Tensor:
        config, random, images = self.config, self.random, self.data.batch(self.indices)
        images = augment.crop(images, config.crop_padding, augment.draw_crops(len(images), config.crop_padding, random))
        images = augment.flip(images, augment.draw_flips(len(images), random))
        drawn = autoaugment.draw(autoaugment.CIFAR_POLICY, len(images), random)
        images = autoaugment.augment(images, autoaugment.CIFAR_POLICY, drawn)
        images = augment.normalise(images, self.data.mean, self.data.std)
        images = augment.cutout(images, config.cutout, augment.draw_holes(len(images), *images.shape[2:], random))
        return images.contiguous(memory_format=self.layout)


def _measured(size: Size, kind: Precision, device: str) -> dict[str, Any]:
    result = _paces(size, kind, device)  # peaks are measured later: a graph that is in use would keep its memory
    result["peak memory, bytes"] = {way: _peak(size, way, kind, device) for way in WAYS}
    return {**result, "ratio": result["training, images/s"]["ratio"]["plain"]}


def _paces(size: Size, kind: Precision, device: str) -> dict[str, Any]:
    """Time both implementations alternately, in training and evaluation; on a GPU, also count launches and waits."""
    forget()
    precision.apply(kind)
    made = _training(size, kind, device)
    plain = Plain(size, kind, device, torch.contiguous_format)
    tests = torch.randn((size.tests, 3, size.side, size.side), device=device)
    labels = torch.arange(size.tests, device=device) % CLASSES
    epochs: dict[str, Callable[[], object]] = {"fast": lambda: made.epoch(1), "plain": plain.epoch}
    evaluations: dict[str, Callable[[], object]] = {
        "fast": made.evaluate,
        "plain": lambda: plain.evaluate(tests, labels),
    }
    if device.startswith("cuda"):
        epochs["plain, channels last"] = Plain(size, kind, device, torch.channels_last).epoch
    result: dict[str, Any] = {
        **vars(size),
        "training, images/s": _compared(epochs, _steps(device) * size.batch, size.rounds, device),
        "evaluation, images/s": _compared(evaluations, size.tests, size.rounds, device),
    }
    if device.startswith("cuda"):
        result |= {"fast": launches(lambda: made.step(1, 0)), "plain": launches(plain.step)}
    return result


def _compared(ways: dict[str, Callable[[], object]], images: int, rounds: int, device: str) -> dict[str, Any]:
    rates = {way: timed(until_done(work, device), images) for way, work in ways.items()}
    return compared(in_turns(rates, rounds), "fast")


def _steps(device: str) -> int:
    return STEPS_CUDA if device.startswith("cuda") else 1


def _pace(size: Size, device: str) -> dict[str, Any]:
    """Images per second of the fast implementation alone, in fp32."""
    forget()
    precision.apply("fp32")
    made = _training(size, "fp32", device)
    rate = timed(until_done(lambda: made.epoch(1), device), _steps(device) * size.batch)
    return spread(in_turns({"fast": rate}, size.rounds)["fast"])


def _config(size: Size, kind: Precision) -> RetrainConfig:
    cutout = min(16, size.side // 4)
    return RetrainConfig(
        cells=size.cells,
        channels=size.channels,
        batch_size=size.batch,
        epochs=2,
        cutout=cutout,
        autoaugment=True,
        drop_path=2 * RATE,
        precision=kind,
    )


def _training(size: Size, kind: Precision, device: str) -> Training:
    images = noise(_steps(device) * size.batch, size.side, device)
    made = _workloads.retraining(_config(size, kind), images, noise(size.tests, size.side, device), device)
    made.start_epoch(1)
    return made


def _peak(size: Size, way: Way, kind: Precision, device: str) -> int:
    """The peak memory of a step; on a CPU, that of the entire process that runs it."""
    if not device.startswith("cuda"):
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            return pool.submit(_peak_here, size, way).result()
    forget()
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_reserved(device)
    _one_step(size, way, kind, device)
    return torch.cuda.max_memory_reserved(device) - before  # a graph's memory is reserved, not allocated


def _peak_here(size: Size, way: Way) -> int:
    determinism.apply(0, "cpu", 1)
    _one_step(size, way, "fp32", "cpu")
    return peak_of_process()


def _one_step(size: Size, way: Way, kind: Precision, device: str) -> None:
    if way == "fast":
        _training(size, kind, device).step(1, 0)
    else:
        Plain(size, kind, device, torch.contiguous_format).step()
