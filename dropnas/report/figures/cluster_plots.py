"""Figures 1 and 4: feature clusters of the operations on one edge, in the first and last cell, for each data set.

Design choices: the run of the first seed is always drawn, never a hand-picked one. The two statistics below each panel
are computed over all seeds. The shape of a marker shows the cluster, and its filling shows the group, so that no colour
is needed. Both axes have the same scale, because they show distances between features.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from dropnas.analysis.finished_runs import require_stage
from dropnas.analysis.summary import summarise
from dropnas.artifacts.clusters_file import ClustersCell, ClustersFile
from dropnas.report.figures.drawing import Drawing, DrawnSeries, Facts, Panels, number
from dropnas.report.figures.labels import label_points, shorter
from dropnas.report.figures.sheet import COLOURS, GREY, INK, LETTERS, settle

POSITIONS = ("first", "last")
OPERATION_MARKERS = "os^Dvp"
CLUSTERS_WIDTH, CLUSTERS_ROW = 7.2, 3.55  # inches


def panels(series: Sequence[DrawnSeries]) -> dict[str, Any]:
    """The content of the panels, by data set; see `figure.json`."""
    content = {}
    for one in series:
        read = [ClustersFile.read(require_stage(run, "clusters").folder).cells for run in one.runs]
        content[one.panel] = {
            "shown": one.runs[0].name,
            "cells": asdict(read[0]),
            "statistics": {
                position: _statistics([getattr(cells, position) for cells in read]) for position in POSITIONS
            },
            "runs": one.run_names,
        }
    return content


def draw(content: Mapping[str, Any], titles: Mapping[str, str]) -> Figure:
    """Draw a row for each data set, with its first cell on the left and its last cell on the right."""
    figure = Figure(figsize=(CLUSTERS_WIDTH, CLUSTERS_ROW * len(content)))
    grid = figure.subplots(len(content), len(POSITIONS), squeeze=False)
    shown = [(titles[role], panel, position) for role, panel in content.items() for position in POSITIONS]
    cells = [panel["cells"][position] for _, panel, position in shown]
    for axes, letter, (title, panel, position), cell in zip(grid.flat, LETTERS, shown, cells, strict=False):
        axes.set_title(f"({letter}) {title}\n{position} cell ({cell['kind']})")
        _points(axes, cell, _sentence(panel["statistics"][position]))
    _legend(figure, 1 + max(label for cell in cells for label in cell["labels"]))
    settle(figure)
    for axes, cell in zip(grid.flat, cells, strict=True):
        label_points(axes, cell["points"], [shorter(name) for name in cell["operations"]])
    return figure


def _statistics(cells: Sequence[ClustersCell]) -> dict[str, float | int | None]:
    """Mean silhouette of the parameterised operations, and share of seeds in which an operation is alone in a cluster.

    The silhouette is first averaged over the operations of each seed. The mean and the sample standard deviation of
    these averages are then computed over the seeds.
    """
    each = [summarise([cell.silhouette[name] for name in cell.parameterised]).mean for cell in cells]
    silhouette = summarise(each)
    return {
        "silhouette_parameterised_mean": silhouette.mean,
        "silhouette_parameterised_std": silhouette.std,
        "single_member_share": sum(bool(cell.single_member) for cell in cells) / len(cells),
        "n": len(cells),
    }


def _points(axes: Axes, cell: Mapping[str, Any], sentence: str) -> None:
    """Draw the operations, each joined to the centre of its cluster."""
    points, labels = np.array(cell["points"]), np.array(cell["labels"])
    for point, label, name in zip(points, labels, cell["operations"], strict=True):
        axes.plot(*zip(points[labels == label].mean(axis=0), point, strict=True), color=GREY, lw=0.5, ls=":", zorder=1)
        colour = COLOURS[label % len(COLOURS)]
        face, edge = (colour, "white") if name in cell["parameterised"] else ("white", colour)
        axes.plot(
            *point, OPERATION_MARKERS[label % len(OPERATION_MARKERS)], ms=7.5, mfc=face, mec=edge, mew=1.2, zorder=2
        )
    first, second = (f"principal component {k + 1} ({100 * part:.0f} %)" for k, part in enumerate(cell["explained"]))
    axes.set_xlabel(f"{first}\n\n{sentence}")
    axes.set_ylabel(second)
    axes.set_aspect("equal", adjustable="datalim")
    axes.margins(0.22)


def _sentence(found: Mapping[str, Any]) -> str:
    spread = found["silhouette_parameterised_std"]
    deviation = "" if spread is None else f" ± {spread:.2f}"
    alone = round(found["single_member_share"] * found["n"])
    return (
        f"silhouette of O$_p$: {found['silhouette_parameterised_mean']:.2f}{deviation}\n"
        f"an operation alone in a cluster: {alone} of {found['n']} seeds"
    )


def _legend(figure: Figure, clusters: int) -> None:
    """Draw the legend: shapes are clusters; filled points are parameterised operations."""
    forms = [(OPERATION_MARKERS[k % len(OPERATION_MARKERS)], "#bbbbbb", f"cluster {k + 1}") for k in range(clusters)]
    forms += [("o", INK, "parameterised (O$_p$)"), ("o", "white", "not (O$_{np}$)")]
    handles = [Line2D([], [], ls="", marker=form, mfc=face, mec=INK, label=label) for form, face, label in forms]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(forms), fontsize=7, handletextpad=0.2)


def _facts(content: Panels) -> Facts:
    for panel, shown in content.items():
        for position, one in shown["statistics"].items():
            values = ("silhouette_parameterised_mean", "silhouette_parameterised_std", "single_member_share")
            yield panel, f"{position} cell", *(number(one[name]) for name in values), f"{one['n']}"


CLUSTER_COLUMNS = (
    "Data",
    "Cell",
    "Silhouette of parameterised operations",
    "Deviation",
    "Share of seeds with a lone point",
    "n",
)
CLUSTER_PLOTS = Drawing(panels, draw, CLUSTER_COLUMNS, _facts)
