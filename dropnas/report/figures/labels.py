"""Labels of points that do not cover each other, and the short names of operations.

Design choices: a greedy choice among a few dozen positions around each point is enough for seven points. A label that
had to move away is joined to its point by a thin line. Positions are measured in points (1/72 inch), so that they are
the same in every format.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from matplotlib.axes import Axes

from dropnas.report.figures.sheet import GREY, INK

POINTS_AN_INCH = 72
RADII = (7.0, 13.0, 20.0, 29.0, 40.0)
ANGLES = tuple(math.radians(angle) for angle in (0, 180, 90, 270, 45, 135, 225, 315, 20, 160, 200, 340))
MARKER = 4.5  # half the side of the square that a marker covers
TIED = 10.0  # a label farther away than this is joined to its point
STYLE: Any = {
    "textcoords": "offset points",
    "fontsize": 7,
    "color": INK,
    "va": "center",
    "ha": "center",
    "zorder": 1.5,  # over lines and under points
}
GROUND: Any = {"boxstyle": "square,pad=0.05", "fc": "white", "ec": "none", "alpha": 0.8}
TIE: Any = {"arrowstyle": "-", "lw": 0.4, "color": GREY, "shrinkA": 1, "shrinkB": 3}


class Box(NamedTuple):
    """A rectangle, in points."""

    left: float
    bottom: float
    right: float
    top: float

    def overlap(self, other: "Box") -> float:
        """The common area of two rectangles."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.top, other.top) - max(self.bottom, other.bottom)
        return max(width, 0.0) * max(height, 0.0)

    @property
    def area(self) -> float:
        """The area of the rectangle."""
        return (self.right - self.left) * (self.top - self.bottom)


def short(operation: str) -> str:
    """The name as in Figure 3: sep_3x3, dil_5x5, skip, max_3x3; for a user's operation, its attribute."""
    name = operation.rpartition(":")[2]
    return name.replace("_conv_", "_").replace("_connect", "").replace("_pool_", "_")


def shorter(operation: str) -> str:
    """The name as in Figures 1 and 4, where the poolings are max and avg."""
    return short(operation).removesuffix("_3x3") if "pool" in operation else short(operation)


def label_points(axes: Axes, points: Sequence[tuple[float, float]], texts: Sequence[str]) -> None:
    """Write each text near its point; the axes must have their final position (`settle`), all points and margins."""
    axes.apply_aspect()
    figure: Any = axes.figure
    scale = POINTS_AN_INCH / figure.dpi
    at = [tuple(scale * point) for point in axes.transData.transform(points)]
    frame = Box(*(scale * bound for bound in axes.get_window_extent().extents))
    taken = [Box(x - MARKER, y - MARKER, x + MARKER, y + MARKER) for x, y in at]
    for (x, y), point, text in zip(at, points, texts, strict=True):
        note = axes.annotate(text, point, (0, 0), **STYLE)
        extent = note.get_window_extent(figure.canvas.get_renderer())
        note.remove()
        box, offset, radius = _place(x, y, scale * extent.width, scale * extent.height, taken, frame)
        taken.append(box)
        axes.annotate(text, point, offset, **STYLE, bbox=GROUND, arrowprops=TIE if radius > TIED else None)


def _place(
    x: float, y: float, width: float, height: float, taken: Sequence[Box], frame: Box
) -> tuple[Box, tuple[float, float], float]:
    """The nearest position around (x, y) with the least overlap: its box, the offset of its centre, its distance."""
    best: tuple[float, Box, tuple[float, float], float] | None = None
    for radius in RADII:
        for angle in ANGLES:
            dx = math.cos(angle) * (radius + width / 2)
            dy = math.sin(angle) * (radius + height / 2)
            box = Box(x + dx - width / 2, y + dy - height / 2, x + dx + width / 2, y + dy + height / 2)
            outside = box.area - box.overlap(frame)
            cost = radius + 10 * sum(box.overlap(other) for other in taken) + 10 * outside
            if best is None or cost < best[0]:
                best = cost, box, (dx, dy), radius
    assert best is not None  # there is at least one position
    return best[1:]
