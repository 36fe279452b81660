"""Grouped operation dropout (Section 2.3): the drop probabilities of operations, and the masks of a batch.

Design choices: masks are drawn on the CPU from an explicit generator. The host then knows, without waiting for a
device, which operations run. The masks are the same on every device. If a group loses all its operations, only this
group is drawn again. Groups are independent, so redrawing the whole edge would give the same distribution. In a mask,
True means kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from dropnas.errors import DropnasError
from dropnas.search.config import DropoutOptions
from dropnas.space.names import PAPER_GROUP
from dropnas.space.spaces import EDGES, SearchSpace

KINDS_OF_CELLS = 2  # normal, reduce
MOST_EMPTIED = 0.999  # highest accepted fraction of draws that must be repeated
Groups = Sequence[Sequence[int]]
Masks = Literal["shared", "per-cell"]


@dataclass(frozen=True)
class Kept:
    """The operations and alphas that a batch keeps.

    An alpha is kept if at least one cell of its kind keeps its operation.
    """

    cells: Tensor  # bool (cells, edges, operations): the operations that run
    kinds: Tensor  # bool (2, edges, operations), normal and reduce: the alphas that are kept


def drop_probabilities(options: DropoutOptions, space: SearchSpace) -> Tensor:
    """Return the drop probability p_d of each operation of the space, as a float64 tensor (operations,).

    With `groups`, p_d is r^(1/|group|) or, if `drop_probability` is `released`, r^(1/4). With `one-group`, it is
    r^(1/4), as in the paper's groups of four. With `one-group-own-rate`, it is r^(1/|operations|).
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
    """The groups of operations; on each edge, each group keeps at least one operation."""
    return space.groups if options.grouping == "groups" else (range(len(space.operations)),)


def sample_kept(
    masks: Masks, kinds: tuple[int, ...], probabilities: Tensor, groups: Groups, generator: torch.Generator
) -> Kept:
    """Draw what a batch keeps: one mask for each kind of cell, or one for each cell.

    With per-cell masks, all alphas of a kind count as dropped if the supernet has no cell of that kind.
    """
    if masks == "shared":
        of_kinds = sample_masks(KINDS_OF_CELLS, probabilities, groups, generator)
        return Kept(of_kinds[list(kinds)], of_kinds)
    cells, of_kind = sample_masks(len(kinds), probabilities, groups, generator), torch.tensor(kinds)
    return Kept(cells, torch.stack([cells[of_kind == kind].any(dim=0) for kind in range(KINDS_OF_CELLS)]))


def check_probabilities(probabilities: Tensor, groups: Groups, operations: int, where: str) -> None:
    """Check that masks can be drawn with these drop probabilities.

    Raises:
        DropnasError: the probabilities have the wrong shape or range, or a group loses all its operations in almost
            every draw.
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
    """Draw independent masks for `count` cells or kinds of cells: bool (count, edges, operations).

    Each operation is dropped with its own probability. A group that loses all its operations on an edge is drawn again
    until it keeps one.
    """
    rows = count * EDGES
    kept = _draw(rows, probabilities, generator)  # (rows, operations)
    for group in map(list, groups):
        while len(empty := (~kept[:, group].any(dim=1)).nonzero().flatten()):
            kept[empty[:, None], group] = _draw(len(empty), probabilities[group], generator)
    return kept.view(count, EDGES, -1)


def _draw(rows: int, probabilities: Tensor, generator: torch.Generator) -> Tensor:
    return torch.rand(rows, len(probabilities), dtype=torch.float64, generator=generator) >= probabilities
