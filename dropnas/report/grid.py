"""One of the paper's tables, or the baselines, as a frame of texts, the same for Markdown and LaTeX.

Design choice: what stands in a cell is decided once, here; the renderers only set it.
"""

from dropnas.report.frame import Frame, TextLine
from dropnas.report.model import Cell, Line, Row, Table
from dropnas.report.notes import provenance, warning
from dropnas.report.printed import NOTHING, title

SOURCE = ("Source", "")
NOT_RUN = "not run"


def frame(table: Table) -> Frame:
    """The columns are the paper's, with the source of each line after the labels."""
    return Frame(
        title=f"{title(table.name)} (profile {table.profile})",
        label=f"{table.name}-{table.profile}",
        caption=table.caption,
        warning=warning(table),
        header=header(table),
        labels=len(table.heads),
        lines=tuple(body(table)),
        provenance=provenance(table),
        notes=table.notes,
    )


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
