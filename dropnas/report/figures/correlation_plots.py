"""Figure 5: the weight of each operation on an edge against the accuracy of a network with this operation on the edge.

Design choices: the axes are those of the paper. What the paper calls "predicted alpha" is p of Eq. 1. It is called
weight here, because p-values appear too. The accuracy is the best test accuracy of any epoch, as in the paper. The
figure shows the paper's coefficient, and Pearson's and Spearman's coefficients of our runs with their 95 % intervals,
which are wide for seven points.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dropnas.analysis.finished_runs import require_stage
from dropnas.artifacts.correlation_file import CorrelationFile
from dropnas.report.figures.drawing import Drawing, DrawnSeries, Facts, Panels, number
from dropnas.report.figures.labels import label_points, shorter
from dropnas.report.figures.sheet import COLOURS, GREY, LETTERS, settle
from dropnas.report.printed import PRINTED_CORRELATIONS
from dropnas.space.names import PARAMETERISED

PANEL_WIDTH, CORRELATIONS_HEIGHT = 4.2, 4.6  # inches; the width is that of one panel
NOT_THERE = "\nthe edge is not in the best cell;\nit takes the place of its node's weaker one"


def panels(series: Sequence[DrawnSeries]) -> dict[str, Any]:
    """For each edge, return the content of correlation.json and the name of the run."""
    content = {}
    for one in series:
        run = require_stage(one.runs[0], "correlation")
        content[one.panel] = {**CorrelationFile.read(run.folder).values(), "run": run.name}
    return content


def draw(content: Mapping[str, Any], titles: Mapping[str, str]) -> Figure:
    """Draw the edges side by side."""
    figure = Figure(figsize=(PANEL_WIDTH * len(content), CORRELATIONS_HEIGHT))
    grid = figure.subplots(1, len(content), squeeze=False)[0]
    for axes, letter, (edge, panel) in zip(grid, LETTERS, content.items(), strict=False):
        axes.set_title(f"({letter}) on edge E({edge})")
        axes.set_xlabel(f"accuracy of the stand-alone model, best on test (%)\n\n{_sentences(edge, panel)}")
        axes.set_ylabel("weight of the operation in the search (Eq. 1)")
        _scatter(axes, panel)
    settle(figure)
    for axes, panel in zip(grid, content.values(), strict=True):
        points = [(one["accuracy_best"], one["p"]) for one in panel["operations"]]
        label_points(axes, points, [shorter(one["operation"]) for one in panel["operations"]])
    return figure


def _scatter(axes: Axes, panel: Mapping[str, Any]) -> None:
    """Draw the points, filled for parameterised operations, and a least-squares line if the correlation is defined."""
    x, y = np.array([(one["accuracy_best"], one["p"]) for one in panel["operations"]]).T
    filled = np.array([one["operation"] in PARAMETERISED for one in panel["operations"]])
    for own, face in ((filled, COLOURS[0]), (~filled, "white")):
        axes.plot(x[own], y[own], "o", ms=6, mfc=face, mec=COLOURS[0], mew=1.2, zorder=2)
    if panel["pearson"]["value"] is not None:
        ends = np.array([x.min(), x.max()])
        axes.plot(ends, np.polynomial.Polynomial.fit(x, y, 1)(ends), color=GREY, lw=0.8, ls="--", zorder=1)
    axes.ticklabel_format(useOffset=False)
    axes.locator_params(axis="x", nbins=5)
    axes.margins(0.18)


def _sentences(edge: str, panel: Mapping[str, Any]) -> str:
    paper = f"\nthe paper's coefficient: {PRINTED_CORRELATIONS[edge][0]:.3f}" if edge in PRINTED_CORRELATIONS else ""
    there = "" if panel["edge_was_there"] else NOT_THERE
    coefficients = "\n".join(_coefficient(name, panel[name.lower()]) for name in ("Pearson", "Spearman"))
    return f"{coefficients}\nn = {panel['n']}, intervals of 95 %{paper}{there}"


def _coefficient(name: str, found: Mapping[str, float | None]) -> str:
    if found["value"] is None:
        return f"{name}: undefined, since one of the two does not vary"
    between = "no interval" if found["low"] is None else f"{found['low']:.3f} to {found['high']:.3f}"
    return f"{name} {found['value']:.3f} ({between})"


def _facts(content: Panels) -> Facts:
    for panel, shown in content.items():
        edge = f"({panel.replace(',', ', ')})"
        for one in shown["operations"]:
            yield edge, one["operation"], number(one["p"]), number(one["accuracy_best"])
        for kind in ("pearson", "spearman"):
            one = shown[kind]
            between = f"95 % interval {number(one['low'])} to {number(one['high'])}"
            yield edge, kind.capitalize(), number(one["value"]), "no interval" if one["low"] is None else between
        if panel in PRINTED_CORRELATIONS:
            yield edge, "the paper's coefficient", number(PRINTED_CORRELATIONS[panel][0]), ""


CORRELATIONS = Drawing(panels, draw, ("Edge", "Operation", "Weight in the search", "Stand-alone accuracy (%)"), _facts)
