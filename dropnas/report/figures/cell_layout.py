"""The layout of a cell: its nodes on a horizontal line, its edges as arcs above it.

Design choices: the layout follows our own rule instead of a layout program, which a machine may lack and whose layout
differs between versions. Equal cells therefore give equal bytes everywhere.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from dropnas.artifacts.genotype_file import Edge
from dropnas.report.figures.labels import short
from dropnas.space.genotype import EDGES_PER_NODE
from dropnas.space.names import INPUTS

Point = tuple[float, float]
Link = tuple[int, int, str]  # tail, head, operation; empty for links to the output
FONT_SIZE = 9  # points
BOX = (0.68, 0.32)  # inches, of a node
COLUMN, STEP = 1.2, 0.42  # inches: distance between nodes; added height of an arc for each node that it passes
APEX = 0.75  # height of an arc's highest point, relative to its control points


@dataclass(frozen=True)
class Node:
    """A box: its text, centre and size, in inches."""

    text: str
    centre: Point
    width: float
    height: float


@dataclass(frozen=True)
class Arrow:
    """An edge: the control points of its Bezier curves (1 + 3 k), its label and the label's position."""

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
        concat: the nodes that form the output.
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
    """The height of an arc in steps; negative, below the line, for a link to the output.

    The height grows with the length of the arc. Parallel arcs differ by half a step, so that labels do not overlap and
    no edge passes through a node.
    """
    tail, head, text = links[index]
    if not text:
        return -(head - tail) / 2
    parallel = [other[:2] for other in links[:index]].count((tail, head))
    return head - tail + parallel / 2


def _arc(nodes: Sequence[Node], links: Sequence[Link], heights: Sequence[float], index: int) -> Arrow:
    """The arc from the right half of one node's side to the left half of the other node's side."""
    tail, head, text = links[index]
    side = math.copysign(BOX[1] / 2, heights[index])
    start = nodes[tail].centre[0] + BOX[0] / 2 * _port(links, heights, index, 0)
    end = nodes[head].centre[0] - BOX[0] / 2 * _port(links, heights, index, 1)
    foot = nodes[tail].centre[1] + side
    apex = foot + STEP * heights[index]
    curve = ((start, foot), (start, apex), (end, apex), (end, foot))
    return Arrow(curve, text, ((start + end) / 2, foot + APEX * STEP * heights[index]))


def _port(links: Sequence[Link], heights: Sequence[float], index: int, at: int) -> float:
    """The offset at which an arc meets its tail (at = 0) or head (1), in half boxes; higher arcs are more central."""
    own = heights[index]
    rivals = [h for link, h in zip(links, heights, strict=True) if link[at] == links[index][at] and h * own > 0]
    return sum(abs(h) >= abs(own) for h in rivals) / (len(rivals) + 1)
