"""SNAS: stochastic neural architecture search (Xie et al., ICLR 2019).

This strategy follows the authors' code: a one-level search, in which one loss on all images trains w and the alphas
together. Each batch draws one sample of the architecture for each kind of cell: z = softmax((alpha + g) / T) over the
operations of an edge, where g is Gumbel noise (Section 2.2, the concrete distribution). All cells of a kind and all
images share the sample. All operations are computed and mixed by z, and the gradient of the alphas flows through z. The
temperature T falls linearly from 1 to 0.03 over the search, with one value for each epoch. Drop-path drops the output
of each edge with probability 0.3, independently for each image. The loss has a resource term (Section 2.4): the
logarithms of the size, the multiply-adds and the memory accesses of the sampled architecture. In the derived cell, the
operation of an edge is the argmax of its alphas, zero included.

What differs here: Adam updates the alphas, as in the paper and in the authors' distributed code; their code for one GPU
uses SGD, which hardly changes them. The temperature reaches its minimum in the last epoch, not after 150 epochs. Each
node has two edges, as the evaluation network needs; the authors evaluate all edges whose argmax is not zero.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Literal

import torch
from torch import Tensor

from dropnas.artifacts.genotype_file import Edge
from dropnas.errors import DropnasError
from dropnas.search.architecture import ALPHAS
from dropnas.search.config import Scalar, SearchConfig
from dropnas.search.options import with_options
from dropnas.search.state import SearchState, SeedRun, Tensors, clipped
from dropnas.search.strategies.gumbel import gumbel
from dropnas.search.strategies.resources import costs
from dropnas.search.strategy import Batch, Strategy
from dropnas.search.supernet import NORMAL, REDUCE
from dropnas.space.genotype import EDGES_PER_NODE, Genotype
from dropnas.space.names import ZERO
from dropnas.space.spaces import EDGES, SearchSpace, edges
from dropnas.training.optimisers import SGD, Adam

ZeroRule = Literal["ranked", "last", "excluded"]
CELLS_OF_EIGHT = (6, 2)  # numbers of normal and reduction cells in SNAS' supernet; its code always divides by these


@dataclass(frozen=True)
class SnasOptions:
    """Options of SNAS.

    Attributes:
        alpha_mean: mean of the initial alphas; `search.alpha_scale` is their standard deviation.
        optimiser: optimiser of the alphas. `sgd` has neither momentum nor decay, as in the authors' code for one GPU.
        alpha_gradient_clip: the gradient of all alphas together is clipped to this norm.
        samples: `kinds` draws one sample for each kind of cell, `cells` one for each cell.
        temperature: the value from which T falls. In the first epoch, T is already one step below this value.
        temperature_min: the value of T in the last epoch.
        drop_path: probability of dropping the output of an edge for an image.
        resource_weight: weight of the resource term in the loss; 0 leaves the term out.
        resource_cells: the divisor of the resource term, which is summed over the cells of each kind. `own` divides by
            the number of cells of this kind in this supernet. `eight` divides by their number in the authors' supernet:
            6 normal cells or 2 reduction cells.
        zero: how the two edges of a node are chosen if zero is the argmax of some of its edges. `ranked`, the second of
            the authors' two rules, ranks such an edge by the p of zero. `last` takes such an edge only if the node has
            fewer than two others. `excluded` never chooses zero, as in DARTS.
    """

    alpha_mean: float = 1.0
    optimiser: Literal["adam", "sgd"] = "adam"
    alpha_gradient_clip: float = field(default=10.0, metadata={"gt": 0})
    samples: Literal["kinds", "cells"] = "kinds"
    temperature: float = field(default=1.0, metadata={"gt": 0})
    temperature_min: float = field(default=0.03, metadata={"gt": 0})
    drop_path: float = field(default=0.3, metadata={"ge": 0, "lt": 1})
    resource_weight: float = field(default=1.5e-3, metadata={"ge": 0})
    resource_cells: Literal["eight", "own"] = "eight"
    zero: ZeroRule = "ranked"


class Snas(Strategy):
    """SNAS with the options of `SnasOptions`."""

    def __init__(self, config: SearchConfig, space: SearchSpace, **options: Scalar) -> None:
        """Set the options that differ from the authors' choice.

        Raises:
            DropnasError: an option is unknown or has an invalid value, or the temperature would rise.
        """
        super().__init__(config, space)
        where = f"strategy {config.strategy!r}"
        self.options = with_options(SnasOptions(), options, where)
        self._costs: dict[tuple[int, int], Tensor] = {}
        if self.options.temperature_min > self.options.temperature:
            raise DropnasError("option 'temperature_min' is above 'temperature'", where=where, remedy="it must fall")

    def architecture(self, phase: int, generator: torch.Generator) -> Tensors:
        """Alphas from N(alpha_mean, alpha_scale^2), by default N(1, 0.01^2)."""
        return {ALPHAS: super().architecture(phase, generator)[ALPHAS] + self.options.alpha_mean}

    def optimisers(self, weights: Tensor, architecture: Tensors) -> tuple[SGD, SGD | Adam]:
        """SGD for w; for the alphas Adam, or SGD without momentum."""
        of_weights, of_alphas = super().optimisers(weights, architecture)
        if self.options.optimiser == "sgd":
            of_alphas = SGD(architecture.values(), self.config.alpha_learning_rate)
        return of_weights, of_alphas

    def temperature(self, epoch: int) -> float:
        """The temperature T of an epoch."""
        first, last = self.options.temperature, self.options.temperature_min
        return last + (first - last) * (1 - (epoch + 1) / self.config.epochs)

    def draw(self, epoch: int, steps: int, generator: torch.Generator) -> Tensors:
        """Draw the noise (steps, kinds or cells, edges, operations), the temperatures, and the masks of drop-path."""
        rows = 2 if self.options.samples == "kinds" else self.config.cells
        noise = gumbel((steps, rows, EDGES, len(self.space.operations)), generator)
        drawn = {"noise": noise, "temperature": torch.full((steps,), self.temperature(epoch))}
        if self.options.drop_path:
            shape = (steps, self.config.cells, EDGES, self.config.batch_size)
            drawn["paths"] = torch.rand(shape, generator=generator) >= self.options.drop_path
        return drawn

    def step(self, state: SearchState, batch: Batch) -> tuple[Tensor, Tensor]:
        """Update w and the alphas to reduce the total loss; return the losses without the resource term."""
        sample = self.sample(state, batch)
        images, paths = batch.images, batch.drawn.get("paths")
        if paths is not None:
            paths = paths[..., : images.shape[1]] / (1 - self.options.drop_path)
        losses, logits = state.losses(images, batch.labels, sample, paths=paths)
        total = losses
        if self.options.resource_weight:
            height, width = images.shape[-2:]
            total = losses + self.options.resource_weight * self.resources(state, sample, height, width)
        weights, alphas = state.gradients(total, state.alphas)
        self._move(state, weights, alphas)
        return losses.detach(), logits.detach()

    def sample(self, state: SearchState, batch: Batch) -> Tensor:
        """The sample z: (K, cells, edges, operations)."""
        noise, temperature = batch.drawn["noise"], batch.drawn["temperature"][:, None, None, None]
        if self.options.samples == "kinds":
            noise = state.of_cells(noise)
        return ((state.of_cells(state.alphas) + noise) / temperature).softmax(dim=-1)

    def resources(self, state: SearchState, sample: Tensor, height: int, width: int) -> Tensor:
        """The resource term of each seed, (K,), for images of this size, not yet multiplied by `resource_weight`.

        Size, multiply-adds and accesses of an edge are sums over its operations, weighted by z. The term of an edge is
        the mean of their three logarithms; the logarithm of a value below 1 counts as 0. The terms are summed over the
        edges and cells of each kind, and divided by the number that `resource_cells` selects.
        """
        supernet = state.engine.supernets[0]
        if (height, width) not in self._costs:  # copied to the device once, before a step is recorded
            self._costs[height, width] = costs(supernet, height, width).to(sample)
        of_edges = (self._costs[height, width][:, None] * sample).sum(dim=-1)  # (3, K, cells, edges)
        of_cells = of_edges.clamp(min=1).log().mean(dim=0).sum(dim=-1).unbind(dim=1)
        counts = [supernet.kinds.count(kind) for kind in (NORMAL, REDUCE)]
        divisors = CELLS_OF_EIGHT if self.options.resource_cells == "eight" else counts
        terms = [cost / divisors[kind] for cost, kind in zip(of_cells, supernet.kinds, strict=True)]
        return torch.stack(terms).sum(dim=0)

    @torch.no_grad()
    def _move(self, state: SearchState, weights: Tensor, alphas: Tensor) -> None:
        """Clip each gradient separately, add the decay, and update w and the alphas."""
        alphas = clipped(alphas.flatten(1), self.options.alpha_gradient_clip).view_as(alphas)
        if self.options.optimiser == "adam":
            alphas = alphas + self.config.alpha_weight_decay * state.alphas
        decay = self.config.weight_decay * state.weights
        state.weight_optimiser.step([clipped(weights, self.config.gradient_clip) + decay])
        state.architecture_optimiser.step([alphas])

    def derive(self, run: SeedRun) -> Genotype:
        """Choose, for each edge, the operation with the largest p, and for each node the two edges with the largest p.

        Ties go to the lower index of the operation and of the predecessor.
        """
        probabilities = [matrix.double().softmax(dim=-1).tolist() for matrix in run.alphas]
        normal, reduce = (_cell(run.space.operations, matrix, self.options.zero) for matrix in probabilities)
        return Genotype.of_cells(normal, reduce)


def _cell(operations: Sequence[str], probabilities: Sequence[Sequence[float]], zero: ZeroRule) -> tuple[Edge, ...]:
    """Choose two edges of each node, the stronger one first."""
    allowed = [index for index, name in enumerate(operations) if zero != "excluded" or name != ZERO]
    of_node = dict[int, list[tuple[bool, float, Edge]]]()
    for (node, predecessor), row in zip(edges(), probabilities, strict=True):
        best = max(allowed, key=row.__getitem__)
        is_last = zero == "last" and operations[best] == ZERO
        of_node.setdefault(node, []).append((is_last, -row[best], (operations[best], predecessor)))
    ranked = (sorted(candidates, key=itemgetter(0, 1)) for candidates in of_node.values())
    return tuple(edge for candidates in ranked for _, _, edge in candidates[:EDGES_PER_NODE])
