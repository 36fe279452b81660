"""Draws weights, entropy, skip-connects and genotype changes over the epochs of searches; not a figure of the paper.

Design choices: p of Eq. 1 is called "weight", because p-values appear nearby. For each data set, the weights of each
method have their own panel. Its legend lists the operations from top to bottom, in the order of their lines at the last
epoch. Each quantity with one number per epoch has one panel for all methods, which are distinguished by line style. A
line is the mean over the seeds, and its band is the range. If some seeds stop early, both are computed over the seeds
that reached the epoch. figure.json contains the mean and the range, but not the individual seeds.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import isnan
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from pandas import DataFrame, Series, concat

from dropnas.analysis.finished_runs import FinishedRun, require_stage
from dropnas.analysis.trajectory import CELL_KINDS, Trajectory, trajectory
from dropnas.artifacts.search_files import HistoryFile
from dropnas.errors import DropnasError
from dropnas.report.figures.drawing import Drawing, DrawnSeries, Facts, Panels, by_panel, number
from dropnas.report.figures.labels import short
from dropnas.report.figures.sheet import COLOURS, LETTERS
from dropnas.space.names import PAPER_GROUP

LINES = ("-", "--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)))
METHOD_MARKERS = "osD^v<>P"
TRAJECTORIES_WIDTH, TRAJECTORIES_ROW = 9.6, 2.6  # inches; width of the sheet, height of a row of panels
ABREAST = 4  # panels in a row
PANEL_LABELS = {
    "entropy_normal": "entropy of the weights, normal cell (nats)",
    "entropy_reduce": "entropy of the weights, reduction cell (nats)",
    "skips_normal": "skip-connects kept, normal cell",
    "changes": "edges of the genotype that changed",
}
Weights = tuple[str, Mapping[str, Sequence[float]]]  # title of a panel, and the weight of each operation by epoch


def panels(series: Sequence[DrawnSeries]) -> dict[str, Any]:
    """The content of the panels, by data set and method; see `figure.json`."""
    return {panel: [_method(one.name, one.label, one.runs) for one in ones] for panel, ones in by_panel(series).items()}


def draw(content: Mapping[str, Any], titles: Mapping[str, str]) -> Figure:
    """For each data set, draw rows with the weights of each method, then the other quantities."""
    rows = [1 + -(-len(methods) // ABREAST) for methods in content.values()]
    figure, letters = Figure(figsize=(TRAJECTORIES_WIDTH, TRAJECTORIES_ROW * sum(rows))), iter(LETTERS)
    parts = figure.subfigures(len(content), 1, squeeze=False, height_ratios=rows)[:, 0]
    for part, (role, methods) in zip(parts, content.items(), strict=True):
        weights = [(f"{titles[role]}\n{one['label']}, normal cell", one["p_normal"]) for one in methods]
        _part(part, weights, methods, letters)
    return figure


def draw_search(run: FinishedRun) -> Figure:
    """Draw a single search: the weights of both kinds of cell, and the other quantities."""
    figure = Figure(figsize=(TRAJECTORIES_WIDTH, 2 * TRAJECTORIES_ROW))
    method = _method("", run.name, [run])
    weights = [(f"{run.name}\n{kind} cell", method[f"p_{kind}"]) for kind in CELL_KINDS]
    _part(figure, weights, [method], iter(LETTERS))
    return figure


def read_trajectory(run: FinishedRun) -> Trajectory:
    """The trajectory of a finished search. Raises a DropnasError if the run is not a search or is damaged."""
    history = HistoryFile.read(require_stage(run, "search").folder)
    return trajectory(history.operations, history.epochs)


def _part(part: Any, weights: Sequence[Weights], methods: Sequence[Mapping[str, Any]], letters: Iterator[str]) -> None:
    """Draw the panels of a data set; all panels with weights have the same scale."""
    rows, columns = -(-len(weights) // ABREAST), min(max(len(weights), 2), ABREAST)
    upper, lower = part.subfigures(2, 1, height_ratios=(rows, 1))
    grid = upper.subplots(rows, columns, sharey=True, squeeze=False).flat
    for axes, (title, p) in zip(grid, weights, strict=False):
        axes.set_title(f"({next(letters)}) {title}", loc="left", fontsize=8)
        _operations(axes, p)
    for axes in grid[len(weights) :]:
        axes.axis("off")
    grid[0].set_ylabel("weight", fontsize=7)
    for axes, (key, label) in zip(lower.subplots(1, len(PANEL_LABELS)), PANEL_LABELS.items(), strict=True):
        axes.set_title(f"({next(letters)}) {label}", loc="left", fontsize=6.5)
        _numbers(axes, methods, key)
    lower.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=5, handlelength=3.2)


def _method(name: str, label: str, runs: Sequence[FinishedRun]) -> dict[str, Any]:
    """Mean and range of each quantity at each epoch, over the searches of one method; weights have only a mean."""
    found = [read_trajectory(run) for run in runs]
    if len({tuple(one.operations) for one in found}) > 1:
        raise DropnasError("its searches differ in operations", where=f"trajectories, {label}")
    changes = [DataFrame([one.normal.changes, one.reduce.changes], dtype=float).sum(skipna=False) for one in found]
    content: dict[str, Any] = {"name": name, "label": label, "changes": _range(changes)}
    for kind in CELL_KINDS:
        cells = [getattr(one, kind) for one in found]
        weights = concat([DataFrame(cell.mean_p, columns=found[0].operations) for cell in cells])
        content[f"p_{kind}"] = weights.groupby(level=0).mean().to_dict("list")
        content[f"entropy_{kind}"] = _range([cell.entropy for cell in cells])
        content[f"skips_{kind}"] = _range([cell.skips for cell in cells])
    epochs = len(content["entropy_normal"]["mean"])
    return {**content, "epochs": list(range(epochs)), "runs": [run.name for run in runs]}


def _range(values: Sequence[Iterable[float | None]]) -> dict[str, list[float | None]]:
    """The mean, minimum and maximum over several searches at each epoch; None where no search has a value."""
    table = concat([Series(list(one), dtype=float) for one in values], axis=1)
    found = {"mean": table.mean(axis=1), "low": table.min(axis=1), "high": table.max(axis=1)}
    return {name: [None if isnan(value) else value for value in column.tolist()] for name, column in found.items()}


def _operations(axes: Axes, p: Mapping[str, Sequence[float]]) -> None:
    """Draw a line for each operation, with a marker at its end."""
    lines = {}
    for index, (name, line) in enumerate(p.items()):
        form: Any = {
            "ls": LINES[index % PAPER_GROUP],
            "marker": METHOD_MARKERS[index % len(METHOD_MARKERS)],
            "ms": 3.5,
            "markevery": [-1],
        }
        width, colour = 1.1 if index < PAPER_GROUP else 1.7, COLOURS[index % len(COLOURS)]  # thinner for O_p
        (lines[name],) = axes.plot(line, color=colour, lw=width, label=short(name), **form)
    from_above = sorted(p, key=lambda name: p[name][-1], reverse=True)
    handles = [lines[name] for name in from_above]
    axes.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.02, 1), fontsize=6, handlelength=2.5)
    _epochs(axes)


def _numbers(axes: Axes, methods: Sequence[Mapping[str, Any]], key: str) -> None:
    """Draw a line for each method, with the range of its searches."""
    for index, method in enumerate(methods):
        values, colour = DataFrame(method[key], dtype=float), COLOURS[index % len(COLOURS)]
        opacity = 0.15 if len(methods) <= ABREAST else 0.05
        axes.fill_between(values.index, values["low"], values["high"], color=colour, alpha=opacity, lw=0)
        axes.plot(values["mean"], color=colour, ls=LINES[index % PAPER_GROUP], label=method["label"])
    _epochs(axes)
    if not key.startswith("entropy"):  # counts get integer ticks, and some space below zero
        top = max(axes.get_ylim()[1], 1.0)
        axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=6, min_n_ticks=2))
        axes.set_ylim(-0.05 * top, top)


def _epochs(axes: Axes) -> None:
    axes.set_xlabel("epoch")
    axes.margins(x=0.01)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))


def _facts(content: Panels) -> Facts:
    for panel, methods in content.items():
        for one in methods:
            first, last = one["entropy_normal"]["mean"][0], one["entropy_normal"]["mean"][-1]
            skips, changes = one["skips_normal"]["mean"][-1], sum(filter(None, one["changes"]["mean"]))
            yield panel, one["label"], *map(number, (first, last, skips, changes))


TRAJECTORY_COLUMNS = ("Data", "Method", "Entropy at start", "Entropy at end", "Skip-connects at end", "Changes")
TRAJECTORIES = Drawing(panels, draw, TRAJECTORY_COLUMNS, _facts)
