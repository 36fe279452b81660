"""The workloads of the benchmarks: only this module creates and runs searches and retrainings.

Design choices: all other benchmarks work with a `Training`, so a change in how the project trains requires changes only
in this file. The GPU measurements must run with only torch, Triton, numpy and pytest, so a function that needs another
package imports it itself.
"""

import json
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
from dropnas.extension import load
from dropnas.search.architecture import Alphas, Mixture
from dropnas.search.config import BACKENDS, SearchConfig
from dropnas.search.engine.cell import Backend
from dropnas.search.engine.engine import Engine
from dropnas.search.seed_group import SeedGroup
from dropnas.search.step import Step
from dropnas.search.strategies.grouped_dropout import GroupedDropout
from dropnas.search.supernet import Supernet
from dropnas.space.genotype import Genotype
from dropnas.space.spaces import ORIGINAL, SearchSpace
from dropnas.training import precision
from dropnas.training.config import Precision
from dropnas.training.graphs import recorder_for
from dropnas.training.seeding import generator

CLASSES = 10
META = "meta"
AUTOCASTS = ("dropnas.training.foreach.autocast", "dropnas.search.state.autocast")  # where autocast is imported
Kernels = Literal["torch", "triton"]


@dataclass(frozen=True)
class Training:
    """A search, a group of searches or a retraining, set up in the same way as in its stage.

    Attributes:
        trainee: the object that the stage itself trains.
        eager: trains one step on a full batch, operation by operation; call `start_epoch` first.
        learned: ends an epoch and returns its training losses, one for each seed.
        evaluate: evaluates all test images, if the stage has any.
    """

    trainee: Any
    eager: Callable[[], object]
    learned: Callable[[int], list[float]]
    evaluate: Callable[[], object] = lambda: None

    @property
    def steps_per_epoch(self) -> int:
        """The number of batches in an epoch."""
        return int(self.trainee.steps_per_epoch)

    def start_epoch(self, epoch: int) -> None:
        """Draw all random numbers of an epoch."""
        self.trainee.start_epoch(epoch)

    def step(self, epoch: int, step: int) -> Tensor:
        """Train on one batch."""
        loss: Tensor = self.trainee.step(epoch, step)
        return loss

    def epoch(self, epoch: int, steps: int | None = None) -> None:
        """Start an epoch and train all or some of its steps; to end the epoch, call `learned`."""
        self.start_epoch(epoch)
        for step in range(self.steps_per_epoch if steps is None else steps):
            self.step(epoch, step)


def search_group(configs: Sequence[SearchConfig], images: ImageArrays, device: str) -> Training:
    """Searches that differ only in the seed, trained by one program, which is recorded as CUDA graphs on a GPU."""
    config = configs[0]
    backend, precompile = load(BACKENDS[config.kernels])() if has_backend(config, device) else (None, None)
    group = SeedGroup(configs, ORIGINAL, images, device, recorder_for(device), backend, precompile)

    def eager() -> None:
        parts = (group.strategy, group.state, group.tables, group.draws, group.images, group.variant)
        Step(config, *parts)(config.batch_size)

    def learned(epoch: int) -> list[float]:
        rows = group.finish_epoch(epoch)
        for row in rows:
            if isinstance(row, DropnasError):
                raise row
        return [float(row["train_loss"] or 0.0) for row in rows if isinstance(row, dict)]

    return Training(group, eager, learned)


class PlainEngine(Engine):
    """Replaces the fast engine with the plain supernet, the reference, which computes edge by edge."""

    def mix(
        self,
        images: Tensor,
        mixing: Tensor,
        kept: Tensor | None = None,
        update_statistics: bool = True,
        paths: Tensor | None = None,
    ) -> Tensor:
        """See `Engine`."""
        assert paths is None  # DropNAS drops only operations
        masks = torch.ones_like(mixing, dtype=torch.bool) if kept is None else kept
        logits = [
            supernet(batch, _mixtures(weights, mask.tolist()))
            for supernet, batch, weights, mask in zip(self.supernets, images, mixing, masks, strict=True)
        ]
        return torch.stack(logits)


def _mixtures(mixing: Tensor, kept: Sequence[Any]) -> list[Mixture]:
    """For each cell and edge, the kept operations and their weights; `mixing` has shape (cells, edges, operations)."""
    return [
        [
            [(index, p) for index, (p, keeps) in enumerate(zip(row.unbind(), mask, strict=True)) if keeps]
            for row, mask in of
        ]
        for of in (zip(cell.unbind(), masks, strict=True) for cell, masks in zip(mixing, kept, strict=True))
    ]


class PlainDropNAS(GroupedDropout):
    """DropNAS, computed by the plain supernet."""

    def make_engine(self, supernets: Sequence[Supernet], static: bool, backend: Backend | None) -> Engine:
        """Make the plain engine."""
        return PlainEngine(supernets, static, backend)


PLAIN = f"{__name__}:PlainDropNAS"  # the name by which a configuration selects this strategy


def stage_search(config: SearchConfig, images: ImageArrays, device: str, double: bool) -> Training:
    """A search of one seed; with `double`, in double precision from the same initial weights and alphas."""
    single = search_group([config], images, device)
    if not double:
        return single
    torch.set_default_dtype(torch.float64)
    try:
        wide = replace(images, mean=images.mean.double(), std=images.std.double())
        found = search_group([config], wide, device)
    finally:
        torch.set_default_dtype(torch.float32)
    ours, theirs = found.trainee.state, single.trainee.state
    with torch.no_grad():
        ours.weights.copy_(theirs.weights)
        ours.alphas.copy_(theirs.alphas)
    found.trainee.runs[0].history[:] = single.trainee.runs[0].history
    return found


def has_backend(config: SearchConfig, device: str) -> bool:
    """Whether our own kernels are used on this device."""
    return config.kernels in BACKENDS and device.startswith("cuda")


def retraining(config: RetrainConfig, images: ImageArrays, tests: ImageArrays, device: str) -> Training:
    """A retraining of `dropnas_c10` from scratch."""
    from dropnas.evaluate.retrain import Retraining

    trainee = Retraining(config, dropnas_c10(), images, tests, device, recorder_for(device))

    def eager() -> None:
        trainee.position.fill_(0)
        trainee.train_batch(config.batch_size)

    def learned(_: int) -> list[float]:
        return [float(trainee.learner.training_row()["train_loss"] or 0.0)]

    return Training(trainee, eager, learned, trainee.errors)


def dropnas_c10() -> Genotype:
    """The paper's genotype DropNAS C10, from a JSON copy. Reading the original YAML would need another package."""
    cells = json.loads(Path(__file__).with_name("dropnas_c10.json").read_text(encoding="utf-8"))
    edges = {kind: tuple((operation, node) for operation, node in cells[kind]) for kind in ("normal", "reduce")}
    return Genotype(edges["normal"], tuple(cells["normal_concat"]), edges["reduce"], tuple(cells["reduce_concat"]))


def noise(count: int, side: int, device: str) -> ImageArrays:
    """Images of random noise, identical on every machine."""
    shape = (count, 3, side, side)
    pixels = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator(0, "noise"))
    half = torch.full((3,), 0.5, device=device)
    return ImageArrays(pixels.to(device), torch.arange(count, device=device) % CLASSES, CLASSES, half, half)


@dataclass(frozen=True)
class Pass:
    """A forward and backward pass of a search without dropping; `plain` runs it with the plain supernet, in `dtype`."""

    config: SearchConfig
    plain: bool = False
    dtype: torch.dtype = torch.float32


def one_pass(wanted: Pass, images: ImageArrays, device: str) -> dict[str, Tensor]:
    """The logits, and the gradients of all alphas and all weights, as flat double tensors."""
    config, dtype = wanted.config, wanted.dtype
    precision.apply(config.precision)
    backend = load(BACKENDS[config.kernels])()[0] if has_backend(config, device) else None
    group = SeedGroup([config], ORIGINAL, images, device, recorder_for(device), backend)
    supernet = group.runs[0].supernet.to(dtype)
    alphas = group.state.alphas[0].detach().to(dtype).requires_grad_()  # normal and reduction cells
    pixels = ((images.images / 255 - images.mean[:, None, None]) / images.std[:, None, None]).to(dtype)
    with precision.autocast(config.precision, device):
        if wanted.plain:
            kept = torch.ones((len(supernet.kinds), *alphas.shape[1:]), dtype=torch.bool)
            logits = supernet.mix(pixels, Alphas(*alphas), kept)
        else:
            mixing = group.state.of_cells(alphas[None].softmax(dim=-1))
            logits = group.state.engine.mix(pixels[None], mixing)[0]
        loss = functional.cross_entropy(logits, images.labels)
    found = torch.autograd.grad(loss, [alphas, *supernet.parameters()])
    return {
        "logits": logits.detach().double().flatten(),
        "gradient of alphas": found[0].double().flatten(),
        "gradient of weights": torch.cat([each.double().flatten() for each in found[1:]]),
    }


def triton_kernels(channels: int, side: int, batch: int, device: str, dtype: torch.dtype) -> Callable[[], None]:
    """Return a program that launches every Triton kernel, in a forward and backward pass from a cell's first state."""
    from dropnas.search.triton.fused import ConvolutionKind, LeavingConvolutions, mixed

    kinds = (
        ConvolutionKind(3, 2, False),
        ConvolutionKind(5, 2, False),
        ConvolutionKind(3, 1, True),
        ConvolutionKind(5, 1, True),
    )
    leaving, random = LeavingConvolutions(1, 4, 1, kinds, 1e-5), generator(0, "triton kernels")

    def drawn(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        return torch.randn(*shape, generator=random).to(device, dtype).requires_grad_()

    of_kind = [leaving.edges * channels * (kind.size**2 + channels) for kind in kinds]
    state = drawn(batch, side, side, channels, dtype=dtype)
    joined = [drawn(sum(of_kind)), drawn(sum(of_kind[2:]))]
    shared, weights = drawn(3, *state.shape, dtype=dtype), drawn(len(kinds) + 3, leaving.edges)

    def program() -> None:
        edges = mixed(state, joined, shared, weights, leaving).maps
        torch.autograd.grad(edges.float().sum(), [state, *joined, shared, weights])

    return program


def compile_triton_kernels(program: Callable[[], None]) -> int:
    """Compile a program's kernels on all cores. To find them, the program runs once without launching them."""
    from dropnas.search.triton.precompile import compile_ahead

    return compile_ahead(program)


def search_on_meta(config: SearchConfig, space: SearchSpace, seeds: int) -> Step:
    """A step of a group of searches on `meta`; it follows a GPU's code path but computes nothing."""
    configs = [replace(config, seed=seed) for seed in range(seeds)]
    backend = load(BACKENDS[config.kernels])()[0] if config.kernels in BACKENDS else None
    with mock.patch("dropnas.search.seed_group.matrices", lambda architecture: {}):  # tensors have no values here
        group = SeedGroup(configs, space, _on_meta(config.batch_size), META, backend=backend)
    group.start_epoch(0)
    return Step(config, group.strategy, group.state, group.tables, group.draws, group.images)


@contextmanager
def maps_of_type(kind: Precision) -> Iterator[None]:
    """Convert a search's feature maps to the type that autocast would give them, as `meta` has no autocast."""
    dtype = torch.bfloat16 if kind == "bf16" else torch.float32
    with mock.patch("dropnas.search.engine.network._type_of_maps", lambda images: dtype):
        yield


def on_meta(config: RetrainConfig) -> Any:
    """The object that the retraining stage trains, on `meta`; it follows a GPU's code path but computes nothing."""
    from dropnas.evaluate.retrain import TEST_BATCH, Retraining

    images = _on_meta(max(config.batch_size, TEST_BATCH))
    trainee = Retraining(config, dropnas_c10(), images, images, META)
    if config.precision == "bf16":  # `meta` has no autocast, which would also cast the images
        network = trainee.learner.network
        trainee.learner.forward = lambda images, masks: network(images.bfloat16(), masks)
    return trainee


def _on_meta(count: int, side: int = 32) -> ImageArrays:
    pixels = torch.zeros((count, side, side, 3), dtype=torch.uint8, device=META).permute(0, 3, 1, 2)
    half = torch.full((3,), 0.5, device=META)
    return ImageArrays(pixels, torch.zeros(count, dtype=torch.int64, device=META), CLASSES, half, half)
