"""What fewer seeds cost in certainty: the smallest difference from the paper that Welch's test would find."""

import math

from scipy import optimize, stats

PAPER_SEEDS = 8
POWER = 0.8
LEVEL = 0.05
STD_CIFAR10 = 0.14 * math.sqrt(8 / 7)  # Table 1, "2.58±0.14": a population deviation, as one over n - 1


def detectable(seeds: int, std: float = STD_CIFAR10) -> float:
    """Points of error by which a mean over so many seeds must lie off the paper's, to be found four times in five.

    Args:
        seeds: ours, two or more; the paper has eight.
        std: deviation of one seed, ours and the paper's alike; by default that of DropNAS in Table 1.
    """
    error = std * math.sqrt(1 / seeds + 1 / PAPER_SEEDS)
    freedom = (1 / seeds + 1 / PAPER_SEEDS) ** 2 / (1 / (seeds**2 * (seeds - 1)) + 1 / (PAPER_SEEDS**2 * 7))
    limit = stats.t.ppf(1 - LEVEL / 2, freedom)

    def lacking(difference: float) -> float:
        return float(stats.nct.sf(limit, freedom, difference / error)) - POWER

    return float(optimize.brentq(lacking, 0.0, 100 * std))
