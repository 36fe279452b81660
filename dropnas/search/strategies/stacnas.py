"""StacNAS (Li et al., 2019): one-level search in two stages over clusters of operations that behave alike.

In stage 1 each edge chooses between one operation of each cluster, and zero: 14 cells. All edges go on, each with the
cluster of its winner, the largest raw alpha but zero's: stage 2 has 20 cells, with new weights and alphas. Clusters are
two poolings, two skip-connects, two separable and two dilated convolutions; zero is beside each of them. One pass over
a batch of all images gives both gradients; SGD moves w, Adam the alphas. The genotype follows from stage 2: on each
edge the largest raw alpha but zero's, and the two edges of a node whose raw alphas are the largest.

What differs here: a stage's candidates are a mask. The space gets a second skip-connect, with an alpha of its own; what
is no candidate keeps its weights, but a step does not compute it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from dropnas.errors import DropnasError
from dropnas.search.architecture import ALPHAS, kept_softmax
from dropnas.search.config import DeriveConfig, Scalar, SearchConfig
from dropnas.search.options import with_options
from dropnas.search.state import SearchState, SeedRun, Tensors, clipped
from dropnas.search.strategy import Batch, Phase, Strategy
from dropnas.space import derivation
from dropnas.space.genotype import Genotype
from dropnas.space.names import SKIP, ZERO
from dropnas.space.spaces import EDGES, SearchSpace

KEPT = "kept"  # bool (2, edges, operations): the candidates of the stage
CLUSTERS = (  # the first one stands for its cluster in stage 1
    ("max_pool_3x3", "avg_pool_3x3"),
    (SKIP, SKIP),
    ("sep_conv_3x3", "sep_conv_5x5"),
    ("dil_conv_3x3", "dil_conv_5x5"),
)


@dataclass(frozen=True)
class StacNasOptions:
    """The options of StacNAS.

    Attributes:
        added_cells: by how many the cells of stage 2 exceed those of the search.
        score: what compares edges and operations in the end: the raw `alpha`, as released, although edges have other
            candidates; or the `probability` p among the edge's candidates.
    """

    added_cells: int = field(default=6, metadata={"ge": 0, "le": 1000})
    score: Literal["alpha", "probability"] = "alpha"


class StacNas(Strategy):
    """StacNAS, with alphas for each kind of cell."""

    def __init__(self, config: SearchConfig, space: SearchSpace, **options: Scalar) -> None:
        """Take options that differ from the authors'.

        Raises:
            DropnasError: an unknown option, a value that it does not take, or a space not made of clusters.
        """
        where = f"strategy {config.strategy!r}"
        super().__init__(config, with_second_skip(space, where))
        self.options = with_options(StacNasOptions(), options, where)
        self.clusters = clusters_of(self.space.operations)

    @property
    def phases(self) -> Sequence[Phase]:
        """Two stages, each of the search's epochs."""
        cells, epochs = self.config.cells, self.config.epochs
        return Phase(cells, epochs), Phase(cells + self.options.added_cells, epochs)

    def memory(self, phase: int, before: Mapping[str, Tensor] | None) -> Tensors:
        """The candidates of each edge; those of the first cluster if a checkpoint is to replace them."""
        stands = self.clusters.any(dim=-1)
        if not phase:
            zero = torch.tensor([name == ZERO for name in self.space.operations])
            return {KEPT: (stands | zero).expand(2, EDGES, -1).clone()}
        if before is None:
            return {KEPT: self.clusters[stands][0].expand(2, EDGES, -1).clone()}
        alphas = before[ALPHAS]
        winners = alphas.masked_fill(~stands.to(alphas.device), -torch.inf).argmax(dim=-1)
        return {KEPT: self.clusters.to(alphas.device)[winners]}

    def candidates(self, memory: Mapping[str, Tensor]) -> Tensor | None:
        """Those of the stage."""
        return memory[KEPT]

    def step(self, state: SearchState, batch: Batch) -> tuple[Tensor, Tensor]:
        """One pass; decay is added to both gradients, to that of w after clipping."""
        kept = state.memory[KEPT]
        mixing = state.of_cells(kept_softmax(state.alphas, kept))
        losses, logits = state.losses(batch.images, batch.labels, mixing, state.of_cells(kept))
        weights, alphas = state.gradients(losses, state.alphas)
        with torch.no_grad():
            decay = self.config.weight_decay * state.weights
            alpha_decay = self.config.alpha_weight_decay * state.alphas
            state.weight_optimiser.step([clipped(weights, self.config.gradient_clip) + decay])
            state.architecture_optimiser.step([alphas + alpha_decay])
        return losses.detach(), logits.detach()

    def derive(self, run: SeedRun) -> Genotype:
        """The best candidate of each edge that is not zero, and the two best edges of each node."""
        alphas = run.architecture[ALPHAS].detach().double().masked_fill(~run.memory[KEPT], -torch.inf)
        config = DeriveConfig(score=self.options.score, skips="separate")
        normal, reduce = alphas.tolist()
        return derivation.genotype(self.space.operations, normal, reduce, config)


def with_second_skip(space: SearchSpace, where: str) -> SearchSpace:
    """The space with its skip-connect twice.

    Raises:
        DropnasError: it does not consist of whole clusters, a single skip-connect, and perhaps zero.
    """
    clusters = [set(cluster) for cluster in CLUSTERS if cluster[0] in space.operations]
    wanted = sorted(name for cluster in clusters for name in cluster)
    if sorted(name for name in space.operations if name != ZERO) != wanted:
        raise DropnasError(
            f"space {space.name!r} does not consist of clusters",
            where=where,
            remedy=f"use the space original, or some of {'; '.join(', '.join(sorted({*each})) for each in CLUSTERS)}",
        )
    others = [[name] * (1 + (name == SKIP)) for name in space.non_parameterised]
    return SearchSpace(space.name, space.parameterised, tuple(name for names in others for name in names))


def clusters_of(operations: Sequence[str]) -> Tensor:
    """What each operation represents in stage 1: the candidates of stage 2 if it wins, including zero.

    Returns:
        bool (operations, operations); all False for an operation that represents no cluster.
    """
    table = torch.zeros(len(operations), len(operations), dtype=torch.bool)
    for first, second in CLUSTERS:
        if first in operations:
            table[operations.index(first)] = torch.tensor([name in (first, second, ZERO) for name in operations])
    return table
