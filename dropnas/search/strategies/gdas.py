"""GDAS: gradient-based search by a differentiable architecture sampler (Dong & Yang, CVPR 2019), by its authors' code.

Two levels, half of the images each. Every pass samples an operation of each edge of each kind of cell (Section 3.2, the
Gumbel-max trick with a hard forward pass): y = softmax((ln p + g) / tau), with p the softmax of the alphas, Gumbel
noise g and a temperature tau that falls from 10 to 0.1 by a straight line over the epochs. Only the operation with the
largest y is computed, with weight 1; its gradient goes to the alphas through its y. A step first moves w (SGD with
Nesterov's momentum), then the alphas on held-out images with a new sample (Adam). In the derived cell a node has the
two pairs of operation and predecessor with the largest p, zero left out; both may have one predecessor.

What differs here: no batch norm and ReLU before the poolings, since all methods search one space; the last genotype is
the result, as in the code, but that of the epoch with the best accuracy on held-out batches is not kept beside it.
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
from dropnas.space.names import INPUTS, ZERO
from dropnas.space.spaces import EDGES, NODES, SearchSpace, edges


@dataclass(frozen=True)
class GdasOptions(SgdOptions):
    """Options of GDAS.

    Attributes:
        temperature, temperature_min: tau of the first epoch and of the last.
        unsampled: `moved` lets momentum and decay move the weights that were not sampled, as torch did when GDAS was
            written; `frozen` leaves them and their momentum as they are.
        edges: `pairs` chooses the two best pairs of operation and predecessor of a node; `predecessors` chooses two
            different predecessors, as DARTS.
    """

    temperature: float = field(default=10.0, metadata={"gt": 0})
    temperature_min: float = field(default=0.1, metadata={"gt": 0})
    unsampled: Literal["moved", "frozen"] = "moved"
    edges: Literal["pairs", "predecessors"] = "pairs"


class Gdas(SinglePath):
    """GDAS with the options of `GdasOptions`."""

    def __init__(self, config: SearchConfig, space: SearchSpace, **options: Scalar) -> None:
        """Take options that differ from the authors' choice.

        Raises:
            DropnasError: an unknown option, a value that it does not take, or a temperature that rises.
        """
        where = f"strategy {config.strategy!r}"
        self.options = with_options(GdasOptions(), options, where)
        super().__init__(config, space, self.options)
        self.moves_unsampled = self.options.unsampled == "moved"
        if self.options.temperature_min > self.options.temperature:
            raise DropnasError("option 'temperature_min' is above 'temperature'", where=where, remedy="it must fall")

    def temperature(self, epoch: int) -> float:
        """Tau in an epoch."""
        first, last = self.options.temperature, self.options.temperature_min
        return first + (last - first) * epoch / max(1, self.config.epochs - 1)

    def draw(self, epoch: int, steps: int, generator: torch.Generator) -> Tensors:
        """Noise of both samples of a step (steps, 2, kinds, edges, operations), tau, and the learning rate."""
        noise = gumbel((steps, 2, 2, EDGES, len(self.space.operations)), generator)
        temperature = torch.full((steps,), self.temperature(epoch))
        return {"noise": noise, "temperature": temperature, **super().draw(epoch, steps, generator)}

    def mixing(self, state: SearchState, batch: Batch, level: Level) -> Mixing:
        """One operation of each edge, whose weight is 1 and has the gradient of its y."""
        noise = batch.drawn["noise"][:, 0 if level == "weights" else 1]
        logits = state.alphas.log_softmax(dim=-1) + noise
        y = (logits / batch.drawn["temperature"][:, None, None, None]).softmax(dim=-1)
        chosen = one_of(logits.argmax(dim=-1), logits.shape[-1])
        return Mixing(state.of_cells(chosen + (y - y.detach())), state.of_cells(chosen))

    def derive(self, run: SeedRun) -> Genotype:
        """Of each node the two pairs with the largest p; ties go to the lower predecessor, then operation."""
        operations = run.space.operations
        if self.options.edges == "predecessors":
            normal, reduce = (matrix.tolist() for matrix in run.alphas)
            return genotype(operations, normal, reduce, DeriveConfig(score="probability"))
        probabilities = [matrix.double().softmax(dim=-1).tolist() for matrix in run.alphas]
        first, second = (_two_pairs(operations, matrix) for matrix in probabilities)
        concat = tuple(range(INPUTS, INPUTS + NODES))
        return Genotype(first, concat, second, concat)


def _two_pairs(operations: Sequence[str], probabilities: Sequence[Sequence[float]]) -> tuple[Edge, ...]:
    """Two pairs of each node, the stronger one first."""
    of_node = dict[int, list[tuple[float, Edge]]]()
    for (node, predecessor), row in zip(edges(), probabilities, strict=True):
        pairs = [(-p, (name, predecessor)) for name, p in zip(operations, row, strict=True) if name != ZERO]
        of_node.setdefault(node, []).extend(pairs)
    ranked = (sorted(pairs, key=itemgetter(0)) for pairs in of_node.values())
    return tuple(edge for pairs in ranked for _, edge in pairs[:EDGES_PER_NODE])
