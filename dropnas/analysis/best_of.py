r"""Compares our runs with the printed lowest error of m runs, even if the deviation of those m runs is not printed.

Under one common normal distribution, the pivot T = (printed lowest − our mean) / our deviation depends only on n, the
number of our runs, and on m. With a normal Z and an independent S² = χ²(n−1)/(n−1),

    P(T ≤ t) = 1 − E[(1 − Φ(Z/√n + t·S))^m].

The two-sided test, the confidence interval and the equivalence test are therefore exact for normal errors. The case m =
1 is the prediction t-test of a single training.

Design choices: the expectation is computed by quadrature (Gauss-Hermite over Z, Gauss-Legendre over S), which is
deterministic and far more accurate than a verdict needs. The reported difference is median-unbiased: the median of the
lowest error of m further runs of ours, minus the printed error. The lowest of our n runs is comparable with the printed
one only if n = m, so it is not used.
"""

import math
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from dropnas.analysis.comparison import CONFIDENCE, Comparison, Sample

NORMAL_NODES, SPREAD_NODES = 64, 400
NEGLECTED = 1e-14  # probability that S exceeds the range of the quadrature, which is neglected
STD_RATIOS = (0.55, 1.8)  # allowed ratios of our deviation to the paper's; with them, at most 5 % of verdicts are wrong
LARGEST_QUANTILE = 1e7  # bound of the numerical search for a quantile, in units of our deviation


@cache
def _normal_rule(n: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the quadrature nodes and weights for the expectation over Z/√n."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(NORMAL_NODES)
    return nodes / math.sqrt(n), weights / math.sqrt(2 * math.pi)


@cache
def _spread_rule(freedom: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the quadrature nodes and weights for the expectation over S.

    The nodes are dense near 0, because the far quantiles of T depend on small values of S.
    """
    from scipy.stats import chi  # imported only here: it is slow to import, and planning does not need it

    nodes, weights = np.polynomial.legendre.leggauss(SPREAD_NODES)
    largest = float(chi.isf(NEGLECTED, freedom))
    root = (nodes + 1) / 2
    values = largest * root**3
    return values / math.sqrt(freedom), weights / 2 * 3 * largest * root**2 * chi.pdf(values, freedom)


def lowest_below(t: float, n: int, m: int) -> float:
    """P(the lowest of m new runs ≤ mean + t · deviation of n runs), if all have the same normal distribution.

    Args:
        t: the threshold, in units of the sample deviation of the n runs.
        n: number of runs from which the mean and the deviation are computed, at least 2.
        m: number of new runs, at least 1.
    """
    if n < 2 or m < 1:
        raise ValueError(f"needs two runs and one new one, not {n} and {m}")
    (normal, normal_weights), (spread, spread_weights) = _normal_rule(n), _spread_rule(n - 1)
    all_above = ndtr(-(normal[:, None] + t * spread[None, :])) ** m
    return float(np.clip(1 - normal_weights @ all_above @ spread_weights, 0.0, 1.0))


@cache
def quantile(probability: float, n: int, m: int) -> float:
    """Return the t at which `lowest_below` equals `probability`."""
    from scipy.optimize import brentq

    return float(brentq(lambda t: lowest_below(t, n, m) - probability, -LARGEST_QUANTILE, LARGEST_QUANTILE, xtol=1e-10))


def expected_lowest(ours: Sample, m: int) -> float:
    """Predict the lowest error of m further runs like ours, as the median of its predictive distribution."""
    return ours.mean + quantile(0.5, ours.n, m) * ours.std


def scatter_alike(ours: Sample, paper: Sample) -> bool:
    """Return whether the two deviations are close enough to assume a common distribution."""
    return STD_RATIOS[0] <= ours.std / paper.std <= STD_RATIOS[1] if paper.std else not ours.std


def compare_lowest(ours: Sample, printed: float, m: int, margin: float, paper: Sample | None = None) -> Comparison:
    """Compare our runs with the printed lowest error of m runs: test for a shift, and for equivalence within ± margin.

    Args:
        printed: the lowest error of m runs.
        m: number of runs among which the printed error is the lowest; 1 for a single training.
        margin: the largest difference that counts as agreement, in the unit of the errors.
        paper: the summary of the m runs, if their deviation is printed. If that deviation differs too much from ours,
            p-values are 1 and there is no interval.
    """
    if not ours.std:
        return Comparison(ours.mean - printed, None, 1.0, 1.0)
    if paper and not scatter_alike(ours, paper):
        return Comparison(expected_lowest(ours, m) - printed, None, 1.0, 1.0)

    def below(shift: float) -> float:
        """P(lowest error ≤ the printed one) if the paper's errors were lower than ours by `shift`."""
        return lowest_below((printed + shift - ours.mean) / ours.std, ours.n, m)

    tail = (1 - CONFIDENCE) / 2
    low, high = (ours.mean + quantile(p, ours.n, m) * ours.std - printed for p in (tail, 1 - tail))
    middle = below(0.0)
    agrees = max(below(-margin), 1 - below(margin))
    return Comparison(expected_lowest(ours, m) - printed, (low, high), 2 * min(middle, 1 - middle), agrees)
