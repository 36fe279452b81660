"""What the benchmarks train: the one place here that knows how searches and retrainings are made and run.

Design choices: everything else in the benchmarks works with a `Training`, so a change in how the project trains changes
this file alone. A bare machine with a GPU has torch, Triton, numpy and pytest, so whatever imports more is imported by
the function that needs it.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal
from unittest import mock

import torch
from torch import Tensor
from torch.nn import functional

from dropnas.data.arrays import ImageArrays
from dropnas.errors import DropnasError
from dropnas.evaluate.config import RetrainConfig
from dropnas.precision import Precision
from dropnas.search.architecture import Alphas, kept_rows
from dropnas.search.config import SearchConfig
from dropnas.search.engine.supernet import FastSupernet
from dropnas.search.engine.together import SupernetsTogether
from dropnas.search.options import options_of
from dropnas.search.program.draws import blank
from dropnas.search.program.step import Step, start
from dropnas.search.start import first_alphas, first_supernet
from dropnas.search.supernet import Supernet
from dropnas.search.together import SearchesTogether
from dropnas.space.genotype import Genotype, read_genotype
from dropnas.space.spaces import ORIGINAL, SearchSpace
from dropnas.training import precision
from dropnas.training.seeding import generator

CLASSES = 10
META = "meta"
AUTOCASTS = ("dropnas.training.at_once.autocast", "dropnas.search.program.step.autocast")  # what calls it, by name
Kernels = Literal["torch", "triton"]


@dataclass(frozen=True)
class Training:
    """A search, a group of seeds or a retraining, as its stage trains it.

    Attributes:
        trainee: the stage's own object.
        eager: one step on a whole batch, operation by operation, after the start of an epoch.
        learned: ends an epoch; gives its training losses, one a seed.
        evaluate: all test images, where the stage has any.
    """

    trainee: Any
    eager: Callable[[], object]
    learned: Callable[[int], list[float]]
    evaluate: Callable[[], object] = lambda: None

    @property
    def steps_per_epoch(self) -> int:
        """Batches of an epoch."""
        return int(self.trainee.steps_per_epoch)

    def start_epoch(self, epoch: int) -> None:
        """Draw what is random in it."""
        self.trainee.start_epoch(epoch)

    def step(self, epoch: int, step: int) -> Tensor:
        """Train on one batch."""
        loss: Tensor = self.trainee.step(epoch, step)
        return loss

    def epoch(self, epoch: int, steps: int | None = None) -> None:
        """An epoch, or so many steps of it, but for its end."""
        self.start_epoch(epoch)
        for step in range(self.steps_per_epoch if steps is None else steps):
            self.step(epoch, step)


def search_group(configs: Sequence[SearchConfig], images: ImageArrays, device: str) -> Training:
    """Searches that differ in their seed alone, as one program; captured as a CUDA graph on a GPU."""
    group = SearchesTogether(configs, ORIGINAL, images, device)

    def learned(epoch: int) -> list[float]:
        rows = group.finish_epoch(epoch)
        for row in rows:
            if isinstance(row, DropnasError):
                raise row
        return [float(row["train_loss"] or 0.0) for row in rows if isinstance(row, dict)]

    return Training(group, lambda: group.program(configs[0].batch_size), learned)


def single_search(config: SearchConfig, images: ImageArrays, device: str) -> Training:
    """One search, operation by operation, by the fast or the plain supernet, as the configuration asks."""
    from dropnas.search.stage import Search

    return _single(Search(config, ORIGINAL, images, device))


def stage_search(config: SearchConfig, images: ImageArrays, device: str, double: bool = False) -> Training:
    """One search as its stage makes it; `double` makes double precision of a plain one, which no stage does."""
    from dropnas.search.stage import Search, new_search

    search = new_search(config, ORIGINAL, images, device)
    if double:
        assert isinstance(search, Search)
        _in_double(search)
    return _single(search)


def _single(search: Any) -> Training:
    return Training(search, lambda: search.step(0, 0), lambda epoch: [float(search.finish_epoch(epoch)["train_loss"])])


def _in_double(search: Any) -> None:
    """A search that has not begun, with the same first weights, alphas and draws."""
    from dropnas.search.strategy import make_optimisers

    state, images = search.state, search.images
    state.supernet.double()
    for alpha in state.alphas:
        alpha.data = alpha.data.double()
    search.images = replace(images, mean=images.mean.double(), std=images.std.double())
    state.weight_optimiser, state.alpha_optimiser = make_optimisers(search.config, state.supernet, state.alphas)


def retraining(
    config: RetrainConfig, images: ImageArrays, tests: ImageArrays, device: str, channels_last: bool = False
) -> Training:
    """`dropnas_c10` from scratch; no stage uses the channels last."""
    from dropnas.evaluate.retrain import Retraining

    trainee = Retraining(config, dropnas_c10(), images, tests, device)
    if channels_last:
        _lay_channels_last(trainee)

    def eager() -> None:
        trainee.place.fill_(0)
        trainee.train_batch(config.batch_size)

    def learned(_: int) -> list[float]:
        return [float(trainee.learner.training_row()["train_loss"] or 0.0)]

    return Training(trainee, eager, learned, trainee.errors)


def _lay_channels_last(trainee: Any) -> None:
    """Momenta must lie as the weights do."""
    learner = trainee.learner
    network = learner.network.to(memory_format=torch.channels_last)
    learner.optimiser.momenta[:] = [torch.zeros_like(parameter) for parameter in learner.parameters]
    learner.forward = lambda images, masks: network(images.contiguous(memory_format=torch.channels_last), masks)


def dropnas_c10() -> Genotype:
    """The paper's own genotype; the published ones lie in a file of YAML, which a bare machine cannot read."""
    return read_genotype(Path(__file__).with_name("dropnas_c10.json"))


def noise(count: int, side: int, device: str) -> ImageArrays:
    """Images of noise, the same ones on every machine."""
    shape = (count, 3, side, side)
    pixels = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator(0, "noise"))
    half = torch.full((3,), 0.5, device=device)
    return ImageArrays(pixels.to(device), torch.arange(count, device=device) % CLASSES, CLASSES, half, half)


@dataclass(frozen=True)
class Pass:
    """One pass of a search forward and backward, nothing dropped; `plain` is the oracle of `dtype`, edge by edge."""

    config: SearchConfig
    plain: bool = False
    dtype: torch.dtype = torch.float32


def one_pass(wanted: Pass, images: ImageArrays, device: str) -> dict[str, Tensor]:
    """The logits, and the gradients of all alphas and of all weights, as doubles in a row."""
    config, dtype = wanted.config, wanted.dtype
    precision.apply(config.precision)
    supernet = first_supernet(Supernet if wanted.plain else FastSupernet, config, ORIGINAL, CLASSES).to(device, dtype)
    alphas = Alphas(*(each.to(device, dtype).requires_grad_() for each in first_alphas(config, ORIGINAL)))
    pixels = (images.images.to(dtype) / 255 - images.mean[:, None, None]) / images.std[:, None, None]
    with precision.autocast(config.precision, device):
        logits = _mixed(wanted, supernet, alphas, pixels.to(dtype))
        loss = functional.cross_entropy(logits, images.labels)
    weights = list(supernet.parameters())
    found = torch.autograd.grad(loss, [*alphas, *weights])
    return {
        "logits": logits.detach().double().flatten(),
        "gradient of alphas": torch.cat([each.double().flatten() for each in found[:2]]),
        "gradient of weights": torch.cat([each.double().flatten() for each in found[2:]]),
    }


def _mixed(wanted: Pass, supernet: Supernet, alphas: Alphas, pixels: Tensor) -> Tensor:
    """Logits (B, classes)."""
    shape = (len(supernet.kinds), *alphas.normal.shape)
    kept = torch.ones(shape, dtype=torch.bool, device=pixels.device)
    if wanted.plain:
        plain: Tensor = supernet.mix(pixels, alphas, kept.cpu())
        return plain
    assert isinstance(supernet, FastSupernet)
    rows = kept_rows(alphas, kept, supernet.kinds)
    fused = wanted.config.kernels == "triton" and pixels.is_cuda
    return SupernetsTogether([supernet], fused).mix(pixels[None], rows[None], kept[None])[0]


def triton_kernels(channels: int, side: int, batch: int, device: str, dtype: torch.dtype) -> Callable[[], None]:
    """A program with every Triton kernel in it: four separable 5x5 convolutions on a state, mixed, there and back."""
    from dropnas.search.triton.fused import Shape, convolved, mixed

    groups, size, random = 4, 5, generator(0, "triton kernels")
    maps = torch.randn(batch, side, side, channels, generator=random).to(device, dtype).requires_grad_()
    depthwise = torch.randn(groups, channels, 1, size, size, generator=random).to(device).requires_grad_()
    pointwise = torch.randn(groups, channels, channels, 1, 1, generator=random).to(device).requires_grad_()
    mixing = torch.full((2, groups), 0.5, device=device, requires_grad=True)
    shape = Shape(1, size, 1, 1, 1e-5)

    def program() -> None:
        first = convolved(maps, None, depthwise, pointwise, shape)
        second = convolved(maps, first, depthwise, pointwise, shape)
        edges = mixed([first, second], mixing, 1)
        torch.autograd.grad([edge.float().sum() for edge in edges], [maps, depthwise, pointwise, mixing])

    return program


def compile_triton_kernels(program: Callable[[], None]) -> int:
    """Compile what a program launches, on all cores; the program runs once without them."""
    from dropnas.search.triton.precompile import compile_ahead

    return compile_ahead(program)


def search_on_meta(config: SearchConfig, space: SearchSpace, seeds: int) -> Step:
    """The program of some searches where nothing is computed, going the way of a GPU."""
    configs = [replace(config, seed=seed) for seed in range(seeds)]
    supernets = [first_supernet(FastSupernet, of_seed, space, CLASSES).to(META) for of_seed in configs]
    moving = start(supernets, [first_alphas(of_seed, space) for of_seed in configs], 1)
    draws = blank(1, seeds, config.batch_size, config.cells, len(space.operations), META)
    step = Step(config, options_of(config), supernets, moving, draws, _on_meta(config.batch_size))
    step.supernets.fused = config.kernels == "triton"
    return step


@contextmanager
def maps_of_type(kind: Precision) -> Iterator[None]:
    """Maps of a search in the type that autocast, which `meta` lacks, would give them."""
    dtype = torch.bfloat16 if kind == "bf16" else torch.float32
    with mock.patch("dropnas.search.engine.network._type_of_maps", lambda images: dtype):
        yield


def on_meta(config: RetrainConfig) -> Any:
    """The trainee of a retraining where nothing is computed, going the way of a GPU."""
    from dropnas.evaluate.retrain import TEST_BATCH, Retraining

    images = _on_meta(max(config.batch_size, TEST_BATCH))
    trainee = Retraining(config, dropnas_c10(), images, images, META)
    trainee.learner.optimiser.on_gpu = True
    if config.precision == "bf16":  # autocast, which `meta` lacks, would cast the images, too
        network = trainee.learner.network
        trainee.learner.forward = lambda images, masks: network(images.bfloat16(), masks)
    return trainee


def _on_meta(count: int, side: int = 32) -> ImageArrays:
    pixels = torch.zeros((count, side, side, 3), dtype=torch.uint8, device=META).permute(0, 3, 1, 2)
    half = torch.full((3,), 0.5, device=META)
    return ImageArrays(pixels, torch.zeros(count, dtype=torch.int64, device=META), CLASSES, half, half)
