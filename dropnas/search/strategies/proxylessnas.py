"""ProxylessNAS (Cai et al., ICLR 2019): search on single paths, in this project's space.

This strategy follows the authors' code: a two-level search with a tenth of the images held out. An update of w samples
one operation on each edge from p, the softmax of the edge's alphas (Section 3.2, Eq. 2), and computes only this
operation. Weights that were not sampled keep their values and their momentum. An update of the alphas samples two
operations on each edge and makes one of them active: its gate g is 1, and the gate of the other operation is 0. The
derivatives of the held-out loss with respect to the gates give dL/dalpha_i = sum over j of dL/dg_j p'_j (delta_ij -
p'_i) (Eq. 4); the sum is over the two operations, and p' is the softmax over them. After the Adam step, both alphas are
shifted so that the p of all other operations stays the same. (Adam has beta_1 = 0, so alphas that were not sampled do
not drift.) If the active operation is the zero operation, the alphas of the edge do not change. The alphas are updated
at every fifth batch, after a warm-up in which only w is trained.

What differs here: the authors' CIFAR space has tree cells. Here all cells of the same kind share alphas and samples,
and the cell is derived as in DARTS. The authors' code gates all operations by default (`paths: all`). There is no
latency term, which needs a target device, and no label smoothing, which the authors use on ImageNet.
"""

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from dropnas.errors import DropnasError
from dropnas.search.architecture import ALPHAS, kept_softmax
from dropnas.search.config import Scalar, SearchConfig
from dropnas.search.options import with_options
from dropnas.search.state import SearchState, Tensors
from dropnas.search.strategies.edgewise_adam import EdgewiseAdam
from dropnas.search.strategies.gumbel import gumbel
from dropnas.search.strategies.single_path import SgdOptions, SinglePath, one_of
from dropnas.search.strategies.two_level import WEIGHTS_ONLY, Level, Mixing
from dropnas.search.strategy import Batch
from dropnas.search.supernet import cell_kinds
from dropnas.space.names import ZERO
from dropnas.space.spaces import EDGES, SearchSpace
from dropnas.training.optimisers import SGD, Adam
from dropnas.training.schedule import cosine


@dataclass(frozen=True)
class ProxylessNasOptions(SgdOptions):
    """Options of ProxylessNAS.

    Attributes:
        held_out: fraction of the images that are held out to train the alphas; the other images train w.
        warm_up: fraction of the epochs in which only w is trained; the warm-up has its own cosine schedule of the
            learning rate.
        warm_up_factor: the highest learning rate of the warm-up, as a multiple of `search.learning_rate`.
        frozen: fraction of the epochs after the warm-up during which the alphas stay frozen.
        alpha_every: number of batches from one update of the alphas to the next. An epoch with fewer batches updates
            them at its last batch.
        paths: `two` gates two operations at a time, as in the paper; `all` gates all operations and does not shift the
            alphas.
        samples: `kinds` samples once for each kind of cell, `cells` once for each cell.
    """

    held_out: float = field(default=0.1, metadata={"gt": 0, "lt": 1})
    warm_up: float = field(default=0.25, metadata={"ge": 0, "lt": 1})
    warm_up_factor: float = field(default=2.0, metadata={"gt": 0})
    frozen: float = field(default=1 / 120, metadata={"ge": 0, "lt": 1})
    alpha_every: int = field(default=5, metadata={"ge": 1})
    paths: Literal["two", "all"] = "two"
    samples: Literal["kinds", "cells"] = "kinds"


class Paths(NamedTuple):
    """The operations sampled to update the alphas, as two bool masks (K, kinds or cells, edges, operations).

    Attributes:
        computed: the operations that have a gate.
        active: the operation whose gate is 1.
    """

    computed: Tensor
    active: Tensor


class ProxylessNas(SinglePath):
    """ProxylessNAS with the options of `ProxylessNasOptions`."""

    def __init__(self, config: SearchConfig, space: SearchSpace, **options: Scalar) -> None:
        """Set the options that differ from the authors' choice.

        Raises:
            DropnasError: an option is unknown or has an invalid value, or no epoch is left to train the alphas.
        """
        where = f"strategy {config.strategy!r}"
        self.options = with_options(ProxylessNasOptions(), options, where)
        super().__init__(config, space, self.options)
        self.weight_share = 1 - self.options.held_out
        self.warm_up_epochs = round(self.options.warm_up * config.epochs)
        rest = config.epochs - self.warm_up_epochs
        self.frozen_epochs = self.warm_up_epochs + round(self.options.frozen * rest)
        if self.frozen_epochs >= config.epochs:
            found = f"options 'warm_up' and 'frozen' leave none of {config.epochs} epochs to the alphas"
            raise DropnasError(found, where=where, remedy="lower them, or search for more epochs")

    def optimisers(self, weights: Tensor, architecture: Tensors) -> tuple[SGD, SGD | Adam]:
        """SGD for w, and a variant of Adam whose steps can leave the alphas of some edges unchanged."""
        config = self.config
        betas = (config.alpha_beta1, config.alpha_beta2)
        of_alphas = EdgewiseAdam(architecture[ALPHAS], config.alpha_learning_rate, betas)
        return super().optimisers(weights, architecture)[0], of_alphas

    def rate(self, epoch: float) -> float:
        """The learning rate of w: a cosine schedule during the warm-up, and another one after it."""
        highest, lowest, length = self.config.learning_rate, self.config.learning_rate_min, self.warm_up_epochs
        if epoch < length:
            return cosine(self.options.warm_up_factor * highest, lowest, epoch, length)
        return cosine(highest, lowest, epoch - length, self.config.epochs - length)

    def step_variant(self, epoch: int, step: int, steps: int) -> str:
        """Return the variant of this step, which depends on whether the step updates the alphas."""
        moves = (step + 1) % min(self.options.alpha_every, steps) == 0
        return self.variant(epoch) if moves else WEIGHTS_ONLY

    def draw(self, epoch: int, steps: int, generator: torch.Generator) -> Tensors:
        """Draw `noise` for the samples of w and of the alphas, and `chance`, which chooses the active operations."""
        rows = 2 if self.options.samples == "kinds" else self.config.cells
        noise = gumbel((steps, 2, rows, EDGES, len(self.space.operations)), generator)
        chance = torch.rand((steps, rows, EDGES), generator=generator)
        return {"noise": noise, "chance": chance, **super().draw(epoch, steps, generator)}

    def mixing(self, state: SearchState, batch: Batch, level: Level) -> Mixing:
        """Weight the sampled operations.

        For w, the sampled operation of each edge has weight 1. For the alphas, the weights are the gates; the backward
        pass differentiates p' instead of them.
        """
        if level == "weights":
            chosen = self._of_cells(state, self._sampled(state, batch.drawn["noise"][:, 0]))
            return Mixing(chosen.to(state.weights.dtype), chosen)
        paths = self.paths(state, batch)
        p = kept_softmax(self._rows(state), paths.computed)
        p = torch.where(self._moving(paths), p, p.detach())
        gates = paths.active + (p - p.detach())
        return Mixing(self._of_cells(state, gates), self._of_cells(state, paths.computed))

    def paths(self, state: SearchState, batch: Batch) -> Paths:
        """Sample two operations on each edge without replacement, then sample the active one with probability p'."""
        noise, chance = batch.drawn["noise"][:, 1], batch.drawn["chance"]
        rows, count = self._rows(state).detach(), len(self.space.operations)
        if self.options.paths == "all":
            return Paths(torch.ones_like(rows, dtype=torch.bool), self._sampled(state, noise))
        two = (rows + noise).topk(2).indices
        computed = one_of(two, count).any(dim=-2)
        first, second = two.unbind(dim=-1)
        p_first = kept_softmax(rows, computed).gather(-1, two[..., :1]).squeeze(-1)
        return Paths(computed, one_of(torch.where(chance < p_first, first, second), count))

    def architecture_step(self, state: SearchState, batch: Batch) -> None:
        """Update the alphas of the sampled operations.

        With `paths: two`, then shift these alphas so that the p of all other operations stays the same.
        """
        paths, before = self.paths(state, batch), state.alphas.detach().clone()
        (gradient,) = self.architecture_gradients(state, batch)
        involved = self._of_kinds(paths.computed & self._moving(paths))
        gradient = gradient + self.config.alpha_weight_decay * before
        optimiser = state.architecture_optimiser
        assert isinstance(optimiser, EdgewiseAdam)
        optimiser.step([gradient], involved.any(dim=-1, keepdim=True))
        if self.options.paths == "two":
            with torch.no_grad():
                state.alphas.copy_(rescaled(before, state.alphas, involved))

    def _rows(self, state: SearchState) -> Tensor:
        """The alphas as one matrix for each kind of cell or for each cell: (K, kinds or cells, edges, operations)."""
        return state.alphas if self.options.samples == "kinds" else state.of_cells(state.alphas)

    def _sampled(self, state: SearchState, noise: Tensor) -> Tensor:
        """Sample one operation on each edge from p: bool (K, kinds or cells, edges, operations)."""
        return one_of((self._rows(state).detach() + noise).argmax(dim=-1), noise.shape[-1])

    def _of_cells(self, state: SearchState, values: Tensor) -> Tensor:
        return state.of_cells(values) if self.options.samples == "kinds" else values

    def _of_kinds(self, masks: Tensor) -> Tensor:
        """Combine the masks of all cells of a kind by `or`: bool (K, 2, edges, operations)."""
        if self.options.samples == "kinds":
            return masks
        kinds = masks.new_zeros(len(masks), 2, *masks.shape[2:])
        for mask, kind in zip(masks.unbind(dim=1), cell_kinds(self.config.cells), strict=True):
            kinds[:, kind] |= mask
        return kinds

    def _moving(self, paths: Paths) -> Tensor:
        """Mark the edges whose active operation is not zero: bool (K, kinds or cells, edges, 1)."""
        columns = zip(paths.active.unbind(dim=-1), self.space.operations, strict=True)
        return torch.stack([active for active, name in columns if name != ZERO], dim=-1).any(dim=-1, keepdim=True)


def rescaled(before: Tensor, after: Tensor, involved: Tensor) -> Tensor:
    """Shift the `involved` alphas after a step so that their mass, the sum of exp(alpha), is the same as before it.

    The computation is in double precision: initially the masses are a thousand times as large as the alphas, so single
    precision would lose digits of the shift.
    """
    old, new = (
        alphas.double().masked_fill(~involved, -torch.inf).logsumexp(dim=-1, keepdim=True) for alphas in (before, after)
    )
    return torch.where(involved, after + old - new, after).to(after.dtype)
