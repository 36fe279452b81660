"""The architecture parameters alpha: how they mix operations (Eq. 1) and how alpha-adjust corrects them (Eq. 2, 3).

Design choices: all normal cells share one matrix of alphas, and all reduction cells share another. Each matrix has a
row for each edge (node, predecessor) and a column for each operation of the space. The softmax is over the kept
operations, as in the authors' release, so the gradient of a dropped alpha is exactly zero. The functions are pure and
accept any number of leading dimensions. Alpha-adjust computes in double precision, because its logarithms are a
thousand times as large as the alphas.
"""

import math
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from dropnas.space.spaces import EDGES, SearchSpace

ALPHAS = "alphas"  # the key of the alphas among the architecture parameters of a search
Adjust = Literal["released", "equation-3", "off"]
Mixture = list[list[tuple[int, Tensor]]]  # for each edge of a cell, the kept operations with their weights p


class Alphas(NamedTuple):
    """The two matrices of architecture parameters, each (edges, operations)."""

    normal: Tensor
    reduce: Tensor


def initial_alphas(space: SearchSpace, scale: float, generator: torch.Generator) -> Alphas:
    """Draw alphas from scale * N(0, 1) as leaf tensors on the CPU, first those of the normal cells."""
    shape = (EDGES, len(space.operations))
    return Alphas(*(scale * torch.randn(shape, generator=generator) for _ in range(2)))


def kept_softmax(alphas: Tensor, kept: Tensor) -> Tensor:
    """The weights p of Eq. 1 over the kept operations only, (..., operations); dropped operations get 0.

    Each row of the mask must keep at least one operation.
    """
    return alphas.masked_fill(~kept, -math.inf).softmax(dim=-1)


def kept_rows(alphas: Alphas, kept: Tensor, kinds: tuple[int, ...]) -> Tensor:
    """The weights p of all cells for a mask `kept`; both are (cells, edges, operations).

    `kinds` gives the kind of each cell: 0 for normal, 1 for reduction.
    """
    rows = torch.stack([alphas[kind] for kind in kinds])
    return kept_softmax(rows, kept.to(rows.device, non_blocking=True))


def mixtures(alphas: Alphas, kept: Tensor, kinds: tuple[int, ...]) -> list[Mixture]:
    """For each cell and edge, list the kept operations with their weights; see `kept_rows`.

    The mask is on the CPU, so the choice of operations does not wait for a device.
    """
    weights = kept_rows(alphas, kept, kinds).flatten().unbind()
    operations = range(kept.shape[-1])
    edges = [
        [(index, weights[edge * len(operations) + index]) for index in operations if keeps[index]]
        for edge, keeps in enumerate(kept.flatten(0, 1).tolist())
    ]
    return [edges[first : first + EDGES] for first in range(0, len(edges), EDGES)]


def alpha_adjust(old: Tensor, new: Tensor, kept: Tensor, mode: Adjust) -> Tensor:
    """Apply alpha-adjust ("Prevent Passive Update", Section 2.3) and return the new alphas.

    With `off`, the new alphas are returned unchanged. Otherwise, a number x is added to the kept alphas of each edge,
    so that the dropped operations keep their probability mass. With `released`, x solves Eq. 2 with the current values
    of the dropped alphas. With `equation-3`, x is computed as if the dropped alphas had not moved. Edges without
    dropped operations do not change. All tensors have shape (..., operations).
    """
    if mode == "off":
        return new
    before, after = old.double(), new.double()
    x = _log_mass(before, kept) - _log_mass(after, kept)
    if mode == "released":
        x = x + _log_mass(after, ~kept) - _log_mass(before, ~kept)
    partly = (kept.any(-1, keepdim=True)) & ~kept.all(-1, keepdim=True)
    return torch.where(kept & partly, after + x, after).to(new.dtype)


def _log_mass(alphas: Tensor, chosen: Tensor) -> Tensor:
    """ln sum exp(alpha) over the chosen operations of each edge: (..., 1)."""
    return alphas.masked_fill(~chosen, -math.inf).logsumexp(dim=-1, keepdim=True)


def entropy(alphas: Tensor) -> float:
    """Mean entropy of p over the edges, in nats; operations with an alpha of minus infinity are left out."""
    log_p = alphas.detach().double().log_softmax(dim=-1)
    terms = (log_p.exp() * log_p).masked_fill(log_p == -math.inf, 0)
    return -terms.sum(dim=-1).mean().item()


def alpha_std(alphas: Alphas) -> float:
    """Standard deviation of all alphas of both kinds."""
    return torch.cat([matrix.detach().double().flatten() for matrix in alphas]).std(correction=0).item()
