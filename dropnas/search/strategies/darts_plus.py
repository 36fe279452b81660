"""DARTS+ (Liang et al., 2019): DARTS that ends itself before skip-connects take over the normal cell.

The search is DARTS' of first order: a step moves the alphas on a held-out batch, then w on a training batch, and the
cosine schedule of w keeps the length of the longest search. After each epoch one of two criteria may end it:

1. The normal cell that would be derived has two or more skip-connects.
2. The ranking of the alphas of the convolutional operations has not changed for ten epochs.

The genotype is derived as in DARTS: on each edge the operation with the largest probability, zero left out, and for
each node its two best edges.

What is sure: the criteria as such. Their details were not published with code. Criterion 1 for CIFAR, the first order
and at most 60 epochs are remembered from the paper and not checked. Which alphas form the ranking is an option, and so
is which cell a search takes that criterion 1 ends.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch

from dropnas.errors import DropnasError
from dropnas.search.config import DeriveConfig, Scalar, SearchConfig
from dropnas.search.history import matrices
from dropnas.search.options import with_options
from dropnas.search.state import Matrices, SeedRun
from dropnas.search.strategies.two_level import TwoLevel
from dropnas.space.derivation import genotype
from dropnas.space.genotype import Genotype
from dropnas.space.names import SKIP
from dropnas.space.spaces import SearchSpace


@dataclass(frozen=True)
class DartsPlusOptions:
    """When the search ends, and what it then takes.

    Attributes:
        criterion: `skip-connects` is the first criterion, `ranking` the second.
        skip_connects: how many of them in the normal cell end the search.
        patience: for how many epochs the ranking must not have changed.
        ranking: what must not have changed in the normal cell: `best` is the best convolutional operation of each edge,
            `operations` their order on each edge, `edges` the order of the edges by their best one.
        cell: of a search that skip-connects end, `stopping` takes the genotype of the last epoch, `before` that of the
            epoch before.
        score: what ranks operations and edges: `probability` as in DARTS, or the raw `alpha`.
    """

    criterion: Literal["skip-connects", "ranking"] = "skip-connects"
    skip_connects: int = field(default=2, metadata={"ge": 1, "le": 8})
    patience: int = field(default=10, metadata={"ge": 1})
    ranking: Literal["best", "operations", "edges"] = "best"
    cell: Literal["stopping", "before"] = "stopping"
    score: Literal["probability", "alpha"] = "probability"


class DartsPlus(TwoLevel):
    """DARTS with early stopping."""

    groups_seeds = False  # each seed ends in an epoch of its own

    def __init__(self, config: SearchConfig, space: SearchSpace, **options: Scalar) -> None:
        """Take options that differ from the defaults.

        Raises:
            DropnasError: an unknown option, a value that it does not take, or a criterion that the space or another
                option contradicts.
        """
        super().__init__(config, space)
        where = f"strategy {config.strategy!r}"
        self.options = with_options(DartsPlusOptions(), options, where)
        _check(self.options, space, where)

    def end_epoch(self, epoch: int, run: SeedRun) -> bool:
        """Whether the criterion is met."""
        return self.reason([*run.history, matrices(run.architecture)]) is not None

    def reason(self, history: Sequence[Matrices]) -> str | None:
        """Why a search ends whose alphas have this history, from the start to now; None where it goes on."""
        options = self.options
        if options.criterion == "skip-connects":
            count = sum(name == SKIP for name, _ in self._genotype(history[-1]).normal)
            return f"{count} skip-connects in the normal cell" if count >= options.skip_connects else None
        last = [self._ranking(each) for each in history[-options.patience - 1 :]]
        unchanged = len(last) > options.patience and all(each == last[0] for each in last)
        return f"the ranking has not changed, with patience {options.patience}" if unchanged else None

    def derive(self, run: SeedRun) -> Genotype:
        """The genotype of the last epoch, or of the one before."""
        has_before = self.options.cell == "before" and len(run.history) > 1
        ended = has_before and self.reason(run.history) is not None
        return self._genotype(run.history[-2 if ended else -1])

    def results(self, run: SeedRun) -> dict[str, Scalar]:
        """Why the search ended."""
        return {"stop_reason": self.reason(run.history) or "the last epoch was reached"}

    def _genotype(self, alphas: Matrices) -> Genotype:
        rule = DeriveConfig(score=self.options.score, skips="separate")
        return genotype(self.space.operations, alphas["normal"], alphas["reduce"], rule)

    def _ranking(self, alphas: Matrices) -> list[int]:
        """What must not change, as numbers of operations or edges; of equal ones the first stands first."""
        scores = torch.tensor(alphas["normal"], dtype=torch.float64)
        if self.options.score == "probability":
            scores = scores.softmax(dim=-1)
        convolutions, _ = self.space.groups
        scores = scores[:, list(convolutions)]
        if self.options.ranking == "edges":
            scores = scores.amax(dim=-1)
        order = scores.argsort(dim=-1, descending=True, stable=True)
        chosen: list[int] = (order[:, 0] if self.options.ranking == "best" else order).flatten().tolist()
        return chosen


def _check(options: DartsPlusOptions, space: SearchSpace, where: str) -> None:
    if options.criterion == "skip-connects":
        if SKIP not in space.operations:
            what = f"the space {space.name!r} has no {SKIP}, so that skip-connects never end a search"
            raise DropnasError(what, where=where, remedy="set criterion: ranking")
        return
    if len(space.parameterised) == 1 and options.ranking != "edges":
        what = f"the space {space.name!r} has one convolutional operation, so that nothing is to be ranked on an edge"
        raise DropnasError(what, where=where, remedy="set ranking: edges")
    if options.cell == "before":
        what = "cell: before is for a search that skip-connects end"
        raise DropnasError(what, where=where, remedy="remove it, or set criterion: skip-connects")
