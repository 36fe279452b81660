"""Figure 3: the best cells found, normal cells above reduction cells; also draws the two cells of any genotype.

Design choices: boxes and arrows from left to right, as in the paper. The outputs of the last two cells and of this cell
are green; the nodes are blue with a rounded frame, so that both can be distinguished without colour.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path as Curve

from dropnas.report.figures.cell_layout import FONT_SIZE, Arrow, Layout, Node, lay_out
from dropnas.report.figures.drawing import Drawing, Facts, Panels
from dropnas.report.figures.series import Drawn
from dropnas.report.figures.sheet import INK, LETTERS, sheet
from dropnas.space.genotype import Genotype
from dropnas.space.genotype_text import cell_in_words
from dropnas.space.names import INPUTS

KINDS = ("normal", "reduce")
KIND_NAMES = {"normal": "normal cell", "reduce": "reduction cell"}
GAP, TITLE = 0.3, 0.35  # inches: gap around panels, title above each panel
NARROWEST = 4.0  # inches: minimum width of a sheet
GREEN, BLUE = "#d5ecc2", "#cfe2f3"


def panels(series: Sequence[Drawn]) -> dict[str, Any]:
    """The content of the panels, by data set: the genotype and the run that chose it; see `figure.json`."""
    return {
        one.panel: {"genotype": Genotype.read(one.runs[0].folder).values(), "run": one.runs[0].name} for one in series
    }


def draw(content: Mapping[str, Any], titles: Mapping[str, str]) -> Figure:
    """Draw a column of panels for each data set."""
    genotypes = [(titles[role], Genotype.of_values(panel["genotype"], role)) for role, panel in content.items()]
    letters = iter(LETTERS)
    named = [
        [(f"({next(letters)}) {title} {KIND_NAMES[kind]}", _layout(genotype, kind)) for title, genotype in genotypes]
        for kind in KINDS
    ]
    return _draw(named)


def draw_genotype(title: str, genotype: Genotype) -> Figure:
    """Draw the two cells of a genotype, one below the other."""
    return _draw([[(f"{title}, {KIND_NAMES[kind]}", _layout(genotype, kind))] for kind in KINDS])


def _layout(genotype: Genotype, kind: str) -> Layout:
    return lay_out(getattr(genotype, kind), getattr(genotype, f"{kind}_concat"))


def _draw(rows: Sequence[Sequence[tuple[str, Layout]]]) -> Figure:
    """Draw panels in rows and columns, each as large as its layout requires; all boxes have the same size."""
    heights = [max(layout.height for _, layout in row) for row in rows]
    widths = [max(row[column][1].width for row in rows) for column in range(len(rows[0]))]
    size = sum(widths) + GAP * (len(widths) + 1), sum(heights) + (TITLE + GAP) * len(rows)
    figure = sheet(max(size[0], NARROWEST), size[1], layout=None)
    top = size[1]
    for row, tall in zip(rows, heights, strict=True):
        left, top = GAP, top - TITLE
        for (title, layout), wide in zip(row, widths, strict=True):
            _panel(figure, (left, top), title, layout)
            left += wide + GAP
        top -= tall + GAP
    return figure


def _panel(figure: Figure, corner: tuple[float, float], title: str, layout: Layout) -> None:
    """Draw a cell; `corner` is the position of its upper left corner on the sheet, in inches."""
    width, height = figure.get_size_inches()
    left, top = corner
    bounds = (left / width, (top - layout.height) / height, layout.width / width, layout.height / height)
    axes = figure.add_axes(bounds)
    axes.set_xlim(0, layout.width)
    axes.set_ylim(0, layout.height)
    axes.axis("off")
    figure.text(left / width, (top + TITLE / 4) / height, title, fontsize=9)
    for arrow in layout.arrows:
        _arrow(axes, arrow)
    for index, node in enumerate(layout.nodes):
        _node(axes, node, index < INPUTS or index == len(layout.nodes) - 1)


def _node(axes: Axes, node: Node, outer: bool) -> None:
    x, y = node.centre
    shape = "square,pad=0" if outer else "round,pad=0,rounding_size=0.08"
    corner = (x - node.width / 2, y - node.height / 2)
    fill = GREEN if outer else BLUE
    axes.add_patch(
        FancyBboxPatch(corner, node.width, node.height, boxstyle=shape, fc=fill, ec=INK, lw=0.7, clip_on=False)
    )
    axes.text(x, y, node.text, ha="center", va="center", fontsize=FONT_SIZE, zorder=4)


def _arrow(axes: Axes, arrow: Arrow) -> None:
    path = Curve(arrow.curve, [Curve.MOVETO, *[Curve.CURVE4] * (len(arrow.curve) - 1)])
    axes.add_patch(
        FancyArrowPatch(
            path=path, arrowstyle="-|>", mutation_scale=7, lw=0.7, color=INK, shrinkA=0, shrinkB=0, clip_on=False
        )
    )
    ground = {"boxstyle": "square,pad=0.1", "fc": "white", "ec": "none"}
    axes.text(*arrow.at, arrow.text, ha="center", va="center", fontsize=FONT_SIZE - 1, bbox=ground, zorder=3)


def _facts(content: Panels) -> Facts:
    for panel, shown in content.items():
        for kind in KINDS:
            yield panel, KIND_NAMES[kind], cell_in_words(shown["genotype"][kind])


CELLS = Drawing(panels, draw, ("Data", "Cell", "Edges"), _facts)
