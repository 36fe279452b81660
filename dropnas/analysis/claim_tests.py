"""Statistical tests that decide whether a claim holds.

There are six kinds of claims: one method is better than others; a contrast is positive; a correlation is higher than
another correlation or a fixed number; one count is higher than another; something is rare; a printed best error is
reached.

Design choices: every test is one-sided in the direction of the claim. The same test in the opposite direction decides
whether the claim is contradicted. A claim about several comparisons holds only if each of them is significant. This
needs no correction (intersection-union test): a false claim includes a false comparison, which would have to be
significant as well. In the opposite direction, one significant comparison is enough to contradict the claim, so these
p-values are corrected by Holm's method. The same functions test our runs and the paper's printed means, so the same
standard applies to both.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from scipy.special import ndtr

from dropnas.analysis.comparison import Comparison, Estimate, Sample, difference
from dropnas.analysis.verdict import LEVEL, holm

PERMUTATIONS = 20_000  # largest number of permutations; two groups of eight counts have 12,870
FEWEST_POINTS = 4  # Fisher's z has variance 1 / (n - 3)


class ClaimOutcome(StrEnum):
    """The outcome of a claim."""

    HOLDS = "holds"
    CONTRADICTED = "contradicted"
    UNDECIDED = "undecided"
    TOO_FEW = "too few runs"


@dataclass(frozen=True)
class Decision:
    """The outcome of a claim, with the p-values of its comparisons."""

    outcome: ClaimOutcome
    p_holds: tuple[float, ...]  # p-values in the direction of the claim
    p_opposite: tuple[float, ...]  # p-values in the opposite direction, corrected by Holm's method


def all_lower(pairs: Sequence[tuple[Sample, Sample]]) -> Decision:
    """Test whether the first mean of each pair is lower than the second, using one-sided Welch tests.

    Raises a ValueError if there are no pairs.
    """
    estimates = [difference(lower, higher) for lower, higher in pairs]
    return _decide([one.p_below(0.0) for one in estimates], [one.p_above(0.0) for one in estimates])


def positive(estimate: Estimate) -> Decision:
    """Test whether a contrast of means is positive."""
    return _decide([estimate.p_above(0.0)], [estimate.p_below(0.0)])


def correlation_higher(first: float, first_n: int, second: float, second_n: int | None) -> Decision:
    """Test whether the first of two independent correlations is higher, by comparing their Fisher z values.

    Args:
        first, second: Pearson correlation coefficients, between -1 and 1.
        first_n, second_n: number of points behind each coefficient; `second_n` is None if `second` is a fixed number.

    Raises a ValueError if a coefficient is outside [-1, 1].
    """
    if min(first_n, second_n or first_n) < FEWEST_POINTS:
        return Decision(ClaimOutcome.TOO_FEW, (), ())
    if first == second:  # if both are 1 or -1, the difference of their z values is undefined
        return _decide([0.5], [0.5])
    bias = 0.0 if second_n else second / (2 * (first_n - 1))  # bias of z; it cancels if both coefficients are estimates
    z = _fisher(first) - _fisher(second) - bias
    z /= math.sqrt(1 / (first_n - 3) + (1 / (second_n - 3) if second_n else 0.0))
    return _decide([float(ndtr(-z))], [float(ndtr(z))])


def _fisher(coefficient: float) -> float:
    return math.copysign(math.inf, coefficient) if abs(coefficient) == 1 else math.atanh(coefficient)


def counts_higher(first: Sequence[float], second: Sequence[float]) -> Decision:
    """Test whether `first` is higher than `second` on average, using a permutation test.

    The test is exact if neither group has more than eight counts.
    """
    if min(len(first), len(second)) < 2:
        return Decision(ClaimOutcome.TOO_FEW, (), ())
    from scipy.stats import permutation_test  # slow to import, and not needed for planning

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
    """Test whether an event occurs in less than half of the seeds, using one binomial test for each case.

    The claim holds only if the test of every case is significant.

    Args:
        cases: for each case, the number of seeds in which the event occurred, and the number of seeds.
    """
    if not cases or not all(n for _, n in cases):
        return Decision(ClaimOutcome.TOO_FEW, (), ())
    from scipy.stats import binomtest

    return _decide(*([float(binomtest(k, n, 0.5, side).pvalue) for k, n in cases] for side in ("less", "greater")))


def reached(found: Comparison) -> Decision:
    """Test whether our error is as low as a printed one.

    The claim holds if our error is equal to the printed one within the margin, or significantly lower. It is
    contradicted if our error is significantly higher.
    """
    lower, higher = (found.p_differs if side else 1.0 for side in (found.difference < 0, found.difference > 0))
    return _decide([min(found.p_agrees, lower)], [higher])


def _decide(p_holds: Sequence[float], p_opposite: Sequence[float]) -> Decision:
    if not p_holds:
        raise ValueError("a claim needs a comparison")
    opposite = holm(p_opposite).tolist()
    outcome = ClaimOutcome.UNDECIDED
    if max(p_holds) <= LEVEL:
        outcome = ClaimOutcome.HOLDS
    elif min(opposite) <= LEVEL:
        outcome = ClaimOutcome.CONTRADICTED
    return Decision(outcome, tuple(p_holds), tuple(opposite))
