"""The tests that decide a claim: that one method is better than others, that a contrast is positive, that a correlation
is higher than another or than a number, that one count is higher than another, that something is seldom, and that a
printed best is reached.

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

from dropnas.analysis.comparison import Comparison, Estimate, Sample, difference
from dropnas.analysis.multiple import holm
from dropnas.analysis.verdict import LEVEL

PERMUTATIONS = 20_000  # at most; eight and eight counts have 12,870
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


def positive(estimate: Estimate) -> Decision:
    """Whether a contrast of means is positive."""
    return _decide([estimate.p_above(0.0)], [estimate.p_below(0.0)])


def correlation_higher(first: float, first_n: int, second: float, second_n: int | None) -> Decision:
    """Whether the first of two independent correlations is higher than the second: difference of Fisher's z.

    Args:
        first, second: Pearson's coefficients, between -1 and 1.
        first_n, second_n: the numbers of points behind them; None where the second is a given number.

    Raises:
        ValueError: a coefficient outside [-1, 1].
    """
    if min(first_n, second_n or first_n) < FEWEST_POINTS:
        return Decision(Outcome.TOO_FEW, (), ())
    if first == second:  # two perfect correlations have no difference of z
        return _decide([0.5], [0.5])
    bias = 0.0 if second_n else second / (2 * (first_n - 1))  # of z; that of two correlations cancels
    z = _fisher(first) - _fisher(second) - bias
    z /= math.sqrt(1 / (first_n - 3) + (1 / (second_n - 3) if second_n else 0.0))
    return _decide([float(ndtr(-z))], [float(ndtr(z))])


def _fisher(coefficient: float) -> float:
    return math.copysign(math.inf, coefficient) if abs(coefficient) == 1 else math.atanh(coefficient)


def counts_higher(first: Sequence[float], second: Sequence[float]) -> Decision:
    """Whether the first counts are higher on average than the second: permutation test, exact for eight and eight."""
    if min(len(first), len(second)) < 2:
        return Decision(Outcome.TOO_FEW, (), ())
    from scipy.stats import permutation_test  # a second to import, which planning does without

    higher, lower = (
        permutation_test(
            (first, second),
            lambda one, other, axis: one.mean(axis=axis) - other.mean(axis=axis),
            alternative=side,
            vectorized=True,
            n_resamples=PERMUTATIONS,
            rng=0,
        ).pvalue
        for side in ("greater", "less")
    )
    return _decide([float(higher)], [float(lower)])


def seldom(cases: Sequence[tuple[int, int]]) -> Decision:
    """Whether in each of several cases something is seen in less than half of all seeds: binomial tests.

    Args:
        cases: in how many seeds it was seen, of how many.
    """
    if not cases or not all(n for _, n in cases):
        return Decision(Outcome.TOO_FEW, (), ())
    from scipy.stats import binomtest

    return _decide(*([float(binomtest(k, n, 0.5, side).pvalue) for k, n in cases] for side in ("less", "greater")))


def reached(found: Comparison) -> Decision:
    """Whether an error of ours is as low as a printed one: equal within the margin, or lower; not if it is higher."""
    lower, higher = (found.p_differs if side else 1.0 for side in (found.difference < 0, found.difference > 0))
    return _decide([min(found.p_agrees, lower)], [higher])


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
