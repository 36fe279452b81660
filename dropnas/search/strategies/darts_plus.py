"""DARTS+ (Liang et al., 2019): DARTS with early stopping, before skip-connects dominate the normal cell.

The search is first-order DARTS: each step updates the alphas on a held-out batch, then w on a training batch. The
cosine schedule of w covers the longest possible search. After each epoch, the search stops if the chosen one of these
two criteria is met:

1. The normal cell of the current genotype has two or more skip-connects.
2. The ranking of the alphas of the convolutional operations has not changed for ten epochs.

The genotype is derived as in DARTS: each edge gets the operation with the largest probability, zero excluded, and each
node keeps its two best edges.

Sources: we are sure of the two criteria, but no published code shows their details. Two details are therefore options:
which alphas are ranked, and which genotype is used when criterion 1 ends the search. Three further points come from
memory alone: criterion 1 is used for CIFAR, the search is first-order, and it lasts at most 60 epochs.
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
    """Options of DARTS+: when the search stops, and which genotype it returns.

    Attributes:
        criterion: `skip-connects` is the first criterion, `ranking` the second.
        skip_connects: the search stops when the normal cell has at least this many skip-connects.
        patience: the search stops after this many epochs in which the ranking does not change.
        ranking: what must stay the same in the normal cell. `best`: the best convolutional operation of each edge.
            `operations`: the order of all convolutional operations on each edge. `edges`: the order of the edges, which
            are ranked by their best convolutional operation.
        cell: the genotype that is used when skip-connects end the search. `stopping` uses the genotype of the last
            epoch, `before` the genotype of the previous epoch.
        score: whether operations and edges are ranked by `probability`, as in DARTS, or by the raw `alpha`.
    """

    criterion: Literal["skip-connects", "ranking"] = "skip-connects"
    skip_connects: int = field(default=2, metadata={"ge": 1, "le": 8})
    patience: int = field(default=10, metadata={"ge": 1})
    ranking: Literal["best", "operations", "edges"] = "best"
    cell: Literal["stopping", "before"] = "stopping"
    score: Literal["probability", "alpha"] = "probability"


class DartsPlus(TwoLevel):
    """DARTS with early stopping."""

    groups_seeds = False  # seeds may end in different epochs

    def __init__(self, config: SearchConfig, space: SearchSpace, **options: Scalar) -> None:
        """Set the options that differ from the defaults.

        Raises:
            DropnasError: an option is unknown or has an invalid value, or the criterion conflicts with the space or
                with another option.
        """
        super().__init__(config, space)
        where = f"strategy {config.strategy!r}"
        self.options = with_options(DartsPlusOptions(), options, where)
        _check(self.options, space, where)

    def end_epoch(self, epoch: int, run: SeedRun) -> bool:
        """Return whether the criterion is met."""
        return self.reason([*run.history, matrices(run.architecture)]) is not None

    def reason(self, history: Sequence[Matrices]) -> str | None:
        """Return why a search with this history of alphas stops now, or None if it continues."""
        options = self.options
        if options.criterion == "skip-connects":
            count = sum(name == SKIP for name, _ in self._genotype(history[-1]).normal)
            return f"{count} skip-connects in the normal cell" if count >= options.skip_connects else None
        last = [self._ranking(each) for each in history[-options.patience - 1 :]]
        unchanged = len(last) > options.patience and all(each == last[0] for each in last)
        return f"the ranking has not changed, with patience {options.patience}" if unchanged else None

    def derive(self, run: SeedRun) -> Genotype:
        """Return the genotype of the last epoch or of the epoch before."""
        has_before = self.options.cell == "before" and len(run.history) > 1
        ended = has_before and self.reason(run.history) is not None
        return self._genotype(run.history[-2 if ended else -1])

    def results(self, run: SeedRun) -> dict[str, Scalar]:
        """Report why the search ended."""
        return {"stop_reason": self.reason(run.history) or "the last epoch was reached"}

    def _genotype(self, alphas: Matrices) -> Genotype:
        rule = DeriveConfig(score=self.options.score, skips="separate")
        return genotype(self.space.operations, alphas["normal"], alphas["reduce"], rule)

    def _ranking(self, alphas: Matrices) -> list[int]:
        """Rank operations or edges by their alphas, as a list of indices; ties go to the lower index."""
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
            what = f"the space {space.name!r} has no {SKIP}, so skip-connects can never end the search"
            raise DropnasError(what, where=where, remedy="set criterion: ranking")
        return
    if len(space.parameterised) == 1 and options.ranking != "edges":
        what = f"the space {space.name!r} has one convolutional operation, so an edge has nothing to rank"
        raise DropnasError(what, where=where, remedy="set ranking: edges")
    if options.cell == "before":
        what = "cell: before needs criterion: skip-connects"
        raise DropnasError(what, where=where, remedy="remove it, or set criterion: skip-connects")
