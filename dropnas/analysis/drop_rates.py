"""Drop path rates (Section 2.3): p_d as the paper names it, and how often an operation is dropped in effect.

A group that lost everything is drawn again, so that its operations are dropped less often than p_d says. At the paper's
own rate this is nothing; but at p_d = 0.875, which stands for SNAS' one operation of eight, an edge keeps 2.41 of
eight, and at 0.75, which stands for ProxylessNAS' two, 2.93.
"""

GROUP = 4  # |O_p| = |O_np| in the paper's space
SPECIAL = {"one-level-darts": 0.0, "drop-rate-0.75": 0.75, "drop-rate-0.875": 0.875}  # p_d of methods, Section 5.1


def of_rate(rate: float) -> float:
    """p_d at a drop path rate r."""
    return float(rate ** (1 / GROUP))


def effective(p_d: float, size: int = GROUP) -> float:
    """The share of batches in which an operation is dropped, given that its group keeps at least one.

    Args:
        p_d: probability to be dropped in one draw, less than 1.
        size: operations in the group.
    """
    return 1 - (1 - p_d) / (1 - p_d**size)


def both(p_d: float) -> str:
    """The nominal rate, and the effective one where two digits show a difference: "0.75 (effective 0.63)"."""
    nominal, real = f"{p_d:.3g}", f"{effective(p_d):.2f}"
    return nominal if abs(p_d - effective(p_d)) < 0.005 else f"{nominal} (effective {real})"
