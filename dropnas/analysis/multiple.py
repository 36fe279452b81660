"""Holm's correction: the chance of any false rejection among several tests is at most the level.

Design choices: Holm's correction is used instead of Bonferroni's because it rejects more with the same guarantee. The
false discovery rate is not used because a single wrong "differs" in a table is too many. Holm's correction needs no
independence, which the cells of a table do not have: they share a data set, and the cells of Table 6 also its first
column.
"""

from collections.abc import Sequence


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values in the given order: a test is rejected if its adjusted p-value is at most the level.

    Raises:
        ValueError: a p-value is outside [0, 1] or NaN.
    """
    if not all(0 <= p <= 1 for p in p_values):
        raise ValueError(f"no p-values: {list(p_values)}")
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda index: p_values[index])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted
