"""Figure 2: accuracy against the drop path rate r, and beside it at the p_d of one-level DARTS, ProxylessNAS and SNAS.

Design choices: the accuracy is the best on test, as in the paper, with the sample deviation over the trainings; that of
the final epoch is drawn fainter. These three have a section of their own, since p_d = 0 has no place on a
logarithmic axis. The paper's own curve is not drawn: its values are printed nowhere.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dropnas.analysis.finished_runs import read_training
from dropnas.analysis.summary import mean, sample_deviation
from dropnas.report.figures.drawing import Drawing, Facts, Panels
from dropnas.report.figures.series import Drawn, by_panel
from dropnas.report.figures.sheet import COLOURS, GREY, LETTERS, grid, sheet

OF_PRESET = {"one-level-darts": "0", "drop-rate-0.75": "0.75", "drop-rate-0.875": "0.875"}  # p_d, Section 2.3
GROUP = 4  # |O_p| = |O_np|: p_d = r^(1/4)
WIDTH, HEIGHT = 9.6, 4.35  # inches; of one panel half as wide
KINDS = (("best", "best on test", "o-", COLOURS[0], 1.0), ("final", "final epoch", "s--", GREY, 0.8))


def panels(series: Sequence[Drawn]) -> dict[str, Any]:
    """What is drawn, by data set: errors in percent for each rate and method; see `figure.json`."""
    return {panel: [_point(one) for one in ones] for panel, ones in by_panel(series).items()}


def draw(content: Mapping[str, Any], titles: Mapping[str, str]) -> Figure:
    """The data sets side by side; in each the curve, and right of it the three p_d of other methods."""
    figure = sheet(WIDTH * (1 if len(content) > 1 else 0.55), HEIGHT)
    places = grid(figure, 1, len(content), top=0.7, below=0.6, wspace=0.2)
    for place, letter, (role, points) in zip(places, LETTERS, content.items(), strict=False):
        swept = [point for point in points if point["rate"] is not None]
        others = [point for point in points if point["rate"] is None]
        parts = place.subgridspec(1, 2, width_ratios=(3, 1.25), wspace=0.05)
        curve = figure.add_subplot(parts[0])
        curve.set_title(f"({letter}) {titles[role]}", loc="left", pad=14)
        _curve(curve, swept)
        _methods(figure.add_subplot(parts[1], sharey=curve), others)
        curve.set_ylabel("test accuracy (%)")
        curve.legend(loc="best", fontsize=7)
    return figure


def _point(series: Drawn) -> dict[str, Any]:
    errors = [read_training(run).top1 for run in series.runs]
    return {
        "name": series.name,
        "label": series.label,
        "rate": _rate(series.name),
        "best": [error.best for error in errors],
        "final": [error.final for error in errors],
        "runs": series.run_names,
    }


def _rate(name: str) -> float | None:
    """The drop path rate that a series is called by; None of a method."""
    try:
        return float(name)
    except ValueError:
        return None


def _curve(axes: Axes, points: Sequence[Mapping[str, Any]]) -> None:
    rates = [point["rate"] for point in points]
    if not points or min(rates) <= 0:
        axes.set_xticks([])
        return
    _marks(axes, [math.log10(rate) for rate in rates], points, joined=True)
    places = [math.log10(rate) for rate in rates]
    axes.set_xticks(places, [_power(rate) for rate in rates], fontsize=7)
    axes.set_xlabel("drop path rate r (logarithmic)")
    _above(axes, places, [f"{rate ** (1 / GROUP):.3f}" for rate in rates])
    axes.margins(x=0.07)


def _methods(axes: Axes, points: Sequence[Mapping[str, Any]]) -> None:
    """A section with no scale: a place for each method, cut off from the curve."""
    _marks(axes, range(len(points)), points, joined=False)
    axes.set_xticks(range(len(points)), [point["label"] for point in points], fontsize=7, rotation=35, ha="right")
    _above(axes, range(len(points)), [OF_PRESET.get(point["name"], "") for point in points])
    axes.set_xlim(-0.6, len(points) - 0.4)
    axes.tick_params(axis="y", left=False, labelleft=False)
    axes.spines["left"].set_linestyle((0, (2, 3)))


def _above(axes: Axes, places: Sequence[float], texts: Sequence[str]) -> None:
    """p_d above the axes."""
    above = axes.secondary_xaxis("top")
    above.set_xticks(
        places, ["p$_d$ = " * (index == 0) + text for index, text in enumerate(texts)], fontsize=6.5, color=GREY
    )
    above.tick_params(length=2, color=GREY)


def _power(rate: float) -> str:
    """1e-4, not 0.0001."""
    digits, exponent = f"{rate:e}".split("e")
    return f"{float(digits):g}e{int(exponent)}"


def _marks(axes: Axes, places: Sequence[float], points: Sequence[Mapping[str, Any]], joined: bool) -> None:
    """Mean and deviation of both accuracies; the final epoch's a little to the right."""
    width = (0.02 if joined else 0.08) * (max(places, default=0) - min(places, default=0) or 1)
    for order, (key, label, form, colour, line) in enumerate(KINDS):
        accuracies = [[100 - error for error in point[key]] for point in points]
        spread = [sample_deviation(values) if len(values) > 1 else 0.0 for values in accuracies]
        axes.errorbar(
            [place + order * width for place in places],
            [mean(values) for values in accuracies],
            spread,
            fmt=form if joined else form[0],
            color=colour,
            mfc=colour if order == 0 else "white",
            ms=5 if order == 0 else 4,
            lw=line,
            capsize=2.5,
            zorder=3 - order,
            label=label,
        )


def _facts(content: Panels) -> Facts:
    for panel, points in content.items():
        for one in points:
            yield panel, one["label"], f"{mean(one['best']):.2f}", f"{mean(one['final']):.2f}", f"{len(one['best'])}"


HEAD = ("Data", "Drop path rate", "Error, best on test (%)", "Error, final epoch (%)", "n")
RATES = Drawing(panels, draw, HEAD, _facts)
