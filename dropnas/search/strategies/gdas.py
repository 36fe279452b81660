"""GDAS (Dong & Yang, CVPR 2019): gradient-based search with a differentiable architecture sampler.

This follows the authors' code. It is a two-level search with half of the images for each level. Every pass samples one
operation for each edge of each kind of cell by the Gumbel-max trick (Section 3.2): y = softmax((ln p + g) / tau), where
p is the softmax of the alphas, g is Gumbel noise, and the temperature tau falls linearly from 10 to 0.1 over the
epochs. Only the operation with the largest y is computed, with weight 1; the gradient of the alphas flows through its
y. A step first updates w (SGD with Nesterov momentum), then the alphas (Adam) on held-out images with a new sample.
Each node of the derived cell has the two pairs (operation, predecessor) with the largest p, zero excluded; both may
have the same predecessor.

What differs here: there is no batch norm and ReLU before the poolings, because all methods search the same space. The
result is the last genotype, as in the authors' code. Their code also keeps the genotype with the best held-out
accuracy; this implementation does not.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Literal

import torch

from dropnas.artifacts.genotype_file import Edge
from dropnas.errors import DropnasError
from dropnas.search.config import DeriveConfig, Scalar, SearchConfig
from dropnas.search.options import with_options
from dropnas.search.state import SearchState, SeedRun, Tensors
from dropnas.search.strategies.gumbel import gumbel
from dropnas.search.strategies.single_path import SgdOptions, SinglePath, one_of
from dropnas.search.strategies.two_level import Level, Mixing
from dropnas.search.strategy import Batch
from dropnas.space.derivation import genotype
from dropnas.space.genotype import EDGES_PER_NODE, Genotype
from dropnas.space.names import ZERO
from dropnas.space.spaces import EDGES, SearchSpace, edges


@dataclass(frozen=True)
class GdasOptions(SgdOptions):
    """Options of GDAS.

    Attributes:
        temperature, temperature_min: the temperature tau in the first and in the last epoch.
        unsampled: `moved` lets momentum and decay move the weights that were not sampled, as in torch before 2.0;
            `frozen` keeps these weights and their momentum unchanged.
        edges: `pairs` chooses the two best pairs of operation and predecessor of a node; `predecessors` chooses two
            different predecessors, as in DARTS.
    """

    temperature: float = field(default=10.0, metadata={"gt": 0})
    temperature_min: float = field(default=0.1, metadata={"gt": 0})
    unsampled: Literal["moved", "frozen"] = "moved"
    edges: Literal["pairs", "predecessors"] = "pairs"


class Gdas(SinglePath):
    """GDAS with the options of `GdasOptions`."""

    def __init__(self, config: SearchConfig, space: SearchSpace, **options: Scalar) -> None:
        """Set the options that differ from the authors' choice.

        Raises:
            DropnasError: an option is unknown or has an invalid value, or the temperature would rise.
        """
        where = f"strategy {config.strategy!r}"
        self.options = with_options(GdasOptions(), options, where)
        super().__init__(config, space, self.options)
        self.moves_unsampled = self.options.unsampled == "moved"
        if self.options.temperature_min > self.options.temperature:
            raise DropnasError("option 'temperature_min' is above 'temperature'", where=where, remedy="it must fall")

    def temperature(self, epoch: int) -> float:
        """The temperature tau of an epoch."""
        first, last = self.options.temperature, self.options.temperature_min
        return first + (last - first) * epoch / max(1, self.config.epochs - 1)

    def draw(self, epoch: int, steps: int, generator: torch.Generator) -> Tensors:
        """Draw the noise of both samples (steps, 2, kinds, edges, operations), tau, and the learning rates."""
        noise = gumbel((steps, 2, 2, EDGES, len(self.space.operations)), generator)
        temperature = torch.full((steps,), self.temperature(epoch))
        return {"noise": noise, "temperature": temperature, **super().draw(epoch, steps, generator)}

    def mixing(self, state: SearchState, batch: Batch, level: Level) -> Mixing:
        """Sample one operation on each edge.

        Its weight is 1 in the forward pass; the backward pass differentiates y instead.
        """
        noise = batch.drawn["noise"][:, 0 if level == "weights" else 1]
        logits = state.alphas.log_softmax(dim=-1) + noise
        y = (logits / batch.drawn["temperature"][:, None, None, None]).softmax(dim=-1)
        chosen = one_of(logits.argmax(dim=-1), logits.shape[-1])
        return Mixing(state.of_cells(chosen + (y - y.detach())), state.of_cells(chosen))

    def derive(self, run: SeedRun) -> Genotype:
        """For each node, choose the two pairs with the largest p.

        Ties go to the lower index, first of the predecessor, then of the operation.
        """
        operations = run.space.operations
        if self.options.edges == "predecessors":
            normal, reduce = (matrix.tolist() for matrix in run.alphas)
            return genotype(operations, normal, reduce, DeriveConfig(score="probability"))
        probabilities = [matrix.double().softmax(dim=-1).tolist() for matrix in run.alphas]
        first, second = (_two_pairs(operations, matrix) for matrix in probabilities)
        return Genotype.of_cells(first, second)


def _two_pairs(operations: Sequence[str], probabilities: Sequence[Sequence[float]]) -> tuple[Edge, ...]:
    """Choose the two best pairs of each node, the stronger one first."""
    of_node = dict[int, list[tuple[float, Edge]]]()
    for (node, predecessor), row in zip(edges(), probabilities, strict=True):
        pairs = [(-p, (name, predecessor)) for name, p in zip(operations, row, strict=True) if name != ZERO]
        of_node.setdefault(node, []).extend(pairs)
    ranked = (sorted(pairs, key=itemgetter(0)) for pairs in of_node.values())
    return tuple(edge for pairs in ranked for _, edge in pairs[:EDGES_PER_NODE])
