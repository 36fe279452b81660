"""Draws docs/study-summary.png from docs/study.csv: `python -m docs.study_picture`.

The file has a row for each method of the study, with the numbers of docs/study.md: the weight of operations without
parameters before and after the search, with the half-width of the change's 95 % interval; the skip-connects of the four
normal cells; mean and standard deviation of the test error in percent, where the cells were retrained.
"""

from pathlib import Path

import pandas
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import t

FOLDER = Path(__file__).parent
SEEDS = 4
RANDOM, DRAWN_SKIPS = "random search", 1.1  # skip-connects of a normal cell that is drawn at random, on average
BLUE, GREY = "#2a5d84", "#8a8a8a"


def draw(rows: pandas.DataFrame) -> Figure:
    """A line for each method in three panels: change of the weight, skip-connects, test error."""
    rows = rows.iloc[::-1].reset_index(drop=True)  # the first row is drawn at the top
    figure = Figure(figsize=(10, 5), layout="constrained")
    left, middle, right = figure.subplots(1, 3, sharey=True)
    _weights(left, rows)
    _skips(middle, rows)
    _errors(right, rows)
    left.set_yticks(rows.index, rows.method)
    for axes in (left, middle, right):
        axes.grid(axis="y", color="#e4e4e4")
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def _weights(axes: Axes, rows: pandas.DataFrame) -> None:
    axes.axvline(0, color=GREY, linewidth=1)
    axes.errorbar(rows.change, rows.index, xerr=rows.half_width, fmt="o", color=BLUE, capsize=3)
    axes.set_title("Weight without parameters", fontsize=10)
    axes.set_xlabel("change during the search,\n95 % interval")


def _skips(axes: Axes, rows: pandas.DataFrame) -> None:
    axes.axvline(DRAWN_SKIPS, color=GREY, linewidth=1, linestyle="--")
    for line, text in rows.skips.dropna().items():
        counts = pandas.Series(text.split()).astype(int).value_counts()
        axes.scatter(counts.index, [line] * len(counts), s=30 * counts, color=BLUE)
    axes.set_xticks(range(4))
    axes.set_title("Skip-connects, normal cell", fontsize=10)
    axes.set_xlabel("by seed (larger dot: several seeds);\ndashed line: random cells")


def _errors(axes: Axes, rows: pandas.DataFrame) -> None:
    drawn = rows[rows.method == RANDOM].iloc[0]
    half = t.ppf(0.975, SEEDS - 1) / SEEDS**0.5
    low, high = (drawn.error_mean + sign * half * drawn.error_deviation for sign in (-1, 1))
    axes.axvspan(low, high, color="#eeeeee")
    axes.errorbar(rows.error_mean, rows.index, xerr=half * rows.error_deviation, fmt="o", color=BLUE, capsize=3)
    axes.set_title("Test error of retrained cells", fontsize=10)
    axes.set_xlabel("%, 95 % interval of the mean;\ngrey: random search")


if __name__ == "__main__":
    draw(pandas.read_csv(FOLDER / "study.csv")).savefig(FOLDER / "study-summary.png", dpi=110)
