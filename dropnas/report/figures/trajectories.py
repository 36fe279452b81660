"""The trajectories of the searches, which the paper lacks: weights of the operations, entropy, skip-connects, changes.

Design choices: "weight" is p of Eq. 1, because p-values are nearby. For each data set, the weights have one panel for
each method, with the names of the operations at the ends of their lines. Quantities with one number per epoch share a
panel for all methods, which are distinguished by line style. A line is the mean over the seeds and its band their
range; if seeds stop early, both are over the seeds that reached the epoch. figure.json has the mean and the range, not
the lines of single seeds.
"""

from collections.abc import Iterable, Mapping, Sequence
from math import isnan
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
from dropnas.report.figures.sheet import COLOURS, GREY, INK, LETTERS, sheet

LINES = ("-", "--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)))
MARKERS = "osD^v<>P"
LINE_HEIGHT = 0.075  # height of a name, relative to its panel
GROUP = 4  # |O_p|
THIN, THICK = 1.1, 1.7
WIDTH, ROW = 9.6, 2.6  # inches; a row of panels
ABREAST = 4  # panels in a row
NUMBERS = (
    ("entropy_normal", "entropy of the weights, normal cell (nats)"),
    ("entropy_reduce", "entropy of the weights, reduction cell (nats)"),
    ("skips_normal", "skip-connects kept, normal cell"),
    ("changes", "edges of the genotype that changed"),
)


def panels(series: Sequence[Drawn]) -> dict[str, Any]:
    """The content of the panels, by data set and method; see `figure.json`."""
    return {panel: [_method(one) for one in ones] for panel, ones in by_panel(series).items()}


def draw(content: Mapping[str, Any], titles: Mapping[str, str]) -> Figure:
    """For each data set, draw rows with the weights of each method, then the other quantities."""
    rows = {role: -(-len(methods) // ABREAST) for role, methods in content.items()}
    figure = sheet(WIDTH, ROW * (sum(rows.values()) + len(rows)))
    parts = figure.subfigures(len(content), 1, squeeze=False, height_ratios=[count + 1 for count in rows.values()])
    letters = iter(LETTERS)
    for part, (role, methods) in zip(parts[:, 0], content.items(), strict=True):
        upper, lower = part.subfigures(2, 1, height_ratios=(rows[role], 1), squeeze=False)[:, 0]
        _weights(
            upper,
            "weight in the normal cell",
            [(f"({next(letters)}) {titles[role]}\n{one['label']}", one["epochs"], one["p_normal"]) for one in methods],
        )
        for axes, (key, label) in zip(lower.subplots(1, len(NUMBERS)), NUMBERS, strict=True):
            axes.set_title(f"({next(letters)}) {label}", loc="left", fontsize=6.5)
            _numbers(axes, methods, key)
    _legend(figure)
    return figure


def _weights(part: Any, label: str, panels: Sequence[tuple[str, Sequence[int], Mapping[str, Sequence[float]]]]) -> None:
    """Draw a panel for each method or cell, all with one scale; names are written last, when the scale is known."""
    columns = min(max(len(panels), 2), ABREAST)
    grid = list(part.subplots(-(-len(panels) // columns), columns, sharey=True, squeeze=False).flat)
    for index, (axes, (title, epochs, p)) in enumerate(zip(grid, panels, strict=False)):
        axes.set_title(title, loc="left", fontsize=8)
        if index % columns == 0:
            axes.set_ylabel(label, fontsize=7)
        _lines(axes, epochs, p)
    for axes, (_, epochs, p) in zip(grid, panels, strict=False):
        _names(axes, epochs[-1], p)
    for axes in grid[len(panels) :]:
        axes.remove()


def _legend(figure: Figure) -> None:
    """Draw the legend of the methods, from the last panel."""
    handles, labels = figure.axes[-1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=5, handlelength=3.2)


def draw_search(folder_name: str, found: Trajectory) -> Figure:
    """Draw a single search: the weights and the other quantities of both kinds of cell."""
    figure = sheet(WIDTH, 2 * ROW)
    figure.suptitle(folder_name, x=0.01, ha="left", fontsize=9)
    upper, lower = figure.subfigures(2, 1, squeeze=False)[:, 0]
    epochs = list(range(len(found.normal.entropy)))
    kinds = {"normal cell": found.normal, "reduction cell": found.reduce}
    _weights(
        upper,
        "weight",
        [
            (f"mean over the edges, {kind}", epochs, dict(zip(found.operations, cell.mean_p.T.tolist(), strict=True)))
            for kind, cell in kinds.items()
        ],
    )
    numbers = (
        ("entropy", "entropy of the weights (nats)"),
        ("skips", "skip-connects kept"),
        ("changes", "edges that changed"),
    )
    for axes, (key, label) in zip(lower.subplots(1, len(numbers)), numbers, strict=True):
        axes.set_title(label, loc="left", fontsize=8)
        _numbers(
            axes,
            [{"label": kind, "epochs": epochs, key: _range([getattr(cell, key)])} for kind, cell in kinds.items()],
            key,
        )
    _legend(figure)
    return figure


def read_trajectory(run: Run) -> Trajectory:
    """The trajectory of a finished search. Raises a DropnasError if the run is not a search or is damaged."""
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
    """The mean p of each operation over edges and searches, by epoch."""
    tables = [DataFrame(getattr(one, kind).mean_p, columns=one.operations) for one in trajectories]
    return {str(name): values.tolist() for name, values in concat(tables).groupby(level=0).mean().items()}


def _range(values: Sequence[Iterable[float | None]]) -> dict[str, list[float | None]]:
    """Mean, lowest and highest of several searches, by epoch; None if no search has a value."""
    table = concat([Series(list(one), dtype=float) for one in values], axis=1)
    found = {"mean": table.mean(axis=1), "low": table.min(axis=1), "high": table.max(axis=1)}
    return {name: [None if isnan(value) else value for value in column.tolist()] for name, column in found.items()}


def _lines(axes: Axes, epochs: Sequence[int], p: Mapping[str, Sequence[float]]) -> None:
    """Draw a line for each operation; the first four, O_p in the paper's space, are thinner than the others."""
    for index, line in enumerate(p.values()):
        colour, width = COLOURS[index % len(COLOURS)], THIN if index < GROUP else THICK
        axes.plot(epochs, line, color=colour, ls=LINES[index % GROUP], lw=width)
        axes.plot(epochs[-1], line[-1], marker=MARKERS[index % len(MARKERS)], ms=3.5, color=colour, clip_on=False)
    _frame(axes, epochs)


def _names(axes: Axes, last: int, p: Mapping[str, Sequence[float]]) -> None:
    """Write the operations' names at the ends of their lines."""
    for height, (name, line) in zip(apart(axes, [line[-1] for line in p.values()]), p.items(), strict=True):
        axes.annotate(
            short(name),
            (last, line[-1]),
            (1.04, height),
            textcoords=axes.transAxes,
            fontsize=6.5,
            va="center",
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "lw": 0.4, "color": GREY, "shrinkA": 0, "shrinkB": 3, "relpos": (0, 0.5)},
        )


def apart(axes: Axes, ends: Sequence[float]) -> list[float]:
    """Heights for the names at the ends of lines, relative to the height of the axes, without overlap."""
    from scipy.optimize import isotonic_regression  # the import takes half a second, and most figures do not need it

    low, high = axes.get_ylim()
    wanted = (np.array(ends) - low) / (high - low)
    order = wanted.argsort(kind="stable")
    step = min(LINE_HEIGHT, 1 / max(len(ends) - 1, 1))
    steps = step * np.arange(len(ends))
    # the closest heights, by least squares, that are at least a step apart
    placed = isotonic_regression(wanted[order] - steps).x.clip(0, 1 - steps[-1]) + steps
    return [float(height) for height in placed[order.argsort()]]


def _numbers(axes: Axes, methods: Sequence[Mapping[str, Any]], key: str) -> None:
    """Draw a line for each method, with the range of its searches."""
    for index, method in enumerate(methods):
        values, colour = method[key], COLOURS[index % len(COLOURS)]
        mean, low, high = (np.array(values[name], dtype=float) for name in ("mean", "low", "high"))
        opacity = 0.15 if len(methods) <= ABREAST else 0.05
        axes.fill_between(method["epochs"], low, high, color=colour, alpha=opacity, lw=0)
        axes.plot(method["epochs"], mean, color=colour, ls=LINES[index % len(LINES)], label=method["label"])
    _frame(axes, max((method["epochs"] for method in methods), key=len))
    if not key.startswith("entropy"):
        _whole(axes)


def _frame(axes: Axes, epochs: Sequence[int]) -> None:
    axes.set_xlabel("epoch", color=INK)
    axes.set_xlim(epochs[0], max(epochs[-1], 1))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))


def _whole(axes: Axes) -> None:
    """Set ticks at whole numbers only, because the values are counts; keep a line at zero clear of the axis."""
    top = max(axes.get_ylim()[1], 1.0)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=6, min_n_ticks=2))
    axes.set_ylim(-0.05 * top, top)


def _facts(content: Panels) -> Facts:
    for panel, methods in content.items():
        for one in methods:
            first, last = one["entropy_normal"]["mean"][0], one["entropy_normal"]["mean"][-1]
            skips, changes = one["skips_normal"]["mean"][-1], sum(filter(None, one["changes"]["mean"]))
            yield panel, one["label"], *map(number, (first, last, skips, changes))


HEAD = ("Data", "Method", "Entropy at start", "Entropy at end", "Skip-connects at end", "Changes")
TRAJECTORIES = Drawing(panels, draw, HEAD, _facts)
