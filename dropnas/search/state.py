"""The training state of K seeds of a search, and the forward and backward passes through their K supernets."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from dropnas.data.arrays import ImageArrays
from dropnas.search.architecture import ALPHAS, Alphas
from dropnas.search.config import SearchConfig
from dropnas.search.engine.engine import Engine
from dropnas.search.supernet import REDUCE, Supernet
from dropnas.space.spaces import SearchSpace
from dropnas.training.config import Precision
from dropnas.training.optimisers import SGD, Adam
from dropnas.training.precision import autocast

Tensors = dict[str, Tensor]
Matrices = dict[str, Any]  # nested lists of numbers: `normal`, `reduce`, and `further` architecture parameters by name


@dataclass(frozen=True)
class SearchState:
    """The state of K seeds in training. Its tensors keep their addresses; a step changes them in place."""

    engine: Engine  # computes the K supernets; their parameters are views of `weights`
    weights: Tensor  # w, (K, weights), in the order of `parameters()`
    architecture: dict[str, Tensor]  # leaf tensors (K, ...) by name; `alphas` is (K, 2, edges, operations)
    memory: dict[str, Tensor]  # the strategy's own state by name, each (K, ...)
    weight_optimiser: SGD
    architecture_optimiser: SGD | Adam  # updates the values of `architecture`, in the order of the dict
    precision: Precision  # the precision of the passes

    @property
    def alphas(self) -> Tensor:
        """The alphas, (K, 2, edges, operations); normal, then reduction."""
        return self.architecture[ALPHAS]

    def of_cells(self, of_kinds: Tensor) -> Tensor:
        """Copy the values of each kind, (K, 2, edges, operations), to all cells of that kind: (K, cells, ...)."""
        return torch.where(self._is_reduction, of_kinds[:, 1:], of_kinds[:, :1])

    def sum_of_kinds(self, of_cells: Tensor) -> Tensor:
        """Sum the values of the cells, (K, cells, ...), over all cells of each kind: (K, 2, ...)."""
        parts = (of_cells.masked_fill(self._is_reduction, 0), of_cells.masked_fill(~self._is_reduction, 0))
        return torch.stack([part.sum(dim=1) for part in parts], dim=1)

    def losses(
        self,
        images: Tensor,
        labels: Tensor,
        mixing: Tensor,
        kept: Tensor | None = None,
        *,
        precision: Precision | None = None,
        update_statistics: bool = True,
        paths: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Run a pass; return the mean loss of each seed (K,) and the logits (K, B, classes).

        Args:
            images, labels: (K, B, 3, H, W) and (K, B).
            mixing, kept, update_statistics, paths: see `Engine.mix`.
            precision: if given, is used instead of the precision of the state.
        """
        with autocast(precision or self.precision, self.weights.device.type):
            logits = self.engine.mix(images, mixing, kept, update_statistics, paths)
            each = functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none")
        return each.view(labels.shape).mean(dim=1), logits

    def gradients(self, losses: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
        """The gradients of the losses (K,) with respect to w, shape (K, weights), and to each of `others`."""
        found = torch.autograd.grad(losses.sum(), [*self._parameters, *others], materialize_grads=True)
        of_weights = torch.cat([gradient.flatten() for gradient in found[: len(self._parameters)]])
        return of_weights.view_as(self.weights), *found[len(self._parameters) :]

    def of_weights(self, cells: Tensor) -> Tensor:
        """Mark the weights of the operations that a mask (K, cells, edges, operations) keeps: bool (K, weights).

        Weights that are not on an edge are always kept.
        """
        keeps = torch.cat([cells.flatten(1), cells.new_ones(len(cells), 1)], dim=1)
        return keeps.index_select(1, self._slots)

    def tensors(self) -> Iterator[Tensor]:
        """Everything that a step changes."""
        yield self.weights
        yield from (*self.architecture.values(), *self.memory.values())
        yield from (*self.weight_optimiser.tensors(), *self.architecture_optimiser.tensors())
        yield from (buffer for supernet in self.engine.supernets for buffer in supernet.buffers())

    @cached_property
    def _parameters(self) -> list[nn.Parameter]:
        return [weight for supernet in self.engine.supernets for weight in supernet.parameters()]

    @cached_property
    def _is_reduction(self) -> Tensor:
        kinds = [[[kind == REDUCE]] for kind in self.engine.supernets[0].kinds]
        return torch.tensor(kinds, device=self.weights.device)  # (cells, 1, 1)

    @cached_property
    def _slots(self) -> Tensor:
        """The flat index (cell, edge, operation) of each weight's operation; one extra index for other weights."""
        supernet = self.engine.supernets[0]
        last = len(supernet.kinds) * self.alphas[0, 0].numel()
        pairs = zip(supernet.parameters(), supernet.slots, strict=True)
        slots = [torch.full((weight.numel(),), last if slot is None else slot) for weight, slot in pairs]
        return torch.cat(slots).to(self.weights.device)


@dataclass(eq=False)
class SeedRun:
    """One search of a group. Its tensors are views of the group's tensors, so they change with them."""

    config: SearchConfig
    space: SearchSpace
    images: ImageArrays
    trained: Tensor  # indices of the images that train w
    held_out: Tensor  # indices of the other images
    supernet: Supernet
    architecture: Tensors  # as in SearchState, but without the first axis (seeds)
    memory: Tensors  # as in SearchState, but without the first axis (seeds)
    history: list[Matrices] = field(default_factory=list)  # the parameters at the start and after each epoch

    @property
    def alphas(self) -> Alphas:
        """The alphas of both kinds of cells."""
        return Alphas(*self.architecture[ALPHAS].unbind())


def flat_weights(supernets: Sequence[Supernet]) -> Tensor:
    """Join the weights of K supernets into one tensor (K, weights); their parameters become views of it."""
    rows = [nn.utils.parameters_to_vector(supernet.parameters()).detach() for supernet in supernets]
    weights = torch.stack(rows)
    for row, supernet in zip(weights, supernets, strict=True):
        nn.utils.vector_to_parameters(row, supernet.parameters())
    return weights


def clipped(gradients: Tensor, limit: float) -> Tensor:
    """Scale the gradients (K, weights) of each seed so that their norm is at most `limit`."""
    norms: Tensor = torch.linalg.vector_norm(gradients, dim=1, keepdim=True)
    return gradients * (limit / (norms + 1e-6)).clamp(max=1.0)
