"""Random tables, drawn around the paper's printed numbers and judged together by the rules of the verdicts.

    python -m tests.unit.analysis.simulated [tables]

prints how often some cell of a table is called *differs* without a true difference, how often some cell is called
*agrees* if every true difference is at the margin, and how single cells are judged without a difference. The rules are
implemented again here, with arrays instead of samples; a test compares them with `judge`.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr

from dropnas.analysis.best_of import STD_RATIOS, compare_lowest, lowest_below
from dropnas.analysis.comparison import FEW_RUNS, OPTIMISM, Comparison, Sample, compare_means, printed_sample
from dropnas.analysis.verdict import LEVEL, Verdict, judge
from dropnas.report.printed import layout
from dropnas.report.verdicts import PAPER_SEEDS, margin

Array = NDArray[Any]
Draw = Callable[[np.random.Generator, tuple[int, ...]], Array]  # standardised errors
FAR = np.sinh(np.linspace(-9, 9, 801))  # points at which the distribution of the lowest is tabulated, dense around 0


@dataclass(frozen=True)
class Truth:
    """The truth about a cell: the distribution of the paper's runs and, shifted, of ours."""

    mean: float
    std: float
    margin: float
    best: bool


@dataclass(frozen=True)
class Simulated:
    """Simulated tables.

    Attributes:
        ours, paper: errors of the runs (tables, cells, runs).
        verdicts: the verdict on each number of each table, (tables, numbers): means first, then the best of eight.
    """

    ours: Array
    paper: Array
    verdicts: Array

    def rate(self, verdict: Verdict) -> float:
        """The share of tables in which at least one number has this verdict."""
        return float((self.verdicts == verdict).any(axis=1).mean())

    def share(self, verdict: Verdict) -> float:
        """The share of numbers with this verdict."""
        return float((self.verdicts == verdict).mean())


def normal(random: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """The distribution that the tests assume."""
    return random.normal(size=shape)


def skewed(random: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """A long tail of bad seeds, as of a search that sometimes collapses; standardised, skewness 1.4."""
    drawn: Array = (random.gamma(2.0, size=shape) - 2.0) / np.sqrt(2.0)
    return drawn


def truths(name: str) -> list[Truth]:
    """The cells of a table with a printed deviation."""
    return [
        Truth(
            cell.mean,
            printed_sample(cell.mean, cell.std, PAPER_SEEDS).std,
            margin(name, row.key),
            cell.best is not None,
        )
        for row in layout(name).rows
        for cell in row.cells
        if cell.mean is not None
        and cell.std is not None
        and (not name.startswith(("table1", "table2")) or "dropnas" in row.key)
    ]


def tables(
    cells: Sequence[Truth],
    seed: int,
    count: int,
    n: int,
    shifts: Sequence[float],
    draw: Draw = normal,
    scale: float = 1.0,
) -> Simulated:
    """The verdicts of simulated tables; the paper's numbers are printed with two decimals, as they are.

    Args:
        cells: the true distributions.
        seed, count: seed of the random numbers, and number of tables.
        n: number of our runs in each cell.
        shifts: true difference of each cell, in margins.
        draw: distribution of a standardised error.
        scale: our true deviation in units of the paper's.
    """
    random = np.random.default_rng(seed)
    mean, std, bound = (np.array([getattr(cell, name) for cell in cells]) for name in ("mean", "std", "margin"))
    paper, ours = (draw(random, (count, len(cells), size)) for size in (PAPER_SEEDS, n))
    paper = mean[:, None] + std[:, None] * paper
    ours = (mean + np.array(shifts) * bound)[:, None] + scale * std[:, None] * ours
    pairs = [_means(ours, paper, bound)]
    if any(cell.best for cell in cells):
        best = [cell.best for cell in cells]
        pairs.append(_lowest(ours[:, best], paper[:, best], bound[best]))
    differs, agrees = (_holm(np.concatenate(side, axis=1)) for side in zip(*pairs, strict=True))
    verdicts = np.where(agrees <= LEVEL, Verdict.AGREES, np.where(differs <= LEVEL, Verdict.DIFFERS, Verdict.UNDECIDED))
    return Simulated(ours, paper, verdicts)


def judged(cells: Sequence[Truth], ours: Array, paper: Array) -> list[Verdict]:
    """The verdicts of one simulated table (cells, runs), by the code for real tables: means first."""
    samples = [Sample(len(one), float(one.mean()), float(one.std(ddof=1))) for one in ours]
    printed = [printed_sample(float(one.mean().round(2)), float(one.std().round(2)), PAPER_SEEDS) for one in paper]
    numbers = list(zip(cells, samples, printed, paper, strict=True))
    comparisons: list[Comparison] = [compare_means(own, theirs, cell.margin) for cell, own, theirs, _ in numbers]
    comparisons += [
        compare_lowest(own, float(runs.min().round(2)), PAPER_SEEDS, cell.margin, theirs)
        for cell, own, theirs, runs in numbers
        if cell.best
    ]
    return [one.verdict for one in judge(comparisons)]


def _printed(paper: Array) -> tuple[Array, Array]:
    """The mean and deviation (n - 1), rounded as in the paper."""
    return paper.mean(axis=-1).round(2), paper.std(axis=-1).round(2) * np.sqrt(PAPER_SEEDS / (PAPER_SEEDS - 1))


def _means(ours: Array, paper: Array, bound: Array) -> tuple[Array, Array]:
    """P-values of difference and equivalence of the means."""
    n, (mean, std) = ours.shape[-1], _printed(paper)
    parts = ours.var(axis=-1, ddof=1) / n, std**2 / PAPER_SEEDS
    error = np.sqrt(sum(parts))
    welch = sum(parts) ** 2 / (parts[0] ** 2 / (n - 1) + parts[1] ** 2 / (PAPER_SEEDS - 1))
    freedom = np.maximum(min(n, PAPER_SEEDS) - 1, welch - OPTIMISM if n >= FEW_RUNS else 0)
    difference = ours.mean(axis=-1) - mean
    agrees = np.maximum(stdtr(freedom, (difference - bound) / error), stdtr(freedom, (-bound - difference) / error))
    return 2 * stdtr(freedom, -np.abs(difference) / error), agrees


def _lowest(ours: Array, paper: Array, bound: Array) -> tuple[Array, Array]:
    """P-values of the best of eight; 1 if the two deviations are not similar."""
    mean, std = ours.mean(axis=-1), ours.std(axis=-1, ddof=1)
    low, middle, high = (
        np.interp((paper.min(axis=-1).round(2) + shift - mean) / std, FAR, _law(ours.shape[-1]))
        for shift in (-bound, 0.0, bound)
    )
    ratio = std / np.maximum(_printed(paper)[1], 1e-12)
    alike = (ratio >= STD_RATIOS[0]) & (ratio <= STD_RATIOS[1])
    differs, agrees = 2 * np.minimum(middle, 1 - middle), np.maximum(low, 1 - high)
    return np.where(alike, differs, 1.0), np.where(alike, agrees, 1.0)


@cache
def _law(n: int) -> Array:
    return np.array([lowest_below(float(t), n, PAPER_SEEDS) for t in FAR])


def _holm(p: Array) -> Array:
    """Adjust p-values along the second axis."""
    order, m = p.argsort(axis=1), p.shape[1]
    adjusted = np.minimum(1, np.maximum.accumulate(np.take_along_axis(p, order, 1) * np.arange(m, 0, -1), axis=1))
    return np.take_along_axis(adjusted, order.argsort(axis=1), 1)


def _report(count: int) -> None:
    """Print all rates."""
    cases: tuple[tuple[str, int, Draw, float], ...] = (
        ("n=8", 8, normal, 1.0),
        ("n=5", 5, normal, 1.0),
        ("n=3", 3, normal, 1.0),
        ("n=8, skewed", 8, skewed, 1.0),
        ("n=8, ours scatter half as much", 8, normal, 0.5),
        ("n=8, ours scatter twice as much", 8, normal, 2.0),
    )
    for name in ("table1", "table2", "table4", "table5", "table6"):
        cells = truths(name)
        same, off = [0.0] * len(cells), [1.0 if index % 2 else -1.0 for index in range(len(cells))]
        for label, n, draw, scale in cases:
            null, apart = (tables(cells, seed, count, n, shifts, draw, scale) for seed, shifts in ((1, same), (2, off)))
            rates = null.rate(Verdict.DIFFERS), apart.rate(Verdict.AGREES), null.share(Verdict.AGREES)
            print(f"{name}, {label}:", *(f"{100 * rate:.1f}" for rate in rates), sep="  ")


if __name__ == "__main__":
    _report(int(sys.argv[1]) if len(sys.argv) > 1 else 2000)
