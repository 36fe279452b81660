"""Grouped operation dropout (Section 2.3): how likely an operation is dropped, and the masks of a batch.

Design choices: masks are drawn on the CPU from an explicit generator, so that which operations run is known without
waiting for a device, and is the same on every device. What is resampled is the group that lost everything, not the
whole edge: the groups are independent, so the distribution is the same. "Kept" is True.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from dropnas.errors import DropnasError
from dropnas.search.config import DropoutOptions
from dropnas.space.spaces import EDGES, SearchSpace

PAPER_GROUP = 4  # |O_p| = |O_np| in the paper's space
KINDS = 2  # normal, reduce
MOST_EMPTIED = 0.999  # of draws, after which a group is drawn again
Groups = Sequence[Sequence[int]]
Masks = Literal["shared", "per-cell"]


@dataclass(frozen=True)
class Kept:
    """What a batch keeps.

    Attributes:
        cells: bool (cells, edges, operations): the operations that run.
        kinds: bool (2, edges, operations), normal and reduce: the alphas that take part, which is where at least one
            cell of the kind keeps the operation.
    """

    cells: Tensor
    kinds: Tensor


def drop_probabilities(options: DropoutOptions, space: SearchSpace) -> Tensor:
    """p_d of each operation of the space, double (operations,).

    In groups p_d = r^(1/|group|), or r^(1/4) as released; without grouping r^(1/4), the p_d of the paper's groups, or
    r^(1/|operations|) ("one-group-own-rate").
    """
    rates = (options.rate_parameterised, options.rate_non_parameterised)
    probabilities = torch.zeros(len(space.operations), dtype=torch.float64)
    for rate, group in zip(rates, space.groups, strict=True):
        size = PAPER_GROUP
        if options.grouping == "one-group-own-rate":
            size = len(space.operations)
        elif options.grouping == "groups" and options.drop_probability == "paper":
            size = len(group)
        probabilities[list(group)] = rate ** (1 / size)
    return probabilities


def drop_groups(options: DropoutOptions, space: SearchSpace) -> Groups:
    """The sets of operations of which at least one is kept on each edge."""
    return space.groups if options.grouping == "groups" else (range(len(space.operations)),)


def sample_kept(
    masks: Masks, kinds: tuple[int, ...], probabilities: Tensor, groups: Groups, generator: torch.Generator
) -> Kept:
    """Draw what a batch keeps in cells of these kinds, with the same mask for all cells of a kind or one for each."""
    if masks == "shared":
        return shared_masks(sample_masks(KINDS, probabilities, groups, generator), kinds)
    return cell_masks(sample_masks(len(kinds), probabilities, groups, generator), kinds)


def check_probabilities(probabilities: Tensor, groups: Groups, operations: int, where: str) -> None:
    """Refuse what cannot be drawn from.

    Raises:
        DropnasError: not a probability below 1 for each operation, or a group that hardly ever keeps something.
    """
    if not isinstance(probabilities, Tensor) or probabilities.shape != (operations,):
        found = tuple(probabilities.shape) if isinstance(probabilities, Tensor) else type(probabilities).__name__
        raise DropnasError(f"drop probabilities are {found}", where=where, remedy=f"a tensor ({operations},) is needed")
    if not bool(((probabilities >= 0) & (probabilities < 1)).all()):
        raise DropnasError(
            f"drop probabilities are {[round(p, 4) for p in probabilities.tolist()]}",
            where=where,
            remedy="each must be at least 0 and below 1",
        )
    emptied = max(float(probabilities[list(group)].prod()) for group in groups)
    if emptied > MOST_EMPTIED:
        raise DropnasError(
            f"a group loses all its operations in {emptied:.4%} of draws",
            where=where,
            remedy=f"lower the drop rate; at most {MOST_EMPTIED:.1%} can be drawn again in reasonable time",
        )


def sample_masks(count: int, probabilities: Tensor, groups: Groups, generator: torch.Generator) -> Tensor:
    """Independent masks of `count` cells or kinds of cells: bool (count, edges, operations).

    Each operation is dropped with its own probability; a group that lost all its operations on an edge is drawn again
    until something remains.
    """
    rows = count * EDGES
    kept = _draw(rows, probabilities, generator)  # (rows, operations)
    for group in map(list, groups):
        while len(empty := (~kept[:, group].any(dim=1)).nonzero().flatten()):
            kept[empty[:, None], group] = _draw(len(empty), probabilities[group], generator)
    return kept.view(count, EDGES, -1)


def _draw(rows: int, probabilities: Tensor, generator: torch.Generator) -> Tensor:
    return torch.rand(rows, len(probabilities), dtype=torch.float64, generator=generator) >= probabilities


def shared_masks(masks: Tensor, kinds: tuple[int, ...]) -> Kept:
    """One mask for each kind of cell, (2, edges, operations), used by all its cells."""
    return Kept(masks[list(kinds)], masks)


def cell_masks(masks: Tensor, kinds: tuple[int, ...]) -> Kept:
    """A mask for each cell, (cells, edges, operations).

    A kind that no cell has takes part in nothing, so all its alphas count as dropped.
    """
    of_kind = torch.tensor(kinds)
    return Kept(masks, torch.stack([masks[of_kind == kind].any(dim=0) for kind in range(KINDS)]))
