"""P-DARTS (Chen et al., 2019): three phases, each with a deeper supernet and fewer operations on each edge.

The phases have 5, 11 and 17 cells. Each begins with new weights, alphas and optimisers (Section 3.2, "search space
approximation"). Between phases, the operations with the smallest p (softmax of the alphas) are pruned on each edge of
each kind of cell: 3 of 8, then 2 of 5. In the first 10 of a phase's 25 epochs only w is trained. After that, each step
updates the alphas on one half of the images, then w on the other half. Skip-connects of stride 1 have dropout, whose
rate falls during each phase (Section 3.3, "search space regularization"). At the end, each node keeps its two edges
with the largest p. While the normal cell has more than two skip-connects, the weakest one is forbidden and the edges
are chosen again.

What differs here: the halves are drawn for each seed and held-out batches are drawn at random, as for all methods.
Pruned operations are masked: the supernet keeps their weights, but a step does not compute them. Dropout is computed
from keys that the host draws (`skip_dropout`), so that a step can be recorded as a CUDA graph.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import exp
from typing import Any, Literal

import torch
from torch import Tensor

from dropnas.errors import DropnasError
from dropnas.search.architecture import ALPHAS, kept_softmax
from dropnas.search.config import Scalar, SearchConfig
from dropnas.search.options import with_options
from dropnas.search.state import SearchState, SeedRun, Tensors
from dropnas.search.strategies import limited_skips
from dropnas.search.strategies.skip_dropout import SkipDropout, of_rate
from dropnas.search.strategies.two_level import Level, Mixing, TwoLevel, frozen_epochs
from dropnas.search.strategy import Batch, Phase
from dropnas.search.supernet import Supernet
from dropnas.space.genotype import Genotype
from dropnas.space.names import SKIP, ZERO
from dropnas.space.operations import Identity
from dropnas.space.spaces import EDGES, SearchSpace

KEPT = "kept"  # bool (2, edges, operations): the operations left by the previous phases; absent in the first
PASSES: tuple[Level, ...] = ("alphas", "weights")


@dataclass(frozen=True)
class PDartsOptions:
    """The options of P-DARTS.

    Attributes:
        added_cells_2, added_cells_3: how many more cells phases 2 and 3 each have than phase 1.
        dropped_1, dropped_2: number of operations that are pruned on each edge after phases 1 and 2.
        skip_dropout_1, skip_dropout_2, skip_dropout_3: initial dropout rates on skip-connects in the three phases.
            On CIFAR-100 the authors use 0.1, 0.2 and 0.3. The released README uses 0.1 in phase 1 on CIFAR-10.
        dropout: `elements` drops individual elements, as the released code does. `operation` drops the entire output of
            a skip-connect, which may be what the paper means by "operation-level".
        dropout_decay: while the alphas are trained, the rate is multiplied by exp(-dropout_decay) in each epoch.
        frozen_part: only w is trained in this first fraction of each phase's epochs; the authors use 10 of 25.
        alpha_gradient_clip: the gradient of all alphas together is clipped to this norm.
        skip_limit: maximum number of skip-connects in the normal cell; 8 means no limit.
    """

    added_cells_2: int = field(default=6, metadata={"ge": 0, "le": 1000})
    added_cells_3: int = field(default=12, metadata={"ge": 0, "le": 1000})
    dropped_1: int = field(default=3, metadata={"ge": 0})
    dropped_2: int = field(default=2, metadata={"ge": 0})
    skip_dropout_1: float = field(default=0.0, metadata={"ge": 0, "lt": 1})
    skip_dropout_2: float = field(default=0.4, metadata={"ge": 0, "lt": 1})
    skip_dropout_3: float = field(default=0.7, metadata={"ge": 0, "lt": 1})
    dropout: Literal["elements", "operation"] = "elements"
    dropout_decay: float = field(default=0.2, metadata={"ge": 0})
    frozen_part: float = field(default=0.4, metadata={"ge": 0, "lt": 1})
    alpha_gradient_clip: float = field(default=5.0, metadata={"gt": 0})
    skip_limit: int = field(default=2, metadata={"ge": 0, "le": 8})


class PDarts(TwoLevel):
    """P-DARTS, first order."""

    def __init__(self, config: SearchConfig, space: SearchSpace, **options: Scalar) -> None:
        """Set the options that differ from the authors' choice.

        Raises:
            DropnasError: an option is unknown or has an invalid value, or the phases prune too many operations.
        """
        super().__init__(config, space)
        self.options = with_options(PDartsOptions(), options, f"strategy {config.strategy!r}")
        self.frozen_epochs = frozen_epochs(self.options.frozen_part, config.epochs)
        self.alpha_gradient_clip = self.options.alpha_gradient_clip
        dropped = (self.options.dropped_1, self.options.dropped_2)
        self.left = [len(space.operations) - sum(dropped[:phase]) for phase in range(3)]
        self._check_left()

    def _check_left(self) -> None:
        """Check that enough operations are left in phase 3.

        Each edge needs at least one operation other than zero. If skip-connects are limited, this operation must not be
        a skip-connect either.
        """
        no_choice = (ZERO, SKIP) if self.options.skip_limit < limited_skips.MOST else (ZERO,)
        needed = 1 + sum(name in no_choice for name in self.space.operations)
        if self.left[2] < needed:
            raise DropnasError(
                f"{self.left[2]} of the {self.left[0]} operations of space {self.space.name!r} are left in phase 3",
                where=f"strategy {self.config.strategy!r}",
                remedy=f"{needed} are needed: choose smaller options 'dropped_1' and 'dropped_2'",
            )

    # ---- phases

    @property
    def phases(self) -> Sequence[Phase]:
        """The three phases; the options set their depths, and each phase has `config.epochs` epochs."""
        added = (0, self.options.added_cells_2, self.options.added_cells_3)
        return [Phase(self.config.cells + more, self.config.epochs) for more in added]

    def make_supernet(self, phase: int, classes: int) -> Supernet:
        """The plain supernet; skip-connects of stride 1 have dropout if the phase's initial rate is above 0."""
        supernet, rates = super().make_supernet(phase, classes), self._first_rates
        cells: Any = supernet.cells
        for edge in (edge for cell in cells for edge in cell.edges if rates[phase]):
            for index, operation in enumerate(edge):
                if isinstance(operation, Identity):
                    edge[index] = SkipDropout(whole=self.options.dropout == "operation")
        return supernet

    def memory(self, phase: int, before: Mapping[str, Tensor] | None) -> Tensors:
        """Choose the operations that each edge keeps in this phase; of operations with equal p, the first is pruned."""
        if not phase:
            return {}
        if before is None:  # a placeholder with the right number of operations, until a checkpoint replaces it
            return {KEPT: (torch.arange(self.left[0]) < self.left[phase]).expand(2, EDGES, -1).clone()}
        alphas = before[ALPHAS]
        kept = before.get(KEPT, torch.ones_like(alphas, dtype=torch.bool))
        order = alphas.masked_fill(~kept, -torch.inf).argsort(dim=-1, stable=True)
        gone = order[..., : self.left[0] - self.left[phase]]
        return {KEPT: torch.ones_like(kept).scatter_(-1, gone, False)}

    def candidates(self, memory: Mapping[str, Tensor]) -> Tensor | None:
        """The operations that were not pruned."""
        return memory.get(KEPT)

    # ---- an epoch

    def draw(self, epoch: int, steps: int, generator: torch.Generator) -> Tensors:
        """If the phase has dropout, draw `keys` (steps, passes, slots), and compute `threshold` and `scale` (steps,).

        A slot is the flat index of an operation: (cell, edge, operation).
        """
        phase, within = self.position(epoch)
        if not self._first_rates[phase]:
            return {}
        threshold, scale = of_rate(self.dropout_rate(phase, within))
        slots = self.phases[phase].cells * EDGES * len(self.space.operations)
        bounds = torch.iinfo(torch.int32)
        keys = torch.randint(bounds.min, bounds.max + 1, (steps, len(PASSES), slots), generator=generator)
        return {
            "keys": keys.to(torch.int32),
            "threshold": torch.full((steps,), threshold, dtype=torch.int16),
            "scale": torch.full((steps,), scale),
        }

    def dropout_rate(self, phase: int, epoch: int) -> float:
        """Return the dropout rate of an epoch of a phase.

        The rate falls linearly while the alphas are frozen. Then it restarts at its initial value and falls
        exponentially.
        """
        first, epochs = self._first_rates[phase], self.config.epochs
        if epoch < self.frozen_epochs:
            return first * (epochs - 1 - epoch) / epochs
        return first * exp(-self.options.dropout_decay * (epoch - self.frozen_epochs))

    @property
    def _first_rates(self) -> tuple[float, float, float]:
        options = self.options
        return options.skip_dropout_1, options.skip_dropout_2, options.skip_dropout_3

    # ---- a batch

    def mixing(self, state: SearchState, batch: Batch, level: Level) -> Mixing:
        """The softmax over the kept operations; each pass has its own dropout keys."""
        self._set_dropout(state, batch, level)
        kept = self.candidates(state.memory)
        if kept is None:
            return super().mixing(state, batch, level)
        return Mixing(state.of_cells(kept_softmax(state.alphas, kept)), state.of_cells(kept))

    def _set_dropout(self, state: SearchState, batch: Batch, level: Level) -> None:
        if "keys" not in batch.drawn:
            return
        keys = batch.drawn["keys"][:, PASSES.index(level)].unbind()
        of_seeds = zip(state.engine.supernets, keys, batch.drawn["threshold"], batch.drawn["scale"], strict=True)
        for supernet, of_slots, threshold, scale in of_seeds:
            for slot, (_, operation) in enumerate(supernet.operations()):
                if isinstance(operation, SkipDropout):
                    operation.key, operation.threshold, operation.scale = of_slots[slot], threshold, scale

    # ---- the end

    def derive(self, run: SeedRun) -> Genotype:
        """Choose the best edges by p, with at most `skip_limit` skip-connects in the normal cell."""
        alphas = run.architecture[ALPHAS].detach().double()
        kept = run.memory.get(KEPT, torch.ones_like(alphas, dtype=torch.bool))
        p = kept_softmax(alphas, kept).masked_fill(~kept, -torch.inf)
        normal, reduce = p.tolist()
        return limited_skips.genotype(run.space.operations, normal, reduce, self.options.skip_limit)
