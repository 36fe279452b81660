"""Figure 2: accuracy against the drop path rate r, and at the p_d of one-level DARTS, ProxylessNAS and SNAS.

Design choices: each point is the best test accuracy of any epoch, averaged over the trainings as in the paper. Its
error bar is the sample standard deviation. The accuracy of the final epoch is drawn in grey. The rates are equally
spaced on the axis: a logarithmic axis would look almost the same, but could not show p_d = 0. The three p_d of other
methods are to the right of the curve. The paper does not print its curve as numbers, but some of the points are in
Tables 4 and 5. These points are drawn too.
"""

from collections.abc import Mapping, Sequence
from math import nan
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dropnas.analysis.comparison import printed_sample
from dropnas.analysis.drop_rates import RATES_OF_METHODS, effective, of_rate
from dropnas.analysis.finished_runs import read_training
from dropnas.analysis.summary import summarise
from dropnas.report.figures.drawing import Drawing, DrawnSeries, Facts, Panels, by_panel
from dropnas.report.figures.sheet import COLOURS, GREY, LETTERS
from dropnas.report.printed import printed_cell

NAMES = {"one-level-darts": "one-level DARTS", "drop-rate-0.75": "as ProxylessNAS", "drop-rate-0.875": "as SNAS"}
RATES_WIDTH, RATES_HEIGHT = 9.6, 3.8  # inches; a single panel is half as wide
PRINTED_POINTS = {  # points of the curves that the paper prints in a table: its name, row and column
    "one-level-darts": ("table4", "{}/original", "one-level-darts"),
    "3e-05": ("table4", "{}/original", "dropnas"),
    "1e-05": ("table5", "1e-5", "1e-5"),  # equal rates, on CIFAR-10
    "0.0001": ("table5", "1e-4", "1e-4"),
}
POINT_STYLES: dict[str, dict[str, Any]] = {  # from left to right
    "paper": {"label": "the paper", "marker": "D", "ls": "", "color": COLOURS[1], "ms": 4},
    "best": {"label": "ours, best on test", "marker": "o", "color": COLOURS[0], "ms": 5, "zorder": 3},
    "final": {"label": "ours, final epoch", "marker": "s", "ls": "--", "color": GREY, "mfc": "white", "ms": 4},
}
POINT_OFFSET = 0.15  # distance between two kinds of points at the same rate; neighbouring rates are 1 apart


def panels(series: Sequence[DrawnSeries]) -> dict[str, Any]:
    """The content of the panels, by data set: errors in percent for each rate and method; see `figure.json`."""
    return {panel: [_point(one) for one in ones] for panel, ones in by_panel(series).items()}


def draw(content: Mapping[str, Any], titles: Mapping[str, str]) -> Figure:
    """Draw the data sets side by side, each with the curve and, to its right, the three p_d of other methods."""
    figure = Figure(figsize=(RATES_WIDTH * (1 if len(content) > 1 else 0.55), RATES_HEIGHT))
    grid = figure.subplots(1, len(content), squeeze=False)[0]
    for axes, letter, (role, points) in zip(grid, LETTERS, content.items(), strict=False):
        axes.set_title(f"({letter}) {titles[role]}", loc="left")
        axes.set_xlabel("drop path rate r, and methods with another p$_d$")
        axes.set_ylabel("test accuracy (%)")
        _axis(axes, points)
        for shift, kind in zip((-POINT_OFFSET, 0, POINT_OFFSET), POINT_STYLES, strict=True):
            _marks(axes, points, kind, shift)
    legend = {label: handle for axes in grid for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(legend.values(), legend, loc="outside upper center", ncols=len(POINT_STYLES), fontsize=7)
    return figure


def _point(series: DrawnSeries) -> dict[str, Any]:
    errors = [read_training(run).top1 for run in series.runs]
    return {
        "name": series.name,
        "label": series.label,
        "rate": _rate(series.name),
        "best": [error.best for error in errors],
        "final": [error.final for error in errors],
        "paper": _printed(series.panel, series.name) if series.reproduction else None,
        "runs": series.run_names,
    }


def _printed(role: str, name: str) -> dict[str, float] | None:
    """Mean and sample standard deviation of the error that the paper prints for a series; None if it prints none."""
    table, row, column = PRINTED_POINTS.get(name, ("", "", ""))
    if not table or (table == "table5" and role != "cifar10"):
        return None
    cell = printed_cell(table, row.format(role), column)
    assert cell.mean is not None and cell.std is not None  # these cells have both
    known = printed_sample(cell.mean, cell.std, 8)
    return {"mean": known.mean, "std": known.std}


def _rate(name: str) -> float | None:
    """The drop path rate in a series' name; None for a method."""
    try:
        return float(name)
    except ValueError:
        return None


def _axis(axes: Axes, points: Sequence[Mapping[str, Any]]) -> None:
    """Set the ticks: rates and methods below, and p_d above."""
    rates = sum(point["rate"] is not None for point in points)
    above = axes.secondary_xaxis("top")
    above.set_xticks(range(len(points)), [_p_d(point) for point in points], fontsize=6.5, color=GREY)
    above.set_xlabel("p$_d$ (effective)", fontsize=6.5, color=GREY)
    names = [np.format_float_scientific(one["rate"], trim="-", exp_digits=1) for one in points[:rates]]
    axes.set_xticks(range(len(points)), [*names, *(NAMES.get(one["name"], one["label"]) for one in points[rates:])])
    for label in axes.get_xticklabels()[rates:]:
        label.set(rotation=30, ha="right", fontsize=7)
    axes.axvline(rates - 0.5, color=GREY, lw=0.6, ls=":")


def _p_d(point: Mapping[str, Any]) -> str:
    """The nominal p_d and, for a method without a rate, a second line with the effective p_d after resampling."""
    if point["rate"] is not None:
        return f"{of_rate(point['rate']):.3f}"
    p_d = RATES_OF_METHODS.get(point["name"], 0.0)
    return f"{p_d:g}\n({effective(p_d):.2f})" if p_d else "0\n"


def _marks(axes: Axes, points: Sequence[Mapping[str, Any]], kind: str, shift: float) -> None:
    """Draw the mean and deviation of one kind of accuracy; a line joins the rates, but not the other methods."""
    moments = np.array([_moments(point[kind]) for point in points])
    methods = np.array([point["rate"] is None for point in points])
    at, style = np.arange(len(points)) + shift, {**POINT_STYLES[kind], "lw": 0.9, "capsize": 2.5}
    if np.isfinite(moments).any():
        axes.errorbar(at[~methods], *moments[~methods].T, **style)
        axes.errorbar(at[methods], *moments[methods].T, **{**style, "ls": "", "label": ""})


def _moments(errors: Any) -> tuple[float, float]:
    """Mean and sample standard deviation of the accuracy, from our errors or the paper's; NaN if there are none."""
    if not errors:
        return nan, nan
    if isinstance(errors, Mapping):
        return 100 - errors["mean"], errors["std"]
    found = summarise(errors)
    return 100 - found.mean, found.std or 0.0


def _facts(content: Panels) -> Facts:
    for panel, points in content.items():
        for one in points:
            accuracies = [f"{_moments(one[key])[0]:.2f}" if one.get(key) else "" for key in ("best", "final", "paper")]
            yield panel, one["label"], *accuracies, f"{len(one['best'])}"


RATE_COLUMNS = (
    "Data",
    "Drop path rate",
    "Accuracy, best on test (%)",
    "Accuracy, final epoch (%)",
    "The paper's (%)",
    "n",
)
RATE_CURVES = Drawing(panels, draw, RATE_COLUMNS, _facts)
