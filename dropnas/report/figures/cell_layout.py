"""Where the nodes and edges of a cell lie: laid out by graphviz, or as arcs over a line where `dot` does not work.

Design choices: graphviz is asked for places only, in its plain text format, and the ink is matplotlib's: so all formats
come out of one drawing, with the same fonts and bytes on every machine that has the same graphviz, and a machine
without it gets the same cell in another arrangement.
"""

import math
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

import graphviz

from dropnas.artifacts.genotype_file import Edge
from dropnas.report.figures.labels import short
from dropnas.space.genotype import EDGES_PER_NODE
from dropnas.space.names import INPUTS

Point = tuple[float, float]
Link = tuple[int, int, str]  # tail, head, operation; no operation into the output
FONT_SIZE = 9  # points, of the texts that dot makes room for
BOX = (0.58, 0.32)  # inches, of a node in our own layout
COLUMN, STEP = 1.05, 0.42  # inches: between nodes, and by which an arc is higher for each node that it passes
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
    """An edge: the control points of its Bezier curves (1 + 3 k), its label and where that stands."""

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
    on_lines: bool  # whether labels stand on their edges, not beside them


def lay_out(cell: Sequence[Edge], concat: Sequence[int]) -> Layout:
    """The layout of a cell from left to right.

    Args:
        cell: edges (operation, predecessor), two for each node.
        concat: the nodes that make the output.
    """
    names = ["c_{k-2}", "c_{k-1}", *(str(node) for node in range(len(cell) // EDGES_PER_NODE)), "c_{k}"]
    links = [
        (predecessor, INPUTS + place // EDGES_PER_NODE, short(operation))
        for place, (operation, predecessor) in enumerate(cell)
    ]
    links += [(node, len(names) - 1, "") for node in concat]
    plain = _from_dot(names, links)
    return _parsed(plain, names, links) if plain else _by_arcs(names, links)


def _from_dot(names: Sequence[str], links: Sequence[Link]) -> str:
    """From left to right, as the paper's Figure 3, in dot's plain format; empty where `dot` does not work.

    It may be missing, may not be started, fail (as where its plugins are not installed), or print something else.
    """
    graph = graphviz.Digraph(engine="dot")
    graph.attr(rankdir="LR", nodesep="0.15", ranksep="0.25")
    graph.attr("node", shape="box", height="0.3", width="0.4", margin="0.06,0.03", fontsize=str(FONT_SIZE))
    graph.attr("edge", fontsize=str(FONT_SIZE), arrowhead="none")  # drawn by us, at the very end of the curve
    for index, name in enumerate(names):
        graph.node(str(index), name)
    for tail, head, text in links:
        graph.edge(str(tail), str(head), f" {text} " if text else "")
    try:
        plain = graph.pipe(format="plain", encoding="utf-8", quiet=True)
    except (graphviz.ExecutableNotFound, graphviz.CalledProcessError, OSError):
        return ""
    return plain if plain.startswith("graph ") and plain.endswith("stop\n") else ""


def _parsed(plain: str, names: Sequence[str], links: Sequence[Link]) -> Layout:
    """From dot's plain format: `node name x y width height …`, `edge tail head n x1 y1 … [label x y] style colour`.

    Equal edges keep their order, so labels are taken from there.
    """
    lines = [shlex.split(line) for line in plain.splitlines()]
    _, _, width, height = next(line for line in lines if line[0] == "graph")
    boxes = {int(line[1]): tuple(map(float, line[2:6])) for line in lines if line[0] == "node"}
    nodes = [Node(name, boxes[index][:2], *boxes[index][2:]) for index, name in enumerate(names)]  # type: ignore[arg-type]
    arrows = []
    for line in (line for line in lines if line[0] == "edge"):
        count = int(line[3])
        numbers = [float(text) for text in line[4 : 4 + 2 * count]]
        curve = tuple(zip(numbers[::2], numbers[1::2], strict=True))
        rest = line[4 + 2 * count :]
        labelled = len(rest) > 2  # label, x, y, style, colour
        text, at = (rest[0].strip(), (float(rest[1]), float(rest[2]))) if labelled else ("", curve[0])
        arrows.append(Arrow(curve, text, at))
    return Layout(tuple(nodes), tuple(arrows), float(width), float(height), on_lines=False)


def _by_arcs(names: Sequence[str], links: Sequence[Link]) -> Layout:
    """All nodes on one line, operations as arcs above it, what goes into the output below.

    An arc is as high as it is long, and parallel ones differ by half a step, so that no two labels meet and no edge
    passes through a node.
    """
    heights = [_height(links, place) for place in range(len(links))]
    above = STEP * max(heights) * APEX + 0.2
    below = STEP * (len(names) - 1) / 2 * APEX
    nodes = [Node(name, (0.3 + COLUMN * index, below + BOX[1] / 2), *BOX) for index, name in enumerate(names)]
    arrows = [
        _arc(nodes[tail], nodes[head], text, STEP * height)
        for (tail, head, text), height in zip(links, heights, strict=True)
    ]
    return Layout(tuple(nodes), tuple(arrows), COLUMN * (len(names) - 1) + 0.6, below + BOX[1] + above, on_lines=True)


def _height(links: Sequence[Link], place: int) -> float:
    """How high an arc is, in steps; below the line where it goes to the output."""
    tail, head, text = links[place]
    if not text:
        return -(head - tail) / 2
    parallel = [other[:2] for other in links[:place]].count((tail, head))
    return head - tail + parallel / 2


def _arc(tail: Node, head: Node, text: str, height: float) -> Arrow:
    """From the right part of a node's side to the left part of the other's."""
    side = math.copysign(tail.height / 2, height)
    (x, y), (end, _) = tail.centre, head.centre
    port = tail.width / 4
    curve = (
        (x + port, y + side),
        (x + port, y + side + height),
        (end - port, y + side + height),
        (end - port, y + side),
    )
    return Arrow(curve, text, ((x + end) / 2, y + side + APEX * height))
