"""XNAS (Nayman et al., 2019): each edge is a forecaster that takes advice from its operations, the experts.

w learns from one half of the images, the experts' weights from the other half. A round updates w, then the experts
(Algorithm 1, "XNAS for a single forecaster"). Expert i of an edge has the weight v_i = exp(alpha_i), which starts at 1.
The edge mixes the experts by u_i = v_i / sum of v over the experts that are left. The reward of an expert is R_i =
-dL/du_i, clipped to [-L, L]; no gradient goes through the softmax. The exponentiated gradient moves alpha_i by eta R_i,
without Adam or decay, where eta = sqrt(2 ln N / (T L^2)) for N experts and T rounds. Wipeout: after round t, an expert
is removed for good if alpha_i < max alpha - 2 eta L (T - t), because it can no longer catch up. After round T only the
best expert is left.

Sources: the algorithm is in the paper. The settings of the search were never released. The bound L = 1, eta and the
batch size of 64 come from third-party code (archai). The 8 cells, the 16 channels and the split into halves come from
memory alone. All other settings are the same as in DARTS.

What differs here: the authors update the experts for each image. Here a round is a batch, and its loss is the mean over
the batch, because the gradient of each image would need its own pass. T is therefore the number of batches of the
search, which is known in advance. `alpha_scale` and the options of Adam and of the alphas' decay have no effect.
"""

import math
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from dropnas.search.architecture import ALPHAS
from dropnas.search.config import Scalar, SearchConfig
from dropnas.search.options import with_options
from dropnas.search.state import SearchState, SeedRun, Tensors
from dropnas.search.strategies.shrinking import LEFT, Shrinking
from dropnas.search.strategy import Batch
from dropnas.search.supernet import NORMAL, REDUCE, cell_kinds
from dropnas.space.spaces import EDGES, SearchSpace


@dataclass(frozen=True)
class XnasOptions:
    """Options of XNAS: how the experts are updated from their rewards.

    Attributes:
        bound: the bound L; rewards are clipped to [-L, L].
        cells: how the rewards are combined, because the cells of a kind share their forecasters. `each` counts each
            cell's reward as a separate round, so T and eta differ between the kinds. This is how archai reads the
            paper's "multiple learning rates". `summed` adds the rewards of the cells, clips the sum, and counts it as
            one round.
        wipeout: whether experts are removed.
    """

    bound: float = field(default=1.0, metadata={"gt": 0})
    cells: Literal["each", "summed"] = "each"
    wipeout: bool = True


class Xnas(Shrinking):
    """Exponentiated gradient with wipeout."""

    def __init__(self, config: SearchConfig, space: SearchSpace, **options: Scalar) -> None:
        """Set the options that differ from the defaults.

        Raises:
            DropnasError: an option is unknown or has an invalid value.
        """
        super().__init__(config, space)
        self.options = with_options(XnasOptions(), options, f"strategy {config.strategy!r}")

    def architecture(self, phase: int, generator: torch.Generator) -> Tensors:
        """The initial alphas are 0, so all experts have weight 1."""
        return {ALPHAS: torch.zeros(2, EDGES, len(self.space.operations))}

    def draw(self, epoch: int, steps: int, generator: torch.Generator) -> Tensors:
        """Compute `rate` (eta) and `reach` (2 eta L (T - t)) for each step; no random numbers are needed.

        Both have shape (steps, 2), with a column for each kind of cell.
        """
        kinds, total = cell_kinds(self.config.cells), self.config.epochs * steps
        rounds = [1.0, 1.0]  # rounds in one batch, for each kind of cell
        if self.options.cells == "each":
            rounds = [max(1.0, kinds.count(kind)) for kind in (NORMAL, REDUCE)]
        rounds_of_kinds, bound = torch.tensor(rounds, dtype=torch.float64), self.options.bound
        rate = (2 * math.log(len(self.space.operations)) / (total * rounds_of_kinds)).sqrt() / bound
        remaining = torch.arange(total - epoch * steps, 0, -1)[:steps, None] - 1
        reach = 2 * rate * bound * remaining * rounds_of_kinds
        dtype = torch.get_default_dtype()
        return {"rate": rate.expand(steps, 2).to(dtype), "reach": reach.to(dtype)}

    @torch.no_grad()
    def architecture_step(self, state: SearchState, batch: Batch) -> None:
        """Update the experts of all forecasters; with `wipeout`, also remove experts that can no longer catch up."""
        rate, reach = (batch.drawn[name][..., None, None] for name in ("rate", "reach"))  # (K, 2, 1, 1)
        state.alphas.add_(rate * self.rewards(state, batch))
        if self.options.wipeout:
            left = state.memory[LEFT]
            best = state.alphas.masked_fill(~left, -math.inf).amax(dim=-1, keepdim=True)
            left &= state.alphas >= best - reach

    def rewards(self, state: SearchState, batch: Batch) -> Tensor:
        """The rewards of a batch, (K, 2, edges, operations); 0 for removed experts."""
        assert batch.held_out is not None  # weight_share is below 1
        bound = self.options.bound
        with torch.enable_grad():
            mixing = self.mixing(state, batch, "alphas")
            weights = mixing.weights.detach().requires_grad_()
            losses, _ = state.losses(*batch.held_out, weights, mixing.kept, update_statistics=False)
            (gradient,) = torch.autograd.grad(losses.sum(), [weights])
        if self.options.cells == "each":
            return state.sum_of_kinds((-gradient).clamp(-bound, bound))
        return (-state.sum_of_kinds(gradient)).clamp(-bound, bound)

    def results(self, run: SeedRun) -> dict[str, Scalar]:
        """Report how many experts are left on all edges of both kinds of cells."""
        return {"operations_left": int(run.memory[LEFT].sum())}
