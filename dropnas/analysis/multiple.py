"""Holm's correction: the chance of any false rejection among several tests stays at the level of one.

Design choices: Holm's and not Bonferroni's, since it rejects more at the same guarantee, and not a false discovery
rate, since one wrong "differs" in a table is one too many; it needs no independence, and a table has none: its cells
share a data set, and Table 6 its first column.
"""

from collections.abc import Sequence


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values in the order given: a test is rejected where its own is at most the level of the family.

    Raises:
        ValueError: a p-value outside [0, 1], NaN included.
    """
    if not all(0 <= p <= 1 for p in p_values):
        raise ValueError(f"no p-values: {list(p_values)}")
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda index: p_values[index])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted
