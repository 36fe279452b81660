"""Compares two means, or a contrast of several, by Welch's test, a confidence interval and an equivalence test.

Design choices: the paper prints n, mean and standard deviation, so no function here needs the values of individual
runs. Variances are never pooled, because the errors of different methods have different variances. All results come
from one estimate with its standard error and degrees of freedom (Welch-Satterthwaite), so the test, the interval and
the equivalence test never contradict each other.

Welch's approximation is too optimistic in the far tails that matter for Holm's correction. Suppose that our standard
deviation is three times the paper's, and that a table of twelve cells contains no true difference. The probability that
the table shows a difference would then be 6 % if both sides have eight runs, 9 % if we have five, and one half if
we have two. To compare two means, Welch's degrees of freedom are therefore reduced by three, but not below n - 1, where
n is the size of the smaller sample. If n is less than five, n - 1 degrees of freedom are used (docs/verdicts.md). If no
sample has any spread, p-values are 1 and there is no interval.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.special import stdtr, stdtrit

from dropnas.analysis.summary import Summary, summarise

CONFIDENCE = 0.95  # level of every interval
POWER = 0.8  # power for which the smallest detectable difference is computed
FEW_RUNS = 5  # with fewer runs, Welch's degrees of freedom are far too high in the tails
OPTIMISM = 3  # degrees of freedom to subtract, because Welch's formula gives too many in the tails


@dataclass(frozen=True)
class Sample:
    """The number of runs behind a mean, the mean, and the standard deviation (n - 1).

    Raises:
        ValueError: there are fewer than two runs, the standard deviation is negative, or a number is not finite.
    """

    n: int
    mean: float
    std: float

    def __post_init__(self) -> None:
        if self.n < 2 or not math.isfinite(self.mean) or not 0 <= self.std < math.inf:
            raise ValueError(f"not a sample: n = {self.n}, mean {self.mean}, deviation {self.std}")


@dataclass(frozen=True)
class Estimate:
    """A difference or contrast of means."""

    value: float  # the estimate, in the unit of the means
    error: float  # its standard error; 0 if no sample has any spread
    freedom: float  # degrees of freedom: Welch-Satterthwaite, or reduced by `cautious`

    def p_above(self, bound: float) -> float:
        """One-sided p-value for the alternative that the true value is greater than a bound."""
        return float(stdtr(self.freedom, (bound - self.value) / self.error)) if self.error else 1.0

    def p_below(self, bound: float) -> float:
        """One-sided p-value for the alternative that the true value is less than a bound."""
        return float(stdtr(self.freedom, (self.value - bound) / self.error)) if self.error else 1.0

    def p_different(self) -> float:
        """Two-sided p-value for the alternative that the true value is not zero (Welch's test)."""
        return min(1.0, 2 * min(self.p_above(0.0), self.p_below(0.0)))

    def p_within(self, margin: float) -> float:
        """P-value for the alternative that the true value is within ± margin, by two one-sided tests (TOST)."""
        return max(self.p_above(-margin), self.p_below(margin))

    def smallest(self) -> float:
        """The smallest true value that a one-sided test at the 5 % level detects with a power of 80 %."""
        return float(stdtrit(self.freedom, 0.95) + stdtrit(self.freedom, POWER)) * self.error

    def interval(self) -> tuple[float, float] | None:
        """The 95 % confidence interval; None if no sample has any spread."""
        if not self.error:
            return None
        half = float(stdtrit(self.freedom, (1 + CONFIDENCE) / 2)) * self.error
        return self.value - half, self.value + half


@dataclass(frozen=True)
class Comparison:
    """The comparison of one of our numbers with the corresponding number in the paper."""

    difference: float  # our number minus the paper's, in their common unit
    # the 95 % confidence interval of the difference, not corrected for multiple comparisons. It is None if no sample
    # has any spread. If lowest errors are compared, it is also None if the standard deviations differ too much
    interval: tuple[float, float] | None
    p_differs: float  # two-sided p-value of the difference
    p_agrees: float  # p-value of equivalence within the margin


def sample(values: Sequence[float]) -> Sample | None:
    """Summarise values as a sample, or return None if there are fewer than two."""
    return of_summary(summarise(values)) if len(values) > 1 else None


def of_summary(summary: Summary) -> Sample | None:
    """Convert a summary to a sample, or return None if it describes a single value."""
    return None if summary.std is None else Sample(summary.n, summary.mean, summary.std)


def printed_sample(mean: float, population_std: float, n: int) -> Sample:
    """Make a sample from a printed mean and population standard deviation, which is converted to n - 1."""
    return Sample(n, mean, population_std * math.sqrt(n / (n - 1)))


def contrast(samples: Sequence[Sample], weights: Sequence[float]) -> Estimate:
    """The weighted sum of independent means.

    Args:
        samples: at least one sample.
        weights: the weight of each mean; (1, -1) gives the difference of two means.

    Raises a ValueError if the numbers of weights and samples differ.
    """
    pairs = list(zip(samples, weights, strict=True))
    parts = [(weight * one.std) ** 2 / one.n for one, weight in pairs]
    variance = math.fsum(parts)
    spread = math.fsum(part**2 / (one.n - 1) for part, (one, _) in zip(parts, pairs, strict=True))
    freedom = variance**2 / spread if spread else float(sum(one.n - 1 for one in samples))
    return Estimate(math.fsum(weight * one.mean for one, weight in pairs), math.sqrt(variance), freedom)


def difference(first: Sample, second: Sample) -> Estimate:
    """Estimate the first mean minus the second, with Welch's degrees of freedom reduced by `cautious`."""
    estimate = contrast((first, second), (1.0, -1.0))
    return replace(estimate, freedom=float(cautious(estimate.freedom, min(first.n, second.n))))


def cautious(freedom: Any, fewest: Any) -> Any:
    """Reduce Welch's degrees of freedom, as described at the top of this module.

    Args:
        freedom: Welch's degrees of freedom, a number or an array.
        fewest: size of the smaller sample, a number or an array.
    """
    welch = np.where(np.less(fewest, FEW_RUNS), 0.0, np.subtract(freedom, OPTIMISM))
    return np.maximum(np.subtract(fewest, 1.0), welch)


def compare_means(ours: Sample, paper: Sample, margin: float) -> Comparison:
    """Compare our mean with the paper's, and test whether they are equivalent within ± margin."""
    estimate = difference(ours, paper)
    return Comparison(estimate.value, estimate.interval(), estimate.p_different(), estimate.p_within(margin))


def improvement(method: Sample, random: Sample) -> tuple[float, tuple[float, float] | None]:
    """The improvement (random - method) / random in percent, with its 95 % interval.

    It is often used to compare search methods (Yang et al., 2020), because it does not reward an easy search space. The
    interval is None if there is no spread, or if the mean of random search does not differ significantly from zero.
    """
    ratio = method.mean / random.mean
    value = 100 * (1 - ratio)
    if not (ends := _fieller(method, random)):
        return value, None
    return value, (100 * (1 - ends[1]), 100 * (1 - ends[0]))


def _fieller(above: Sample, below: Sample) -> tuple[float, float] | None:
    """Fieller's interval: all ratios of two means that Welch's test of `above - ratio * below` does not reject."""
    estimate = difference(above, below)
    if not estimate.error:
        return None
    t_squared = float(stdtrit(estimate.freedom, (1 + CONFIDENCE) / 2)) ** 2
    of_above, of_below = above.std**2 / above.n, below.std**2 / below.n
    a = below.mean**2 - t_squared * of_below
    c = above.mean**2 - t_squared * of_above
    b = above.mean * below.mean
    root = b * b - a * c
    if a <= 0 or root < 0:
        return None
    return (b - math.sqrt(root)) / a, (b + math.sqrt(root)) / a
