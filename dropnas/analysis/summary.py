"""Statistics of one quantity over several runs.

Design choices: both the population and the sample standard deviation are computed. The paper prints the population
deviation, but an estimate from a few seeds needs the sample deviation. Sums use `math.fsum`, so the results do not
depend on the order of the runs. A statistic that does not exist is None.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean


@dataclass(frozen=True)
class Summary:
    """The statistics of one quantity in a table."""

    values: tuple[float, ...]  # the values of the individual runs, in the order of the runs
    mean: float  # their mean
    std: float | None  # sample deviation (n - 1); None for a single value
    population_std: float  # population deviation (n), as the paper prints it
    best: float  # the lowest value, because every quantity is an error or a cost

    @property
    def n(self) -> int:
        """The number of runs."""
        return len(self.values)


def summarise(values: Sequence[float]) -> Summary:
    """Compute all statistics of the values. Raises a ValueError if there are no values."""
    mean, n = fmean(values), len(values)
    squares = math.fsum((value - mean) ** 2 for value in values)
    std = math.sqrt(squares / (n - 1)) if n > 1 else None
    return Summary(tuple(values), mean, std, math.sqrt(squares / n), min(values))
