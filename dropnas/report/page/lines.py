"""A table as lines of cells for the page: each number of ours leads to where it comes from.

Design choices: what stands in a cell is decided where Markdown and LaTeX have it from (`dropnas.report.grid`); the
label of a row is repeated in each of its lines, so that a table may be sorted by any column and still be read.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from dropnas.report.frame import Frame
from dropnas.report.grid import SOURCE, body
from dropnas.report.model import Cell, Line, Row, Table
from dropnas.report.notes import provenance
from dropnas.report.printed import title

UNNAMED = "Row"  # a label column that the paper leaves without a header
ABSENT = "9e9"  # what an empty cell is sorted by: after all numbers


@dataclass(frozen=True)
class PageCell:
    """A cell: its text, the number that it is sorted by, and the anchor that it leads to (empty: none)."""

    text: str
    order: str
    anchor: str


@dataclass(frozen=True)
class PageLine:
    """A line: the labels of its row, where its numbers come from, and its cells."""

    heads: tuple[str, ...]
    source: str
    cells: tuple[PageCell, ...]
    ours: bool


@dataclass(frozen=True)
class PageTable:
    """A table as the page shows it."""

    name: str
    title: str
    caption: str
    provenance: str
    heads: tuple[str, ...]
    columns: tuple[tuple[str, str], ...]
    lines: tuple[PageLine, ...]
    notes: tuple[str, ...]


def page_table(table: Table) -> PageTable:
    """A table's lines, in the order of the paper."""
    return PageTable(
        name=table.name,
        title=title(table.name),
        caption=table.caption,
        provenance=provenance(table),
        heads=tuple(" ".join(filter(None, lines)) or UNNAMED for lines in (*table.heads, SOURCE)),
        columns=tuple(column.header for column in table.columns),
        lines=tuple(_lines(table)),
        notes=table.notes,
    )


def framed(name: str, frame: Frame, anchors: Callable[[int, int], str]) -> PageTable:
    """A table of texts, such as one of the peers.

    Args:
        name: what the plan calls it.
        frame: its texts.
        anchors: where the text in a line and column leads; empty where it leads nowhere.
    """
    rows = [(line.texts[: frame.labels], line.texts[frame.labels :]) for line in frame.lines]
    lines = [
        PageLine(
            heads, "", tuple(PageCell(text, _order(text), anchors(at, to)) for to, text in enumerate(texts)), False
        )
        for at, (heads, texts) in enumerate(rows)
    ]
    heads = tuple(" ".join(filter(None, top)) for top in frame.header[: frame.labels])
    columns = frame.header[frame.labels :]
    return PageTable(name, title(name), frame.caption, frame.provenance, heads, columns, tuple(lines), frame.notes)


def _order(text: str) -> str:
    """The number that a text begins with, to sort by."""
    number = re.match(r"-?\d+(\.\d+)?", text)
    return number[0] if number else ABSENT


def anchor(table: Table, row: int, column: int, line: Line) -> str:
    """The place on the page that says where a number comes from."""
    return f"from-{table.name}-{row}-{column}-{'final' if line is Line.FINAL else 'best'}"


def _lines(table: Table) -> Iterator[PageLine]:
    places = ((index, row, line) for index, row in enumerate(table.rows) for line in row.lines)
    for (index, row, line), text in zip(places, body(table), strict=True):
        texts = text.texts[len(row.heads) + 1 :]
        cells = tuple(_cell(table, index, column, row, line, texts[column]) for column in range(len(texts)))
        yield PageLine(row.heads, line.value, cells, line in (Line.FINAL, Line.BEST))


def _cell(table: Table, index: int, column: int, row: Row, line: Line, text: str) -> PageCell:
    value = _value(row.cells[column], line)
    linked = value is not None and line in (Line.FINAL, Line.BEST)
    return PageCell(
        text, ABSENT if value is None else repr(value), anchor(table, index, column, line) if linked else ""
    )


def _value(cell: Cell, line: Line) -> float | None:
    if line in (Line.QUOTED, Line.PAPER):
        return cell.paper.mean if cell.paper else None
    return next((measured.summary.mean for measured in cell.ours if measured.line is line), None)
