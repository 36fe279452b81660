"""Verdicts on the comparisons of one table.

Design choices: "no significant difference" is not agreement. Agreement therefore has its own test (equivalence within a
margin), and a number that neither test decides is undecided. Differences and agreements are two families of tests,
and Holm's correction is applied to each. If a table has no true differences, the probability of any "differs" is at
most 5 %. If every number is off by the margin, the probability of any "agrees" is at most 5 %. A difference that is
significant, but significantly smaller than the margin, counts as agreement.

Holm's correction has the same guarantee as Bonferroni's, and rejects more. The false discovery rate is not used because
a single wrong "differs" in a table is too many. Holm's correction does not need independence. The comparisons of a
table are not independent: they share a data set. The comparisons of the claim on Table 6 also share DropNAS's results.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dropnas.analysis.comparison import Comparison

LEVEL = 0.05  # family-wise level of each family


class Verdict(StrEnum):
    """The verdict on one of our numbers compared with the paper's."""

    AGREES = "agrees"
    DIFFERS = "differs"
    UNDECIDED = "undecided"
    TOO_FEW = "too few runs"
    NOT_COMPARABLE = "not comparable"


@dataclass(frozen=True)
class JudgedComparison:
    """A comparison with its verdict."""

    comparison: Comparison
    # p_differs, p_agrees: p-values, Holm-corrected within the table
    p_differs: float
    p_agrees: float
    verdict: Verdict  # agrees, differs or undecided

    @property
    def measurable(self) -> bool:
        """Whether the difference is significant, even if it is within the margin."""
        return self.p_differs <= LEVEL


def judge(comparisons: Sequence[Comparison]) -> list[JudgedComparison]:
    """Judge all comparisons of one table, in their order."""
    differs = holm([one.p_differs for one in comparisons]).tolist()
    agrees = holm([one.p_agrees for one in comparisons]).tolist()
    return [
        JudgedComparison(one, p_differs, p_agrees, _verdict(p_differs, p_agrees))
        for one, p_differs, p_agrees in zip(comparisons, differs, agrees, strict=True)
    ]


def _verdict(p_differs: float, p_agrees: float) -> Verdict:
    if p_agrees <= LEVEL:
        return Verdict.AGREES
    return Verdict.DIFFERS if p_differs <= LEVEL else Verdict.UNDECIDED


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """Correct p-values by Holm's method along the last axis. Compare the results with the uncorrected level.

    Raises a ValueError if a p-value is outside [0, 1] or NaN.
    """
    p = np.asarray(p_values, dtype=float)
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"p-values are not in [0, 1]: {p}")
    order, factors = np.argsort(p, axis=-1, kind="stable"), np.arange(p.shape[-1], 0, -1)
    stepped = np.minimum(1, np.maximum.accumulate(np.take_along_axis(p, order, -1) * factors, axis=-1))
    adjusted = np.empty_like(p)
    np.put_along_axis(adjusted, order, stepped, -1)
    return adjusted
