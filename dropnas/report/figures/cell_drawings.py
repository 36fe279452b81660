"""Draws Figure 3, the best cells found with normal above reduction cells, and the two cells of any genotype.

Design choices: the nodes are on a horizontal line, and the edges are arcs. No external layout program is used, because
it may not be installed and its layouts differ between versions. The same cell therefore gives the same file on every
machine. The outputs of the two previous cells and of this cell are green squares. The nodes are blue with rounded
corners, so that they can be told apart from the outputs without colour.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path as Curve
from pandas import DataFrame

from dropnas.artifacts.genotype_file import Edge
from dropnas.report.figures.drawing import Drawing, DrawnSeries, Facts, Panels
from dropnas.report.figures.labels import short
from dropnas.report.figures.sheet import INK, LETTERS
from dropnas.space.genotype import EDGES_PER_NODE, Genotype
from dropnas.space.genotype_text import cell_in_words
from dropnas.space.names import INPUTS

CELL_TITLES = {"normal": "normal cell", "reduce": "reduction cell"}
NODE_WIDTH, NODE_HEIGHT = 0.68, 0.32  # inches, of a node
COLUMN, STEP = 1.2, 0.42  # inches: distance between nodes, and height of an arc per node that it spans
APEX = 0.75  # height of an arc's highest point, relative to its control points
TITLE = 0.35  # inches, above each panel
CURVE = [Curve.MOVETO, Curve.CURVE4, Curve.CURVE4, Curve.CURVE4]
LINE: Any = {"lw": 0.7, "color": INK, "shrinkA": 0, "shrinkB": 0}
LABEL: Any = {"ha": "center", "va": "center"}
GROUND: Any = {"boxstyle": "square,pad=0.1", "fc": "white", "ec": "none"}  # hides the line behind a label
GREEN, BLUE = "#d5ecc2", "#cfe2f3"


def panels(series: Sequence[DrawnSeries]) -> dict[str, Any]:
    """For each data set, return the genotype to draw and the name of the run that chose it."""
    return {
        one.panel: {"genotype": Genotype.read(one.runs[0].folder).values(), "run": one.runs[0].name} for one in series
    }


def draw(content: Mapping[str, Any], titles: Mapping[str, str]) -> Figure:
    """Draw a column of panels for each data set."""
    return _draw(
        {titles[role]: Genotype.of_values(shown["genotype"], role) for role, shown in content.items()}, LETTERS
    )


def draw_genotype(title: str, genotype: Genotype) -> Figure:
    """Draw the two cells of a genotype, one below the other."""
    return _draw({title: genotype})


def arcs(cell: Sequence[Edge], concat: Sequence[int]) -> DataFrame:
    """Compute the arcs that represent the edges of a cell.

    Args:
        cell: edges (operation, predecessor), two for each node.
        concat: the nodes that form the output.

    Returns:
        A frame with one row for each arc; lengths are in inches. `tail` and `head` are the nodes that the arc joins.
        `text` is its operation, and is empty for a link to the output. `height` is the height of its control points
        above the boxes; it is negative if the arc is below them. `start` and `end` are the horizontal positions at
        which the arc meets the boxes of its tail and head.
    """
    output = INPUTS + len(cell) // EDGES_PER_NODE
    edges = [(before, INPUTS + at // EDGES_PER_NODE, short(name)) for at, (name, before) in enumerate(cell)]
    found = DataFrame([*edges, *((node, output, "") for node in concat)], columns=["tail", "head", "text"])
    span, above = found["head"] - found["tail"], found["text"] != ""
    parallel = found.groupby(["tail", "head"]).cumcount() / 2  # so that labels of parallel arcs do not overlap
    found["height"] = STEP * (span + parallel).where(above, -span / 2)
    for node, position, side in (("tail", "start", 1), ("head", "end", -1)):
        rivals = found["height"].abs().groupby([found[node], above])
        port = rivals.rank(method="max", ascending=False) / (rivals.transform("size") + 1)  # higher arcs: more central
        found[position] = COLUMN * found[node] + side * NODE_WIDTH / 2 * port
    return found


def _draw(genotypes: Mapping[str, Genotype], letters: Sequence[str] = ()) -> Figure:
    """Draw the normal cells above the reduction cells."""
    rows = [
        [arcs(getattr(one, kind), getattr(one, f"{kind}_concat")) for one in genotypes.values()] for kind in CELL_TITLES
    ]
    names = [f"{title} {kind}" for kind in CELL_TITLES.values() for title in genotypes]
    titles = [f"({letter}) {name}" for letter, name in zip(letters, names, strict=False)] or names
    right = COLUMN * max(found["head"].max() for row in rows for found in row) + NODE_WIDTH
    low = [min(found["height"].min() for found in row) * APEX - NODE_HEIGHT for row in rows]
    high = [max(found["height"].max() for found in row) * APEX + NODE_HEIGHT + 0.1 for row in rows]
    heights = [top - bottom for bottom, top in zip(low, high, strict=True)]
    figure = Figure(figsize=((right + NODE_WIDTH) * len(genotypes), sum(heights) + TITLE * len(rows)))
    grid = figure.subplots(len(rows), len(genotypes), squeeze=False, height_ratios=heights)
    for axes, title in zip(grid.flat, titles, strict=True):
        axes.set_title(title, loc="left")
    for line, row, bottom, top in zip(grid, rows, low, high, strict=True):
        for axes, found in zip(line, row, strict=True):
            axes.set(xlim=(-NODE_WIDTH, right), ylim=(bottom, top), aspect="equal")
            axes.axis("off")
            _cell(axes, found)
    return figure


def _cell(axes: Axes, found: DataFrame) -> None:
    last = found["head"].max()
    names = ["$c_{k-2}$", "$c_{k-1}$", *map(str, range(last - INPUTS)), "$c_k$"]
    for arc in found.to_dict("records"):
        foot = math.copysign(NODE_HEIGHT / 2, arc["height"])
        top = foot + arc["height"]
        curve = Curve([(arc["start"], foot), (arc["start"], top), (arc["end"], top), (arc["end"], foot)], CURVE)
        axes.add_patch(FancyArrowPatch(path=curve, arrowstyle="-|>", mutation_scale=7, **LINE))
        at = ((arc["start"] + arc["end"]) / 2, foot + APEX * arc["height"])
        axes.text(*at, arc["text"], fontsize=8, zorder=3, bbox=GROUND, **LABEL)
    for node, name in enumerate(names):
        outer = node < INPUTS or node == last
        shape, fill = ("square,pad=0", GREEN) if outer else ("round,pad=0,rounding_size=0.08", BLUE)
        corner = (COLUMN * node - NODE_WIDTH / 2, -NODE_HEIGHT / 2)
        axes.add_patch(FancyBboxPatch(corner, NODE_WIDTH, NODE_HEIGHT, boxstyle=shape, fc=fill, ec=INK, lw=0.7))
        axes.text(COLUMN * node, 0, name, fontsize=9, zorder=4, **LABEL)


def _facts(content: Panels) -> Facts:
    for panel, shown in content.items():
        for kind, name in CELL_TITLES.items():
            yield panel, name, cell_in_words(shown["genotype"][kind])


CELL_DRAWINGS = Drawing(panels, draw, ("Data", "Cell", "Edges"), _facts)
