"""PC-DARTS (Xu et al., 2020): partial channel connections and edge normalisation.

One in every K channels of a state goes through an edge's operations, with K = 4. The other channels bypass them. All
channels are then shuffled (Section 3.2, "partial channel connections"). A node is the sum of its edges, weighted by a
softmax of the betas; there is one beta for each edge and kind of cell (Section 3.3, "edge normalisation"). One Adam
optimiser updates alphas and betas on the held-out half of the images, then SGD updates w on the other half. In the
first 15 of 50 epochs only w is trained. The genotype is derived from softmax(alpha) * softmax(beta).

What differs here: the halves are drawn for each seed, as for all methods; the authors train w on the first half of the
training set, in file order. As in the authors' code, the operations always get the first channels, and the shuffle
mixes the channels; the paper's text describes the channels as sampled. Only the first-order search is implemented.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor

from dropnas.errors import DropnasError
from dropnas.search.architecture import ALPHAS
from dropnas.search.config import DeriveConfig, Scalar, SearchConfig
from dropnas.search.engine.cell import Backend
from dropnas.search.engine.partial_engine import PartialEngine
from dropnas.search.options import with_options
from dropnas.search.partial_channels import PartialOperation
from dropnas.search.state import SearchState, SeedRun, Tensors
from dropnas.search.strategies.two_level import Level, Mixing, TwoLevel, frozen_epochs
from dropnas.search.strategy import Batch
from dropnas.search.supernet import Supernet
from dropnas.space import derivation
from dropnas.space.genotype import Genotype
from dropnas.space.names import INPUTS
from dropnas.space.spaces import EDGES, NODES, SearchSpace

BETAS = "betas"


@dataclass(frozen=True)
class PcDartsOptions:
    """The options of PC-DARTS.

    Attributes:
        proportion: the number K; one in every K channels goes through the operations. The authors use 2 on ImageNet.
        edge_normalisation: whether there are betas; without them every edge has weight 1, as in DARTS.
        frozen_part: only w is trained in this first fraction of the epochs; the authors use 15 of 50.
    """

    proportion: int = field(default=4, metadata={"ge": 2})
    edge_normalisation: bool = True
    frozen_part: float = field(default=0.3, metadata={"ge": 0, "lt": 1})


class PcDarts(TwoLevel):
    """PC-DARTS, first order."""

    def __init__(self, config: SearchConfig, space: SearchSpace, **options: Scalar) -> None:
        """Set the options that differ from the authors' choice.

        Raises:
            DropnasError: an option is unknown or has an invalid value, or the number of channels is not divisible by
                the proportion.
        """
        super().__init__(config, space)
        where = f"strategy {config.strategy!r}"
        self.options = with_options(PcDartsOptions(), options, where)
        self.frozen_epochs = frozen_epochs(self.options.frozen_part, config.epochs)
        if config.channels % self.options.proportion:
            raise DropnasError(
                f"one in {self.options.proportion} of {config.channels} channels is no whole number",
                where=where,
                remedy="choose another option 'proportion', or other search.channels",
            )

    def make_supernet(self, phase: int, classes: int) -> Supernet:
        """The plain supernet, with partial channel connections on its edges."""
        edge = partial(PartialOperation, self.options.proportion)
        return Supernet(self.space, self.config.channels, self.phases[phase].cells, classes, edge)

    def make_engine(self, supernets: Sequence[Supernet], static: bool, backend: Backend | None) -> PartialEngine:
        """The engine that computes the supernets of all seeds as one network."""
        return PartialEngine(self.options.proportion, supernets, static, backend)

    def architecture(self, phase: int, generator: torch.Generator) -> Tensors:
        """The alphas, and `betas` (2, edges)."""
        alphas = super().architecture(phase, generator)
        if not self.options.edge_normalisation:
            return alphas
        return {**alphas, BETAS: self.config.alpha_scale * torch.randn(2, EDGES, generator=generator)}

    def mixing(self, state: SearchState, batch: Batch, level: Level) -> Mixing:
        """Weight each operation by its p times the weight of its edge."""
        return Mixing(state.of_cells(mixing_weights(state.architecture)))

    def derive(self, run: SeedRun) -> Genotype:
        """Choose, for each node, the two edges whose best operation (zero excluded) has the largest weight."""
        parameters = {name: values.detach().double() for name, values in run.architecture.items()}
        normal, reduce = mixing_weights(parameters).tolist()
        return derivation.genotype(run.space.operations, normal, reduce, DeriveConfig(score="alpha", skips="separate"))


def mixing_weights(architecture: Tensors) -> Tensor:
    """softmax(alpha) * softmax(beta), or softmax(alpha) if there are no betas: (..., 2, edges, operations)."""
    p = architecture[ALPHAS].softmax(dim=-1)
    return p * edge_weights(architecture[BETAS])[..., None] if BETAS in architecture else p


def edge_weights(betas: Tensor) -> Tensor:
    """The softmax of betas (..., edges) over the incoming edges of each node."""
    incoming = list(range(INPUTS, INPUTS + NODES))
    parts = betas.split(incoming, dim=-1)  # type: ignore[no-untyped-call]
    return torch.cat([part.softmax(dim=-1) for part in parts], dim=-1)
