"""Drop path rates (Section 2.3): the nominal p_d of the paper, and the effective rate at which operations are dropped.

A group that loses all its operations is drawn again, so the effective rate is below p_d. At the paper's own rate the
difference is negligible. The paper represents SNAS by p_d = 0.875 (one of eight operations is kept) and ProxylessNAS by
p_d = 0.75 (two are kept). Because groups are drawn again, the average number of operations that an edge actually keeps
is 2.42 of eight for p_d = 0.875, and 2.93 for p_d = 0.75.
"""

from dropnas.space.names import PAPER_GROUP

RATES_OF_METHODS = {
    "one-level-darts": 0.0,
    "drop-rate-0.75": 0.75,
    "drop-rate-0.875": 0.875,
}  # p_d of some methods, Section 5.1


def of_rate(rate: float) -> float:
    """The drop probability p_d for a drop path rate r."""
    return float(rate ** (1 / PAPER_GROUP))


def effective(p_d: float, size: int = PAPER_GROUP) -> float:
    """The fraction of batches in which an operation is dropped, given that its group keeps at least one.

    Args:
        p_d: probability of being dropped in one draw, less than 1.
        size: number of operations in the group.
    """
    return 1 - (1 - p_d) / (1 - p_d**size)


def both(p_d: float) -> str:
    """Format the nominal rate, and the effective one if it differs by 0.005 or more: "0.75 (effective 0.63)"."""
    nominal, real = f"{p_d:.3g}", f"{effective(p_d):.2f}"
    return nominal if abs(p_d - effective(p_d)) < 0.005 else f"{nominal} (effective {real})"
