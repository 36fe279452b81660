"""Places the labels of points so that labels do not overlap, and shortens the names of operations.

Design choices: a greedy choice among a few dozen positions around each point is enough for seven points. A label far
from its point is joined to it by a thin line.
"""

import math
from collections.abc import Sequence
from itertools import product
from typing import Any

from matplotlib.axes import Axes
from matplotlib.transforms import Bbox

from dropnas.report.figures.sheet import GREY, INK

RADII = (7.0, 13.0, 20.0, 29.0, 40.0)  # points (1/72 inch), like all lengths here
ANGLES = tuple(math.radians(angle) for angle in (0, 180, 90, 270, 45, 135, 225, 315, 20, 160, 200, 340))
MARKER_RADIUS = 4.5  # half the side length of the square that a marker covers
TIED = 10.0  # a label farther away than this is joined to its point
LABEL_STYLE: Any = {
    "textcoords": "offset points",
    "fontsize": 7,
    "color": INK,
    "va": "center",
    "ha": "center",
    "zorder": 1.5,  # over lines and under points
    "bbox": {"boxstyle": "square,pad=0.05", "fc": "white", "ec": "none", "alpha": 0.8},
}
TIE: Any = {"arrowstyle": "-", "lw": 0.4, "color": GREY, "shrinkA": 1, "shrinkB": 3}


def short(operation: str) -> str:
    """The name as in Figure 3: sep_3x3, dil_5x5, skip, max_3x3; for a user's operation, the part after `:`."""
    name = operation.rpartition(":")[2]
    return name.replace("_conv_", "_").replace("_connect", "").replace("_pool_", "_")


def shorter(operation: str) -> str:
    """The name as in Figures 1 and 4, which call the pooling operations `max` and `avg`."""
    return short(operation).removesuffix("_3x3") if "pool" in operation else short(operation)


def label_points(axes: Axes, points: Sequence[tuple[float, float]], texts: Sequence[str]) -> None:
    """Write each text next to its point. The axes must be complete and in their final position (see `settle`)."""
    axes.apply_aspect()
    scale = 72 / axes.figure.dpi
    at = scale * axes.transData.transform(points)
    frame = Bbox(scale * axes.get_window_extent().get_points())
    taken = [
        Bbox.from_bounds(x - MARKER_RADIUS, y - MARKER_RADIUS, 2 * MARKER_RADIUS, 2 * MARKER_RADIUS) for x, y in at
    ]
    for (x, y), point, text in zip(at, points, texts, strict=True):
        note = axes.annotate(text, point, (0, 0), **LABEL_STYLE)
        extent = note.get_window_extent()
        note.remove()
        width, height = scale * extent.width, scale * extent.height
        best = math.inf
        for radius, angle in product(RADII, ANGLES):
            dx, dy = math.cos(angle) * (radius + width / 2), math.sin(angle) * (radius + height / 2)
            box = Bbox.from_bounds(x + dx - width / 2, y + dy - height / 2, width, height)
            outside = width * height - overlap(box, frame)
            cost = radius + 10 * (outside + sum(overlap(box, other) for other in taken))
            if cost < best:
                best, chosen, offset, tie = cost, box, (dx, dy), TIE if radius > TIED else None
        taken.append(chosen)
        axes.annotate(text, point, offset, **LABEL_STYLE, arrowprops=tie)


def overlap(one: Bbox, other: Bbox) -> float:
    """The area of the intersection of two rectangles."""
    common = Bbox.intersection(one, other)
    return common.width * common.height if common else 0.0
