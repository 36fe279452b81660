"""The layout of a cell: its nodes on a line, its edges as arcs above it.

Design choices: a rule of our own and no layout program, whose layout differs between versions and which a machine
may lack: equal cells give equal bytes everywhere.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from dropnas.artifacts.genotype_file import Edge
from dropnas.report.figures.labels import short
from dropnas.space.genotype import EDGES_PER_NODE
from dropnas.space.names import INPUTS

Point = tuple[float, float]
Link = tuple[int, int, str]  # tail, head, operation; no operation into the output
FONT_SIZE = 9  # points
BOX = (0.68, 0.32)  # inches, of a node
COLUMN, STEP = 1.2, 0.42  # inches: between nodes, and by which an arc is higher for each node that it passes
APEX = 0.75  # of the height of its control points: where an arc is highest


@dataclass(frozen=True)
class Node:
    """A box: its text, centre and size, in inches."""

    text: str
    centre: Point
    width: float
    height: float


@dataclass(frozen=True)
class Arrow:
    """An edge: the control points of its Bezier curves (1 + 3 k), its label and the position of that."""

    curve: tuple[Point, ...]
    text: str
    at: Point


@dataclass(frozen=True)
class Layout:
    """A cell in the plane; the inputs are the first two nodes, the output is the last."""

    nodes: tuple[Node, ...]
    arrows: tuple[Arrow, ...]
    width: float
    height: float


def lay_out(cell: Sequence[Edge], concat: Sequence[int]) -> Layout:
    """The layout of a cell from left to right.

    Args:
        cell: edges (operation, predecessor), two for each node.
        concat: the nodes that make the output.
    """
    names = ["$c_{k-2}$", "$c_{k-1}$", *(str(node) for node in range(len(cell) // EDGES_PER_NODE)), "$c_k$"]
    links = [
        (predecessor, INPUTS + index // EDGES_PER_NODE, short(operation))
        for index, (operation, predecessor) in enumerate(cell)
    ]
    links += [(node, len(names) - 1, "") for node in concat]
    heights = [_height(links, index) for index in range(len(links))]
    above, below = STEP * max(heights) * APEX + 0.2, STEP * (len(names) - 1) / 2 * APEX
    nodes = [Node(name, (0.4 + COLUMN * index, below + BOX[1] / 2), *BOX) for index, name in enumerate(names)]
    arrows = [_arc(nodes, links, heights, index) for index in range(len(links))]
    return Layout(tuple(nodes), tuple(arrows), COLUMN * (len(names) - 1) + 0.8, below + BOX[1] + above)


def _height(links: Sequence[Link], index: int) -> float:
    """How high an arc is, in steps; below the line where it goes to the output.

    As high as it is long, and parallel ones differ by half a step, so that no two labels meet and no edge passes
    through a node.
    """
    tail, head, text = links[index]
    if not text:
        return -(head - tail) / 2
    parallel = [other[:2] for other in links[:index]].count((tail, head))
    return head - tail + parallel / 2


def _arc(nodes: Sequence[Node], links: Sequence[Link], heights: Sequence[float], index: int) -> Arrow:
    """From the right half of a node's side to the left half of the other's."""
    tail, head, text = links[index]
    side = math.copysign(BOX[1] / 2, heights[index])
    start = nodes[tail].centre[0] + BOX[0] / 2 * _port(links, heights, index, 0)
    end = nodes[head].centre[0] - BOX[0] / 2 * _port(links, heights, index, 1)
    foot = nodes[tail].centre[1] + side
    apex = foot + STEP * heights[index]
    curve = ((start, foot), (start, apex), (end, apex), (end, foot))
    return Arrow(curve, text, ((start + end) / 2, foot + APEX * STEP * heights[index]))


def _port(links: Sequence[Link], heights: Sequence[float], index: int, at: int) -> float:
    """Where an arc meets its tail (at = 0) or head (1), in parts of half a box: a higher one nearer to the middle."""
    own = heights[index]
    rivals = [h for link, h in zip(links, heights, strict=True) if link[at] == links[index][at] and h * own > 0]
    return sum(abs(h) >= abs(own) for h in rivals) / (len(rivals) + 1)
