"""Figure 2: accuracy against the drop path rate r, and at the p_d of one-level DARTS, ProxylessNAS and SNAS.

Design choices: the accuracy is the best on test, as in the paper, with the sample deviation over the trainings; the
accuracy of the final epoch is drawn fainter. The three p_d of other methods have a separate axis, because a logarithmic
axis has no p_d = 0. The paper does not print its curve as numbers, but Tables 4 and 5 have some of its points; these
are drawn.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from dropnas.analysis.comparison import printed_sample
from dropnas.analysis.drop_rates import SPECIAL, effective, of_rate
from dropnas.analysis.finished_runs import read_training
from dropnas.analysis.summary import summarise
from dropnas.report.figures.drawing import Drawing, Facts, Panels
from dropnas.report.figures.series import Drawn, by_panel
from dropnas.report.figures.sheet import COLOURS, GREY, LETTERS, sheet
from dropnas.report.printed import printed_cell

NAMES = {"one-level-darts": "one-level DARTS", "drop-rate-0.75": "as ProxylessNAS", "drop-rate-0.875": "as SNAS"}
WIDTH, HEIGHT = 9.6, 3.8  # inches; a single panel is half as wide
KINDS = (  # key, label, marker, colour, line width, shift to the right: as a factor of the rate, in methods
    ("best", "ours, best on test", "o-", COLOURS[0], 1.0, 1.0, 0.0),
    ("final", "ours, final epoch", "s--", GREY, 0.8, 1.12, 0.15),
    ("paper", "the paper", "D", COLOURS[1], 0.8, 0.89, -0.15),
)
PRINTED = {  # cells with printed points of the paper's curves: table, row, column
    "one-level-darts": ("table4", "{}/original", "one-level-darts"),
    "3e-05": ("table4", "{}/original", "dropnas"),
    "1e-05": ("table5", "1e-5", "1e-5"),  # equal rates, on CIFAR-10
    "0.0001": ("table5", "1e-4", "1e-4"),
}


def panels(series: Sequence[Drawn]) -> dict[str, Any]:
    """The content of the panels, by data set: errors in percent for each rate and method; see `figure.json`."""
    return {panel: [_point(one) for one in ones] for panel, ones in by_panel(series).items()}


def draw(content: Mapping[str, Any], titles: Mapping[str, str]) -> Figure:
    """Draw the data sets side by side, each with the curve and, to its right, the three p_d of other methods."""
    figure = sheet(WIDTH * (1 if len(content) > 1 else 0.55), HEIGHT)
    parts = figure.subfigures(1, len(content), squeeze=False, wspace=0.04)[0]
    for part, letter, (role, points) in zip(parts, LETTERS, content.items(), strict=False):
        curve, methods = part.subplots(1, 2, sharey=True, width_ratios=(3, 1.15))
        curve.set_title(f"({letter}) {titles[role]}", loc="left")
        _curve(curve, [point for point in points if point["rate"]])
        _methods(methods, [point for point in points if not point["rate"]])
        curve.set_ylabel("test accuracy (%)")
    handles = {label: handle for axes in figure.axes for handle, label in zip(*axes.get_legend_handles_labels())}  # noqa: B905
    figure.legend(handles.values(), handles, loc="outside upper center", ncols=len(KINDS), fontsize=7)
    return figure


def _point(series: Drawn) -> dict[str, Any]:
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
    """Mean and sample deviation of the error that the paper prints; None if it prints none."""
    table, key, column = PRINTED.get(name, ("", "", ""))
    if not table or (table == "table5" and role != "cifar10"):
        return None
    cell = printed_cell(table, key.format(role), column)
    assert cell.mean is not None and cell.std is not None  # these cells have both
    known = printed_sample(cell.mean, cell.std, 8)
    return {"mean": known.mean, "std": known.std}


def _rate(name: str) -> float | None:
    """The drop path rate in a series' name; None for a method."""
    try:
        return float(name)
    except ValueError:
        return None


def _curve(axes: Axes, points: Sequence[Mapping[str, Any]]) -> None:
    if not points:
        axes.set_xticks([])
        return
    rates = [point["rate"] for point in points]
    axes.set_xscale("log")
    for kind in KINDS:
        _marks(axes, [rate * kind[5] for rate in rates], points, kind, joined=True)
    axes.set_xticks(rates, [_power(rate) for rate in rates], fontsize=7)
    axes.set_xlabel("drop path rate r")
    axes.margins(x=0.07)
    axes.xaxis.set_minor_locator(NullLocator())
    _above(axes, rates, [f"{of_rate(rate):.3f}" for rate in rates])


def _methods(axes: Axes, points: Sequence[Mapping[str, Any]]) -> None:
    """Draw the methods at separate positions, next to the curve and without a scale."""
    positions = range(len(points))
    for kind in KINDS:
        _marks(axes, [position + kind[6] for position in positions], points, kind, joined=False)
    axes.set_xticks(
        positions, [NAMES.get(one["name"], one["label"]) for one in points], fontsize=7, rotation=30, ha="right"
    )
    _above(axes, positions, [_nominal(SPECIAL.get(point["name"], 0.0)) for point in points])
    axes.set_xlim(-0.6, len(points) - 0.4)
    axes.tick_params(axis="y", left=False, labelleft=False)
    axes.spines["left"].set_linestyle((0, (2, 3)))


def _nominal(p_d: float) -> str:
    """The nominal p_d and, below it, the effective p_d after resampling."""
    return f"{p_d:g}\n({effective(p_d):.2f})" if p_d else "0\n"


def _above(axes: Axes, positions: Sequence[float], texts: Sequence[str]) -> None:
    """Write p_d above the axes."""
    above = axes.secondary_xaxis("top")
    above.set_xticks(positions, texts, fontsize=6.5, color=GREY)
    above.xaxis.set_minor_locator(NullLocator())
    above.tick_params(length=2, color=GREY)
    above.set_xlabel("p$_d$" if "(" not in "".join(texts) else "p$_d$ (effective)", fontsize=6.5, color=GREY)


def _power(rate: float) -> str:
    """Format a rate as 1e-4, not as 0.0001."""
    digits, exponent = f"{rate:e}".split("e")
    return f"{float(digits):g}e{int(exponent)}"


def _marks(
    axes: Axes, positions: Sequence[float], points: Sequence[Mapping[str, Any]], kind: tuple[Any, ...], joined: bool
) -> None:
    """Draw mean and deviation of one kind of accuracy."""
    key, label, form, colour, line, *_ = kind
    known = [(position, *_moments(point[key])) for position, point in zip(positions, points, strict=True) if point[key]]
    if not known:
        return
    at, means, spreads = zip(*known, strict=True)
    axes.errorbar(
        at,
        means,
        spreads,
        fmt=form if joined else form[0],
        color=colour,
        mfc="white" if key == "final" else colour,
        ms=5 if key == "best" else 4,
        lw=line,
        capsize=2.5,
        zorder=3 if key == "best" else 2,
        label=label,
    )


def _moments(errors: Any) -> tuple[float, float]:
    """Mean accuracy and sample deviation, from our errors or from the printed mean and deviation."""
    if isinstance(errors, Mapping):
        return 100 - errors["mean"], errors["std"]
    found = summarise(errors)
    return 100 - found.mean, found.std or 0.0


def _facts(content: Panels) -> Facts:
    for panel, points in content.items():
        for one in points:
            accuracies = [f"{_moments(one[key])[0]:.2f}" if one.get(key) else "" for key in ("best", "final", "paper")]
            yield panel, one["label"], *accuracies, f"{len(one['best'])}"


HEAD = ("Data", "Drop path rate", "Accuracy, best on test (%)", "Accuracy, final epoch (%)", "The paper's (%)", "n")
RATES = Drawing(panels, draw, HEAD, _facts)
