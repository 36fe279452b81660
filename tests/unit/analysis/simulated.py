"""Whole tables drawn at random around the paper's printed numbers, judged as real ones are.

    python -m tests.unit.analysis.simulated [tables]

prints how often some cell of a table is called *differs* with no true difference, how often some cell is called
*agrees* with every true difference at the margin, and how single cells are judged where there is no difference.
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dropnas.analysis.best_of import compare_lowest
from dropnas.analysis.comparison import Comparison, Sample, compare_means, printed_sample
from dropnas.analysis.verdict import Verdict, judge
from dropnas.report.printed import layout
from dropnas.report.verdicts import PAPER_SEEDS, margin

Draw = Callable[[np.random.Generator, tuple[int, int]], NDArray[np.float64]]  # standardised errors


@dataclass(frozen=True)
class Truth:
    """A cell as it is in truth: the law of the paper's runs and, shifted, of ours."""

    mean: float
    std: float
    margin: float
    best: bool


def normal(random: np.random.Generator, shape: tuple[int, int]) -> NDArray[np.float64]:
    """The law that the tests assume."""
    return random.normal(size=shape)


def skewed(random: np.random.Generator, shape: tuple[int, int]) -> NDArray[np.float64]:
    """A long tail of bad seeds, as a search that collapses now and then has; standardised, skewness 1.4."""
    return (random.gamma(2.0, size=shape) - 2.0) / np.sqrt(2.0)


def truths(name: str) -> list[Truth]:
    """The cells of a table that print a deviation."""
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
) -> Iterator[list[Verdict]]:
    """The verdicts of simulated tables; the paper's numbers are printed with two decimals, as they are.

    Args:
        cells: the truth.
        seed, count: of the random numbers, of the tables.
        n: runs of ours in each cell.
        shifts: true difference of each cell, in margins.
        draw: law of a standardised error.
        scale: our true deviation in units of the paper's.
    """
    random = np.random.default_rng(seed)
    paper, ours = (np.stack([draw(random, (count, size)) for _ in cells], axis=1) for size in (PAPER_SEEDS, n))
    for table in range(count):
        comparisons: list[Comparison] = []
        for index, (cell, shift) in enumerate(zip(cells, shifts, strict=True)):
            printed = cell.mean + cell.std * paper[table, index]
            measured = cell.mean + shift * cell.margin + cell.std * scale * ours[table, index]
            comparisons += _compare(cell, printed, measured)
        yield [one.verdict for one in judge(comparisons)]


def _compare(cell: Truth, printed: NDArray[np.float64], measured: NDArray[np.float64]) -> Iterator[Comparison]:
    own = Sample(len(measured), float(measured.mean()), float(measured.std(ddof=1)))
    theirs = printed_sample(round(float(printed.mean()), 2), round(float(printed.std()), 2), PAPER_SEEDS)
    yield compare_means(own, theirs, cell.margin)
    if cell.best:
        yield compare_lowest(own, round(float(printed.min()), 2), PAPER_SEEDS, cell.margin)


def rate(verdicts: Iterator[list[Verdict]], verdict: Verdict) -> float:
    """The share of tables in which some cell has a verdict."""
    return float(np.mean([verdict in one for one in verdicts]))


def shares(verdicts: Sequence[list[Verdict]]) -> dict[str, float]:
    """The share of each verdict among all cells."""
    counts = Counter(str(verdict) for one in verdicts for verdict in one)
    return {name: round(count / counts.total(), 3) for name, count in sorted(counts.items())}


def _report(count: int) -> None:
    """Print all rates."""
    names: tuple[str, ...] = ("table1", "table2", "table4", "table5", "table6")
    cases: tuple[tuple[str, int, Draw, float], ...] = (
        ("n=8", 8, normal, 1.0),
        ("n=5", 5, normal, 1.0),
        ("n=3", 3, normal, 1.0),
        ("n=8, skewed", 8, skewed, 1.0),
        ("n=8, ours scatter half as much", 8, normal, 0.5),
        ("n=8, ours scatter twice as much", 8, normal, 2.0),
    )
    for name in names:
        cells = truths(name)
        same, off = [0.0] * len(cells), [1.0 if index % 2 else -1.0 for index in range(len(cells))]
        for label, n, draw, scale in cases:
            null = list(tables(cells, 1, count, n, same, draw, scale))
            margin = list(tables(cells, 2, count, n, off, draw, scale))
            differs, agrees = rate(iter(null), Verdict.DIFFERS), rate(iter(margin), Verdict.AGREES)
            print(f"{name}, {label}: differs {differs:.4f}, agrees {agrees:.4f}; cells, no difference:", shares(null))


if __name__ == "__main__":
    _report(int(sys.argv[1]) if len(sys.argv) > 1 else 2000)
