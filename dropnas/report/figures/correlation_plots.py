"""Figure 5: p of each operation on an edge against the accuracy of the network with that operation alone on it.

Design choices: axes as in the paper, whose "predicted alpha" is p; the accuracy is the best on test, as there. Both
coefficients stand in the picture with their 95 % intervals, since seven points leave these wide.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dropnas.analysis.finished_runs import require_stage
from dropnas.artifacts.correlation_file import CorrelationFile
from dropnas.report.figures.drawing import Drawing, Facts, Panels, number
from dropnas.report.figures.labels import label_points, shorter
from dropnas.report.figures.series import Drawn
from dropnas.report.figures.sheet import COLOURS, GREY, LETTERS, grid, sheet
from dropnas.space.names import PARAMETERISED

WIDTH, HEIGHT = 4.2, 5.2  # inches; the width is that of one panel
NOT_THERE = "the edge is not in the best cell;\nit takes the place of its node's weaker one"


def panels(series: Sequence[Drawn]) -> dict[str, Any]:
    """What is drawn, by edge: the content of correlation.json; see `figure.json`."""
    return {one.panel: _panel(one) for one in series}


def draw(content: Mapping[str, Any], titles: Mapping[str, str]) -> Figure:
    """The edges side by side."""
    figure = sheet(WIDTH * len(content), HEIGHT)
    places = grid(figure, 1, len(content), top=0.4, below=1.25, wspace=0.28)
    for place, letter, panel in zip(places, LETTERS, content.values(), strict=False):
        axes = figure.add_subplot(place)
        predecessor, node = panel["edge"]
        axes.set_title(f"({letter}) on edge E({predecessor},{node})")
        axes.set_xlabel("accuracy of the stand-alone model, best on test (%)")
        axes.set_ylabel("p of the operation in the search")
        _scatter(axes, panel["operations"], panel["pearson"]["value"] is not None)
        axes.text(0.5, -0.24, _sentences(panel), transform=axes.transAxes, ha="center", va="top")
    return figure


def _panel(series: Drawn) -> dict[str, Any]:
    run = require_stage(series.runs[0], "correlation")
    return {**CorrelationFile.read(run.folder).values(), "run": run.name}


def _scatter(axes: Axes, operations: Sequence[Mapping[str, Any]], sloped: bool) -> None:
    points = [(one["accuracy_best"], one["p"]) for one in operations]
    x = [point[0] for point in points]
    if sloped:
        from scipy.stats import linregress  # takes a second, and most figures do without

        line = linregress(x, [one["p"] for one in operations])
        ends = [min(x), max(x)]
        axes.plot(ends, [line.intercept + line.slope * end for end in ends], color=GREY, lw=0.8, ls="--", zorder=1)
    for one, point in zip(operations, points, strict=True):
        face = COLOURS[0] if one["operation"] in PARAMETERISED else "white"
        axes.plot(*point, "o", ms=6, mfc=face, mec=COLOURS[0], mew=1.2, zorder=2)
    axes.ticklabel_format(useOffset=False)
    axes.margins(0.18)
    label_points(axes, points, [shorter(one["operation"]) for one in operations])


def _sentences(panel: Mapping[str, Any]) -> str:
    lines = [_coefficient(name, panel[name.lower()]) for name in ("Pearson", "Spearman")]
    return "\n".join(
        [*lines, f"n = {panel['n']}, intervals of 95 %", *([] if panel["edge_was_there"] else [NOT_THERE])]
    )


def _coefficient(name: str, found: Mapping[str, float | None]) -> str:
    if found["value"] is None:
        return f"{name}: undefined, since one of the two does not vary"
    return f"{name} {found['value']:.3f} [{found['low']:.3f}, {found['high']:.3f}]"


def _facts(content: Panels) -> Facts:
    for panel, shown in content.items():
        edge = f"({panel.replace(',', ', ')})"
        for one in shown["operations"]:
            yield edge, one["operation"], number(one["p"]), number(one["accuracy_best"])
        for kind in ("pearson", "spearman"):
            one = shown[kind]
            between = f"95 % interval {number(one['low'])} to {number(one['high'])}"
            yield edge, kind.capitalize(), number(one["value"]), between


CORRELATIONS = Drawing(panels, draw, ("Edge", "Operation", "p", "Stand-alone accuracy (%)"), _facts)
