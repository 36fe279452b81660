"""The trajectories of the searches, which the paper lacks: p of each operation, entropy, skip-connects, changes.

Design choices: for each data set, p has a panel for each method, with the operations' names at the ends of their lines;
what is one number an epoch is drawn for all methods in one panel, told apart by the line's style. A line is the mean
over the seeds, the band around it their range; where seeds stop themselves, over those that reached the epoch. The mean
and the range, and not the lines of the seeds, go into figure.json.
"""

from collections.abc import Iterable, Mapping, Sequence
from math import ceil, isnan
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from pandas import DataFrame, Series, concat

from dropnas.analysis.finished_runs import Run, require_stage
from dropnas.analysis.trajectory import Trajectory, trajectory
from dropnas.artifacts.search_files import HistoryFile
from dropnas.errors import DropnasError
from dropnas.report.figures.drawing import Drawing, Facts, Panels, number
from dropnas.report.figures.labels import short
from dropnas.report.figures.series import Drawn, by_panel
from dropnas.report.figures.sheet import COLOURS, GREY, INK, LETTERS, grid, sheet

LINES = ("-", "--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)))
MARKERS = "osD^v<>P"
LINE_HEIGHT = 0.075  # of a name, in parts of its panel
GROUP = 4  # |O_p|
THIN, THICK = 1.1, 1.7
WIDTH, ROW = 9.6, 2.35  # inches
PANEL = 3.3  # inches: the least width of a method's panel with what is between two
ABREAST = 5  # methods in a row, and names in a row of the legend
NAMES, TICKS = 0.72, 0.55  # inches: right of such a panel, for the operations' names; left of it, for its ticks
NUMBERS = (
    ("entropy_normal", "entropy of p, normal cell (nats)"),
    ("entropy_reduce", "entropy of p, reduction cell (nats)"),
    ("skips_normal", "skip-connects kept, normal cell"),
    ("changes", "edges of the genotype that changed"),
)


def panels(series: Sequence[Drawn]) -> dict[str, Any]:
    """What is drawn, by data set: for each method what its searches did; see `figure.json`."""
    return {panel: [_method(one) for one in ones] for panel, ones in by_panel(series).items()}


def draw(content: Mapping[str, Any], titles: Mapping[str, str]) -> Figure:
    """For each data set rows with p of each method, then one with the numbers."""
    most = max(map(len, content.values()))
    abreast, named = min(most, ABREAST), 0.15 * (ceil(most / ABREAST) - 1)
    heights = [ceil(len(methods) / abreast) for methods in content.values()]
    count = sum(heights) + len(content)
    figure = sheet(max(WIDTH, PANEL * abreast), (ROW + 0.65) * count + 1.2 + named)
    width, height = figure.get_size_inches()
    rows = iter(grid(figure, count, 1, top=0.7 + named, hspace=0.48, bottom=1.0 / height, right=1 - NAMES / width))
    letters = iter(LETTERS * 4)
    for (role, methods), lines in zip(content.items(), heights, strict=True):
        parted = [next(rows).subgridspec(1, abreast, wspace=_between(width, abreast)) for _ in range(lines)]
        upper = [place for row in parted for place in row]
        lower = next(rows).subgridspec(1, len(NUMBERS), wspace=0.32)
        first: Axes | None = None
        for place, method in zip(upper, methods, strict=False):
            axes = figure.add_subplot(place, sharey=first)
            first = first or axes
            title = f"({next(letters)}) {titles[role]}\n{method['label']}: p, normal cell"
            axes.set_title(title, loc="left", fontsize=8)
            _lines(axes, method["epochs"], method["p_normal"])
        for axes, method in zip(figure.axes[-len(methods) :], methods, strict=True):  # now that their scale is known
            _names(axes, method["epochs"][-1], method["p_normal"])
        for place, (key, label) in zip(lower, NUMBERS, strict=True):
            axes = figure.add_subplot(place)
            axes.set_title(f"({next(letters)}) {label}", loc="left", fontsize=7)
            _numbers(axes, methods, key)
    handles, labels = figure.axes[-1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="upper center", ncols=ABREAST, handlelength=3.2)
    return figure


def _between(width: float, count: int) -> float:
    """The room between panels that stand side by side on a sheet, in parts of a panel's width."""
    gap = NAMES + TICKS
    panel = (width - count * gap) / count
    return gap / panel


def draw_search(folder_name: str, found: Trajectory) -> Figure:
    """One search by itself: p in both kinds of cell, and the numbers of both."""
    figure = sheet(WIDTH, 2 * (ROW + 0.65) + 0.9)
    rows = grid(figure, 2, 1, top=0.6, hspace=0.42, right=1 - NAMES / WIDTH, bottom=0.12)
    figure.suptitle(folder_name, x=0.01, ha="left", fontsize=9)
    epochs = list(range(len(found.normal.entropy)))
    upper, lower = rows[0].subgridspec(1, 2, wspace=_between(WIDTH, 2)), rows[1].subgridspec(1, 3, wspace=0.25)
    kinds = (("normal", found.normal), ("reduction", found.reduce))
    for place, (kind, cell) in zip(upper, kinds, strict=True):
        axes = figure.add_subplot(place)
        axes.set_title(f"p of each operation, {kind} cell (mean over the edges)", loc="left", fontsize=8)
        p = dict(zip(found.operations, cell.mean_p.T.tolist(), strict=True))
        _lines(axes, epochs, p)
        _names(axes, epochs[-1], p)
    numbers = (("entropy", "entropy of p (nats)"), ("skips", "skip-connects kept"), ("changes", "edges that changed"))
    for place, (key, label) in zip(lower, numbers, strict=True):
        axes = figure.add_subplot(place)
        axes.set_title(label, loc="left", fontsize=8)
        lines = [{"label": f"{kind} cell", "epochs": epochs, key: _range([getattr(cell, key)])} for kind, cell in kinds]
        _numbers(axes, lines, key)
        axes.legend(fontsize=7, handlelength=3.2)
    return figure


def read_trajectory(run: Run) -> Trajectory:
    """The trajectory of a finished search. Raises a DropnasError if it is none, or is damaged."""
    history = HistoryFile.read(require_stage(run, "search").folder)
    return trajectory(history.operations, history.epochs)


def _method(series: Drawn) -> dict[str, Any]:
    """Mean and range of one method's searches over the epochs."""
    found = [read_trajectory(run) for run in series.runs]
    if len({tuple(one.operations) for one in found}) > 1:
        raise DropnasError("its searches differ in operations", where=f"trajectories, {series.label}")
    changes = [DataFrame([one.normal.changes, one.reduce.changes], dtype=float).sum(skipna=False) for one in found]
    return {
        "name": series.name,
        "label": series.label,
        "epochs": list(range(max(len(one.normal.entropy) for one in found))),
        "p_normal": _mean_p(found, "normal"),
        "p_reduce": _mean_p(found, "reduce"),
        "entropy_normal": _range([one.normal.entropy for one in found]),
        "entropy_reduce": _range([one.reduce.entropy for one in found]),
        "skips_normal": _range([one.normal.skips for one in found]),
        "skips_reduce": _range([one.reduce.skips for one in found]),
        "changes": _range(changes),
        "runs": series.run_names,
    }


def _mean_p(trajectories: Sequence[Trajectory], kind: str) -> dict[str, list[float]]:
    """p of each operation, mean over edges and searches, by epoch."""
    tables = [DataFrame(getattr(one, kind).mean_p, columns=one.operations) for one in trajectories]
    return {str(name): values.tolist() for name, values in concat(tables).groupby(level=0).mean().items()}


def _range(values: Sequence[Iterable[float | None]]) -> dict[str, list[float | None]]:
    """Mean, lowest and highest of several searches, by epoch; None where none of them has a value."""
    table = concat([Series(list(one), dtype=float) for one in values], axis=1)
    found = {"mean": table.mean(axis=1), "low": table.min(axis=1), "high": table.max(axis=1)}
    return {name: [None if isnan(value) else value for value in column.tolist()] for name, column in found.items()}


def _lines(axes: Axes, epochs: Sequence[int], p: Mapping[str, Sequence[float]]) -> None:
    """A line for each operation; the first four, O_p in the paper's space, are thinner than the others."""
    for index, line in enumerate(p.values()):
        colour, width = COLOURS[index % len(COLOURS)], THIN if index < GROUP else THICK
        axes.plot(epochs, line, color=colour, ls=LINES[index % GROUP], lw=width)
        axes.plot(epochs[-1], line[-1], marker=MARKERS[index % len(MARKERS)], ms=3.5, color=colour, clip_on=False)
    _frame(axes, epochs)


def _names(axes: Axes, last: int, p: Mapping[str, Sequence[float]]) -> None:
    """The operations' names at the ends of their lines."""
    for place, (name, line) in zip(apart(axes, [line[-1] for line in p.values()]), p.items(), strict=True):
        axes.annotate(
            short(name),
            (last, line[-1]),
            (1.04, place),
            textcoords=axes.transAxes,
            fontsize=6.5,
            va="center",
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "lw": 0.4, "color": GREY, "shrinkA": 0, "shrinkB": 3, "relpos": (0, 0.5)},
        )


def apart(axes: Axes, ends: Sequence[float]) -> list[float]:
    """Heights for the names of lines that end there, in parts of the axes' height, none on another."""
    from scipy.optimize import isotonic_regression  # takes half a second, and most figures do without

    low, high = axes.get_ylim()
    wanted = (np.array(ends) - low) / (high - low)
    order = wanted.argsort(kind="stable")
    step = min(LINE_HEIGHT, 1 / max(len(ends) - 1, 1))
    steps = step * np.arange(len(ends))
    # the nearest heights, by least squares, that are a step apart
    placed = isotonic_regression(wanted[order] - steps).x.clip(0, 1 - steps[-1]) + steps
    return [float(height) for height in placed[order.argsort()]]


def _numbers(axes: Axes, methods: Sequence[Mapping[str, Any]], key: str) -> None:
    """A line for each method, and the range of its searches."""
    for index, method in enumerate(methods):
        values, colour = method[key], COLOURS[index % len(COLOURS)]
        mean, low, high = (np.array(values[name], dtype=float) for name in ("mean", "low", "high"))
        axes.fill_between(method["epochs"], low, high, color=colour, alpha=0.15, lw=0)
        axes.plot(method["epochs"], mean, color=colour, ls=LINES[index % len(LINES)], label=method["label"])
    _frame(axes, max((method["epochs"] for method in methods), key=len))
    if not key.startswith("entropy"):
        _whole(axes)


def _frame(axes: Axes, epochs: Sequence[int]) -> None:
    axes.set_xlabel("epoch", color=INK)
    axes.set_xlim(epochs[0], max(epochs[-1], 1))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))


def _whole(axes: Axes) -> None:
    """Ticks at whole numbers only: what is counted has no others."""
    axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=6, min_n_ticks=2))
    axes.set_ylim(bottom=0)


def _facts(content: Panels) -> Facts:
    for panel, methods in content.items():
        for one in methods:
            first, last = one["entropy_normal"]["mean"][0], one["entropy_normal"]["mean"][-1]
            skips, changes = one["skips_normal"]["mean"][-1], sum(filter(None, one["changes"]["mean"]))
            yield panel, one["label"], *map(number, (first, last, skips, changes))


HEAD = ("Data", "Method", "Entropy at start", "Entropy at end", "Skip-connects at end", "Changes")
TRAJECTORIES = Drawing(panels, draw, HEAD, _facts)
