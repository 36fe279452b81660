"""From the comparisons of one table to a verdict on each.

Design choices: "no significant difference" is not agreement, so agreement has a test of its own (equivalence within a
margin) and what neither test decides is called undecided; differences and agreements are two families, each with
Holm's correction, so that a table with nothing wrong in it shows a "differs" at most once in twenty times, and a table
in which everything is off by the margin an "agrees" at most once in twenty. A difference that is measurable but
certainly smaller than the margin agrees.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from dropnas.analysis.comparison import Comparison
from dropnas.analysis.multiple import holm

LEVEL = 0.05  # family-wise, of either family


class Verdict(StrEnum):
    """What can be said of a number of ours beside the paper's."""

    AGREES = "agrees"
    DIFFERS = "differs"
    UNDECIDED = "undecided"
    TOO_FEW = "too few runs"
    NOT_COMPARABLE = "not comparable"


@dataclass(frozen=True)
class Judged:
    """A comparison with its verdict.

    Attributes:
        comparison: what was compared.
        p_differs, p_agrees: its p-values, corrected over the table.
        verdict: agrees, differs or undecided.
    """

    comparison: Comparison
    p_differs: float
    p_agrees: float
    verdict: Verdict

    @property
    def measurable(self) -> bool:
        """Whether a difference is shown, within the margin or not."""
        return self.p_differs <= LEVEL


def judge(comparisons: Sequence[Comparison]) -> list[Judged]:
    """Verdicts on all comparisons of one table, in their order."""
    differs = holm([one.p_differs for one in comparisons])
    agrees = holm([one.p_agrees for one in comparisons])
    return [
        Judged(one, p_differs, p_agrees, _verdict(p_differs, p_agrees))
        for one, p_differs, p_agrees in zip(comparisons, differs, agrees, strict=True)
    ]


def _verdict(p_differs: float, p_agrees: float) -> Verdict:
    if p_agrees <= LEVEL:
        return Verdict.AGREES
    return Verdict.DIFFERS if p_differs <= LEVEL else Verdict.UNDECIDED
