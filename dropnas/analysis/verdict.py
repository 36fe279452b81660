"""Verdicts on the comparisons of one table.

Design choices: "no significant difference" is not agreement. Agreement therefore has its own test (equivalence within a
margin), and whatever neither test decides is undecided. Differences and agreements are two families, each with Holm's
correction. A table without true differences shows a "differs" in at most 5 % of cases. A table in which every number is
off by the margin shows an "agrees" in at most 5 % of cases. A difference that is significant, but certainly smaller
than the margin, counts as agreement.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from dropnas.analysis.comparison import Comparison
from dropnas.analysis.multiple import holm

LEVEL = 0.05  # family-wise level of each family


class Verdict(StrEnum):
    """The verdict on one of our numbers compared with the paper's."""

    AGREES = "agrees"
    DIFFERS = "differs"
    UNDECIDED = "undecided"
    TOO_FEW = "too few runs"
    NOT_COMPARABLE = "not comparable"


@dataclass(frozen=True)
class Judged:
    """A comparison with its verdict."""

    comparison: Comparison
    # p_differs, p_agrees: its p-values, corrected over the table
    p_differs: float
    p_agrees: float
    verdict: Verdict  # agrees, differs or undecided

    @property
    def measurable(self) -> bool:
        """Whether a difference is significant, within the margin or not."""
        return self.p_differs <= LEVEL


def judge(comparisons: Sequence[Comparison]) -> list[Judged]:
    """Judge all comparisons of one table, in their order."""
    differs = holm([one.p_differs for one in comparisons]).tolist()
    agrees = holm([one.p_agrees for one in comparisons]).tolist()
    return [
        Judged(one, p_differs, p_agrees, _verdict(p_differs, p_agrees))
        for one, p_differs, p_agrees in zip(comparisons, differs, agrees, strict=True)
    ]


def _verdict(p_differs: float, p_agrees: float) -> Verdict:
    if p_agrees <= LEVEL:
        return Verdict.AGREES
    return Verdict.DIFFERS if p_differs <= LEVEL else Verdict.UNDECIDED
