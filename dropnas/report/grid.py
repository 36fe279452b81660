"""A table as lines of text, the same for Markdown and LaTeX.

Design choices: what stands in a cell is decided once, here; the renderers only set it. The texts are Unicode as in the
paper's data file; a renderer that cannot show them translates.
"""

from dataclasses import dataclass

from dropnas.report.model import Cell, Line, Row, Table
from dropnas.report.printed import NOTHING

SOURCE = ("Source", "")
NOT_RUN = "not run"


@dataclass(frozen=True)
class TextLine:
    """One line of a table: the label columns, the source, the numbers; and whether a rule is drawn above it."""

    texts: tuple[str, ...]
    rule: bool


def header(table: Table) -> tuple[tuple[str, str], ...]:
    """The two header lines of each column."""
    return (*table.heads, SOURCE, *(column.header for column in table.columns))


def body(table: Table) -> list[TextLine]:
    """All lines of a table, in order."""
    return [line for row in table.rows for line in _lines(row)]


def _lines(row: Row) -> list[TextLine]:
    """A row's labels stand in its first line only."""
    blank = ("",) * len(row.heads)
    return [
        TextLine(
            (*(blank if index else row.heads), line.value, *(_text(cell, line) for cell in row.cells)),
            rule=row.rule and index == 0,
        )
        for index, line in enumerate(row.lines)
    ]


def _text(cell: Cell, line: Line) -> str:
    if line in (Line.QUOTED, Line.PAPER):
        return cell.paper.text if cell.paper else NOTHING
    if not cell.run:
        return NOT_RUN
    if not cell.ours:
        return NOTHING
    return " ".join(measured.text for measured in cell.ours if measured.line is line)
