"""Statistics of one quantity over several runs, as pure functions on plain numbers.

Design choices: both kinds of deviation are given. The paper prints the population deviation, but an estimate from a few
seeds needs the sample deviation. Sums use `math.fsum`, so the order of the runs does not change any digit. No result is
NaN: a statistic that does not exist is an error or None.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Summary:
    """The statistics of one quantity in a table.

    Attributes:
        values: the values of the single runs, in their order.
        mean: their mean.
        std: sample deviation (n - 1); None for a single value.
        population_std: population deviation (n), as the paper prints it.
        best: the lowest value, because every quantity is an error or a cost.
    """

    values: tuple[float, ...]
    mean: float
    std: float | None
    population_std: float
    best: float

    @property
    def n(self) -> int:
        """The number of runs."""
        return len(self.values)


def mean(values: Sequence[float]) -> float:
    """The arithmetic mean. Raises ValueError without values."""
    if not values:
        raise ValueError("no values")
    return math.fsum(values) / len(values)


def sample_deviation(values: Sequence[float]) -> float:
    """The standard deviation with n - 1 in the denominator. Raises ValueError for fewer than two values."""
    if len(values) < 2:
        raise ValueError("a sample deviation needs two values")
    return math.sqrt(_squares(values) / (len(values) - 1))


def population_deviation(values: Sequence[float]) -> float:
    """The standard deviation with n in the denominator. Raises ValueError without values."""
    return math.sqrt(_squares(values) / len(values))


def best(values: Sequence[float]) -> float:
    """The lowest value. Raises ValueError without values."""
    return min(values)


def summarise(values: Sequence[float]) -> Summary:
    """All statistics of the values. Raises ValueError without values."""
    return Summary(
        values=tuple(values),
        mean=mean(values),
        std=sample_deviation(values) if len(values) > 1 else None,
        population_std=population_deviation(values),
        best=best(values),
    )


def _squares(values: Sequence[float]) -> float:
    """The sum of the squared differences from the mean."""
    centre = mean(values)
    return math.fsum((value - centre) ** 2 for value in values)
