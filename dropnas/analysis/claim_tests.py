"""The tests that decide a claim: that one method is better than others, that a contrast is negative, that one
correlation is higher than another.

Design choices: every test is one-sided in the direction of the claim, and its mirror image decides whether the claim
is contradicted; a claim about several comparisons holds only if each of them is shown at the level, uncorrected, since
for a false claim to hold its one false comparison must be shown (intersection-union test); it is contradicted as soon
as the opposite of one is shown, with Holm's correction, since any one of them suffices. The same functions take our
runs and the paper's printed means, so that both are held to one standard.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from scipy.special import ndtr

from dropnas.analysis.comparison import Estimate, Sample, difference
from dropnas.analysis.multiple import holm
from dropnas.analysis.verdict import LEVEL

FEWEST_POINTS = 4  # Fisher's z has the variance 1 / (n - 3)


class Outcome(StrEnum):
    """What becomes of a claim."""

    HOLDS = "holds"
    CONTRADICTED = "contradicted"
    UNDECIDED = "undecided"
    TOO_FEW = "too few runs"


@dataclass(frozen=True)
class Decision:
    """The outcome of a claim's tests.

    Attributes:
        outcome: what becomes of the claim.
        p_holds: p-value of each comparison in the direction of the claim.
        p_opposite: of each in the opposite direction, with Holm's correction.
    """

    outcome: Outcome
    p_holds: tuple[float, ...]
    p_opposite: tuple[float, ...]


def all_lower(pairs: Sequence[tuple[Sample, Sample]]) -> Decision:
    """Whether in each pair the first mean is lower than the second: one-sided Welch's tests.

    Raises:
        ValueError: no pairs.
    """
    estimates = [difference(lower, higher) for lower, higher in pairs]
    return _decide([one.p_below(0.0) for one in estimates], [one.p_above(0.0) for one in estimates])


def negative(estimate: Estimate) -> Decision:
    """Whether a contrast of means is negative."""
    return _decide([estimate.p_below(0.0)], [estimate.p_above(0.0)])


def correlation_higher(first: float, first_n: int, second: float, second_n: int) -> Decision:
    """Whether the first of two independent correlations is higher than the second: difference of Fisher's z.

    Args:
        first, second: Pearson's coefficients, between -1 and 1.
        first_n, second_n: the numbers of points behind them.

    Raises:
        ValueError: a coefficient outside [-1, 1].
    """
    if min(first_n, second_n) < FEWEST_POINTS:
        return Decision(Outcome.TOO_FEW, (), ())
    if first == second:  # two perfect correlations have no difference of z
        return _decide([0.5], [0.5])
    z = _fisher(first) - _fisher(second)
    z /= math.sqrt(1 / (first_n - 3) + 1 / (second_n - 3))
    return _decide([float(ndtr(-z))], [float(ndtr(z))])


def _fisher(coefficient: float) -> float:
    return math.copysign(math.inf, coefficient) if abs(coefficient) == 1 else math.atanh(coefficient)


def _decide(p_holds: Sequence[float], p_opposite: Sequence[float]) -> Decision:
    if not p_holds:
        raise ValueError("a claim needs a comparison")
    opposite = holm(p_opposite)
    outcome = Outcome.UNDECIDED
    if max(p_holds) <= LEVEL:
        outcome = Outcome.HOLDS
    elif min(opposite) <= LEVEL:
        outcome = Outcome.CONTRADICTED
    return Decision(outcome, tuple(p_holds), tuple(opposite))
