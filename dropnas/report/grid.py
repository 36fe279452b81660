"""One of the paper's tables, the baselines or the published architectures as a frame of texts.

Design choice: the content of a cell is decided once, here; the renderers and the page only set it.
"""

from dropnas.report.frame import Frame, TextLine, numbered
from dropnas.report.model import Cell, Line, Row, Table
from dropnas.report.notes import provenance, warning
from dropnas.report.printed import NOTHING, title

SOURCE, REMARKS = ("Source", ""), ("Remarks", "")
NOT_RUN = "not run"


def frame_of(table: Table) -> Frame:
    """The columns are the paper's, with the source of each line after the labels."""
    numbers, remarks = numbered([row.remarks for row in table.rows])
    last = (REMARKS,) if remarks else ()
    return Frame(
        title=f"{title(table.name)} (profile {table.profile})",
        label=f"{table.name}-{table.profile}",
        caption=table.caption,
        warning=warning(table),
        header=(*table.heads, SOURCE, *(column.header for column in table.columns), *last),
        labels=len(table.heads),
        lines=tuple(
            line
            for row, number in zip(table.rows, numbers, strict=True)
            for line in _lines(row, (number,) if remarks else ())
        ),
        provenance=provenance(table),
        notes=(*table.notes, *remarks),
    )


def _lines(row: Row, last: tuple[str, ...]) -> list[TextLine]:
    """A row's labels and remarks are in its first line only."""
    return [
        TextLine(
            (
                *(("",) * len(row.heads) if index else row.heads),
                line.value,
                *(text_of(cell, line) for cell in row.cells),
                *(("",) * len(last) if index else last),
            ),
            rule=row.rule and index == 0,
        )
        for index, line in enumerate(row.lines)
    ]


def text_of(cell: Cell, line: Line) -> str:
    """The content of a cell of a line."""
    if line in (Line.QUOTED, Line.PAPER):
        return cell.paper.text if cell.paper else NOTHING
    if line is not Line.COUNTED and not cell.run:
        return NOT_RUN
    return " ".join(one.text for one in cell.ours if one.line is line) if cell.ours else NOTHING
