"""The relative improvement of a method over random search (RS), (RS - method) / RS in test error, with its interval.

This number is often used to compare search methods (Yang et al., 2020), because it does not reward an easy search
space. The interval is Fieller's: all ratios that a t-test of `method - ratio * RS` does not reject, with Welch's
variances and degrees of freedom. If the mean of RS does not differ significantly from zero, the interval is unbounded.
"""

import math

from scipy.special import stdtrit

from dropnas.analysis.comparison import CONFIDENCE, Sample, difference


def improvement(method: Sample, random: Sample) -> tuple[float, tuple[float, float] | None]:
    """The improvement in percent and its 95 % interval; None if it is unbounded or there is no spread."""
    ratio = method.mean / random.mean
    value = 100 * (1 - ratio)
    if not (ends := _fieller(method, random)):
        return value, None
    return value, (100 * (1 - ends[1]), 100 * (1 - ends[0]))


def _fieller(above: Sample, below: Sample) -> tuple[float, float] | None:
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
