r"""A single printed number, the lowest of m runs, against the runs of ours: a test without the paper's deviation.

Under one common normal law the pivot T = (printed lowest − our mean) / our deviation depends on nothing but n, the
number of our runs, and m. With Z normal and S² = χ²(n−1)/(n−1) independent,

    P(T ≤ t) = 1 − E[(1 − Φ(Z/√n + t·S))^m],

so that two-sided test, confidence interval and equivalence are exact for the normal law; m = 1 is the prediction
t-test of one training.

Design choices: quadrature (Gauss-Hermite over Z, Gauss-Legendre over S), since it is deterministic and exact to far
more digits than a verdict needs; the difference is the median-unbiased one, what m of our runs would have as their
lowest error against what is printed, because our own lowest of n says nothing like for like where n is not m.
"""

import math
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from dropnas.analysis.comparison import CONFIDENCE, Comparison, Sample

NORMAL_NODES, SPREAD_NODES = 64, 400
TAIL = 1e-14  # probability left out beyond the largest S
ALIKE = (0.55, 1.8)  # our deviation over the paper's: within it both errors of the test stay at 5 %, whatever the truth
FARTHEST = 1e7  # no quantile that is asked for lies farther out, in our deviations


@cache
def _normal_rule(n: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Nodes and weights for the expectation over Z/√n."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(NORMAL_NODES)
    return nodes / math.sqrt(n), weights / math.sqrt(2 * math.pi)


@cache
def _spread_rule(freedom: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Nodes and weights for the expectation over S; the nodes crowd towards 0, where a far quantile is decided."""
    from scipy.stats import chi  # as below: a second to import, which planning does without

    nodes, weights = np.polynomial.legendre.leggauss(SPREAD_NODES)
    largest = float(chi.isf(TAIL, freedom))
    root = (nodes + 1) / 2
    values = largest * root**3
    return values / math.sqrt(freedom), weights / 2 * 3 * largest * root**2 * chi.pdf(values, freedom)


def lowest_below(t: float, n: int, m: int) -> float:
    """P(the lowest of m new runs ≤ mean + t · deviation of n runs), all of one normal law.

    Args:
        t: the threshold, in deviations (n - 1) of the n runs.
        n: number of runs that mean and deviation come from, at least 2.
        m: number of new runs, at least 1.
    """
    if n < 2 or m < 1:
        raise ValueError(f"needs two runs and one new one, not {n} and {m}")
    (normal, normal_weights), (spread, spread_weights) = _normal_rule(n), _spread_rule(n - 1)
    all_above = ndtr(-(normal[:, None] + t * spread[None, :])) ** m
    return float(np.clip(1 - normal_weights @ all_above @ spread_weights, 0.0, 1.0))


@cache
def quantile(probability: float, n: int, m: int) -> float:
    """The t at which `lowest_below` has this probability."""
    from scipy.optimize import brentq

    return float(brentq(lambda t: lowest_below(t, n, m) - probability, -FARTHEST, FARTHEST, xtol=1e-10))


def expected_lowest(ours: Sample, m: int) -> float:
    """What m runs of our kind would have as their lowest error: the median of its predictive law."""
    return ours.mean + quantile(0.5, ours.n, m) * ours.std


def scatter_alike(ours: Sample, paper: Sample) -> bool:
    """Whether the deviations are near enough for one law to be common to both."""
    return ALIKE[0] <= ours.std / paper.std <= ALIKE[1] if paper.std else not ours.std


def compare_lowest(ours: Sample, printed: float, m: int, margin: float, paper: Sample | None = None) -> Comparison:
    """Our runs against the printed lowest of m, as a difference of location, with equivalence within ± margin.

    Args:
        ours: our runs.
        printed: the lowest error of m runs.
        m: of how many; 1 for a single training.
        margin: the largest difference that counts as none, in the unit of the errors.
        paper: the m runs, where their deviation is printed; if they do not scatter as ours do, nothing is decided.
    """
    if not ours.std:
        return Comparison(ours.mean - printed, None, 1.0, 1.0)
    if paper and not scatter_alike(ours, paper):
        return Comparison(expected_lowest(ours, m) - printed, None, 1.0, 1.0)

    def below(shift: float) -> float:
        """P(a lowest as low as the printed one), were the paper's errors lower than ours by the shift."""
        return lowest_below((printed + shift - ours.mean) / ours.std, ours.n, m)

    tail = (1 - CONFIDENCE) / 2
    low, high = (ours.mean + quantile(p, ours.n, m) * ours.std - printed for p in (tail, 1 - tail))
    middle = below(0.0)
    agrees = max(below(-margin), 1 - below(margin))
    return Comparison(expected_lowest(ours, m) - printed, (low, high), 2 * min(middle, 1 - middle), agrees)
