"""StacNAS (Li et al., 2019): one-level search in two stages, over clusters of similar operations.

There are four clusters of two operations each: poolings, skip-connects, separable convolutions and dilated
convolutions. In stage 1 the supernet has 14 cells, and each edge chooses between one operation of each cluster and
zero. The winner of an edge is its operation with the largest raw alpha, zero excluded. Stage 2 has 20 cells, new
weights and new alphas. Its candidates on an edge are the operations of the cluster of the edge's winner, and zero. One
pass over a batch gives the gradients of w and of the alphas. SGD updates w and Adam updates the alphas, both on all
training images. The genotype is derived from stage 2: for each edge the operation with the largest raw alpha, zero
excluded, and for each node the two edges whose operations have the largest raw alphas.

What differs here: a mask selects the candidates of a stage. The space gets a second skip-connect, which has its own
alpha. Operations that are not candidates keep their weights, but a step does not compute them.
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

KEPT_CANDIDATES = "kept"  # bool (2, edges, operations): the candidates of the stage
OPERATION_CLUSTERS = (  # the first operation represents its cluster in stage 1
    ("max_pool_3x3", "avg_pool_3x3"),
    (SKIP, SKIP),
    ("sep_conv_3x3", "sep_conv_5x5"),
    ("dil_conv_3x3", "dil_conv_5x5"),
)


@dataclass(frozen=True)
class StacNasOptions:
    """The options of StacNAS.

    Attributes:
        added_cells: how many more cells stage 2 has than stage 1.
        score: whether edges and operations are ranked by the raw `alpha` or by the `probability` p among the candidates
            of the edge. The released code uses the raw alpha, although it compares edges with different candidates.
    """

    added_cells: int = field(default=6, metadata={"ge": 0, "le": 1000})
    score: Literal["alpha", "probability"] = "alpha"


class StacNas(Strategy):
    """StacNAS. Each kind of cell has its own alphas."""

    def __init__(self, config: SearchConfig, space: SearchSpace, **options: Scalar) -> None:
        """Set the options that differ from the authors' choice.

        Raises:
            DropnasError: an option is unknown or has an invalid value, or the space does not consist of clusters.
        """
        where = f"strategy {config.strategy!r}"
        super().__init__(config, with_second_skip(space, where))
        self.options = with_options(StacNasOptions(), options, where)
        self.clusters = clusters_of(self.space.operations)

    @property
    def phases(self) -> Sequence[Phase]:
        """The two stages, each of `config.epochs` epochs."""
        cells, epochs = self.config.cells, self.config.epochs
        return Phase(cells, epochs), Phase(cells + self.options.added_cells, epochs)

    def memory(self, phase: int, before: Mapping[str, Tensor] | None) -> Tensors:
        """Choose the candidates of each edge.

        If `before` is None in stage 2, the choice is arbitrary, because a checkpoint will replace it.
        """
        stands = self.clusters.any(dim=-1)
        if not phase:
            zero = torch.tensor([name == ZERO for name in self.space.operations])
            return {KEPT_CANDIDATES: (stands | zero).expand(2, EDGES, -1).clone()}
        if before is None:
            return {KEPT_CANDIDATES: self.clusters[stands][0].expand(2, EDGES, -1).clone()}
        alphas = before[ALPHAS]
        winners = alphas.masked_fill(~stands.to(alphas.device), -torch.inf).argmax(dim=-1)
        return {KEPT_CANDIDATES: self.clusters.to(alphas.device)[winners]}

    def candidates(self, memory: Mapping[str, Tensor]) -> Tensor | None:
        """The candidates of the stage."""
        return memory[KEPT_CANDIDATES]

    def step(self, state: SearchState, batch: Batch) -> tuple[Tensor, Tensor]:
        """Run one pass and one step of both optimisers. Clip the gradient of w, then add decay to both gradients."""
        kept = state.memory[KEPT_CANDIDATES]
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
        """Choose the best candidate of each edge (zero excluded) and the two best edges of each node."""
        alphas = run.architecture[ALPHAS].detach().double().masked_fill(~run.memory[KEPT_CANDIDATES], -torch.inf)
        config = DeriveConfig(score=self.options.score, skips="separate")
        normal, reduce = alphas.tolist()
        return derivation.genotype(self.space.operations, normal, reduce, config)


def with_second_skip(space: SearchSpace, where: str) -> SearchSpace:
    """Return the space with a second skip-connect.

    Raises:
        DropnasError: the space does not consist of complete clusters, one skip-connect, and optionally zero.
    """
    clusters = [set(cluster) for cluster in OPERATION_CLUSTERS if cluster[0] in space.operations]
    wanted = sorted(name for cluster in clusters for name in cluster)
    if sorted(name for name in space.operations if name != ZERO) != wanted:
        complete = "; ".join(", ".join(sorted({*cluster})) for cluster in OPERATION_CLUSTERS)
        raise DropnasError(
            f"space {space.name!r} does not consist of clusters",
            where=where,
            remedy=f"use the space original, or some of {complete}",
        )
    others = [[name] * (1 + (name == SKIP)) for name in space.non_parameterised]
    return SearchSpace(space.name, space.parameterised, tuple(name for names in others for name in names))


def clusters_of(operations: Sequence[str]) -> Tensor:
    """The candidates of stage 2 for each operation that may win in stage 1: its cluster and zero.

    Returns:
        bool (operations, operations), a row for each operation; the row is all False if the operation represents no
        cluster.
    """
    table = torch.zeros(len(operations), len(operations), dtype=torch.bool)
    for first, second in OPERATION_CLUSTERS:
        if first in operations:
            table[operations.index(first)] = torch.tensor([name in (first, second, ZERO) for name in operations])
    return table
