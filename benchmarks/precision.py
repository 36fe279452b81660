"""The effect of precision on a search: the alphas after one epoch on real images, computed in several ways.

Design choices: one variant uses a different seed. All other variants have the same initial weights, alphas and random
numbers, so they differ only in rounding. They are compared with the first variant, the reference. On a CPU, the
reference is the plain supernet in double precision; because it is slow, the supernet is small and few images are used.
On a GPU, the reference is the plain supernet in fp32 without TF32, at the paper's size, on a hundred batches. Two more
comparisons serve as yardsticks: one between the engine and the plain supernet in fp32, which sum in different orders,
and one between two seeds of the engine. All comparisons use the changes of the alphas during the epoch (called moves).
Variants with the same seed start from the same alphas, so the difference between their moves is the difference between
their final alphas. The best operations and the genotypes are derived from the final alphas.
"""

import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch

from benchmarks._cifar import training_images
from benchmarks._limits import conditions
from benchmarks._pieces import forget
from benchmarks._workloads import PLAIN as PLAIN_SEARCH
from benchmarks._workloads import stage_search
from dropnas.analysis.correlation import spearman
from dropnas.data.arrays import ImageArrays
from dropnas.search.config import DeriveConfig, SearchConfig
from dropnas.search.state import Matrices
from dropnas.space import derivation
from dropnas.space.genotype import EDGES_PER_NODE
from dropnas.space.spaces import ORIGINAL
from dropnas.training import determinism, precision
from dropnas.training.config import Precision


@dataclass(frozen=True)
class Size:
    """The size of a search: supernet, batch, and the number of images in an epoch; None means all."""

    cells: int
    channels: int
    batch: int
    images: int | None


@dataclass(frozen=True)
class Way:
    """A variant of the epoch's computation; `double` selects double precision, which a configuration cannot select."""

    precision: Precision
    supernet: Literal["engine", "plain"]
    seed: int = 0
    double: bool = False


@dataclass(frozen=True)
class Epoch:
    """The results of an epoch: alphas before and after, training loss and accuracy, seconds including the set-up."""

    before: Matrices
    after: Matrices
    train_loss: float
    train_accuracy: float
    seconds: float


SIZE, SIZE_CUDA = Size(cells=3, channels=8, batch=16, images=768), Size(cells=14, channels=16, batch=96, images=9600)
PLAIN, ENGINE, OTHER_SEED = "fp32 plain", "fp32 engine", "fp32 engine, another seed"
BOTH = {PLAIN: Way("fp32", "plain"), ENGINE: Way("fp32", "engine"), "bf16 engine": Way("bf16", "engine")}
OTHER = {OTHER_SEED: Way("fp32", "engine", seed=1)}
WAYS = {"fp64 plain": Way("fp32", "plain", double=True), **BOTH, **OTHER}  # the first one is the reference
WAYS_CUDA = {**BOTH, **OTHER, "tf32 engine": Way("tf32", "engine")}
YARDSTICKS = ((ENGINE, PLAIN), (OTHER_SEED, ENGINE))


def measure(device: str) -> Iterator[tuple[str, Any]]:
    """Train an epoch with each variant, and yield the results and the comparisons."""
    size, ways = (SIZE_CUDA, WAYS_CUDA) if device.startswith("cuda") else (SIZE, WAYS)
    with tempfile.TemporaryDirectory() as folder:
        images, what = training_images(Path(folder), device)
        images = replace(images, images=images.images[: size.images], labels=images.labels[: size.images])
        yield "with", {**conditions(), **vars(size), "images": len(images), "images_of": what}
        yield from measured(size, ways, images, device)


def measured(size: Size, ways: dict[str, Way], images: ImageArrays, device: str) -> Iterator[tuple[str, Any]]:
    """Yield the results of each variant, the reference first, and each comparison once its variants are measured."""
    reference, *others = ways
    pairs = [(name, reference) for name in others if name != OTHER_SEED]
    pairs += [pair for pair in YARDSTICKS if pair not in pairs]
    epochs = dict[str, Epoch]()
    for name, way in ways.items():
        epochs[name] = found = epoch(size, way, images, device)
        learned = {"train_loss": found.train_loss, "train_accuracy": found.train_accuracy}
        yield name, {"moves": _sizes(_moves(found)), **learned, "seconds": round(found.seconds, 1)}
        for ours, theirs in pairs:
            if name in (ours, theirs) and {ours, theirs} <= epochs.keys():
                yield f"{ours} with {theirs}", compared(epochs[ours], epochs[theirs])


def epoch(size: Size, way: Way, images: ImageArrays, device: str) -> Epoch:
    """Train the first epoch of a search that is configured for the paper's number of epochs."""
    forget()
    determinism.apply(way.seed, device, 1)
    precision.apply(way.precision)
    started = time.perf_counter()
    config = SearchConfig(
        cells=size.cells,
        channels=size.channels,
        batch_size=size.batch,
        seed=way.seed,
        precision=way.precision,
        **({"strategy": PLAIN_SEARCH} if way.supernet == "plain" else {}),
    )
    search = stage_search(config, images, device, way.double)
    search.epoch(0)
    (row,) = search.trainee.finish_epoch(0)
    history = search.trainee.runs[0].history
    before, after = ({kind: entry[kind] for kind in ("normal", "reduce")} for entry in history)
    return Epoch(before, after, row["train_loss"], row["train_accuracy"], seconds=time.perf_counter() - started)


def compared(ours: Epoch, theirs: Epoch) -> dict[str, Any]:
    """Compare two searches: their moves, relative to the moves of the second, and the choices made from their alphas.

    `best_operation_alike` is the fraction of edges, in both kinds of cell, whose best operation is the same in both
    searches. `genotype_alike` is the fraction of the second genotype's edges that the first genotype also has.
    """
    our_moves, their_moves = _moves(ours), _moves(theirs)
    apart, moved = _sizes(our_moves - their_moves), _sizes(their_moves)
    chosen = [(_best(one), _best(other)) for one, other in _rows(ours, theirs)]
    our_edges, their_edges = _genotype(ours), _genotype(theirs)
    return {
        "largest_difference": apart["largest"] / moved["largest"],
        "rms_difference": apart["rms"] / moved["rms"],
        "spearman_of_moves": spearman(our_moves.tolist(), their_moves.tolist()).value,
        "best_operation_alike": sum(one == other for one, other in chosen) / len(chosen),
        "genotype_alike": len(our_edges & their_edges) / len(their_edges),
        "train_loss_difference": ours.train_loss - theirs.train_loss,
        "train_accuracy_difference": ours.train_accuracy - theirs.train_accuracy,
    }


def _moves(found: Epoch) -> torch.Tensor:
    """The changes of all alphas during the epoch, as a flat double tensor."""
    before, after = (torch.tensor([*of_both.values()], dtype=torch.float64) for of_both in (found.before, found.after))
    return (after - before).flatten()


def _sizes(values: torch.Tensor) -> dict[str, float]:
    return {"largest": values.abs().max().item(), "rms": values.square().mean().sqrt().item()}


def _rows(ours: Epoch, theirs: Epoch) -> list[tuple[list[float], list[float]]]:
    """For each edge in both kinds of cell, the pair of its final alphas in the two searches."""
    return [pair for kind, rows in ours.after.items() for pair in zip(rows, theirs.after[kind], strict=True)]


def _best(alphas: Sequence[float]) -> str:
    return derivation.best_operation(ORIGINAL.operations, alphas, DeriveConfig())[1]


def _genotype(found: Epoch) -> set[tuple[str, int, str, int]]:
    """The edges of the genotype: kind of cell, node, operation, predecessor."""
    genotype = derivation.genotype(ORIGINAL.operations, found.after["normal"], found.after["reduce"], DeriveConfig())
    return {
        (kind, place // EDGES_PER_NODE, operation, predecessor)
        for kind, edges in (("normal", genotype.normal), ("reduce", genotype.reduce))
        for place, (operation, predecessor) in enumerate(edges)
    }
