"""A table as the page shows it: each of our numbers links to its runs and has its verdict."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dropnas.artifacts.verdicts_file import CellVerdict
from dropnas.report.frame import Frame, markdown
from dropnas.report.render_latex import latex
from dropnas.report.table import REMARKS_COLUMN, SOURCE_COLUMN, Line, Table, frame_of
from dropnas.report.verdicts import BEST_ON_TEST

LINKED = {Line.FINAL: "final", Line.BEST: "best", Line.COUNTED: "counted"}
CellPosition = tuple[int, int]  # line and column of a frame


@dataclass(frozen=True)
class PageTable:
    """A table.

    Attributes:
        frame: its texts.
        anchors: the link target of each cell, by position.
        marks: the verdicts in each cell, by position; the best seed's verdict comes before the mean's.
        verdicts: all verdicts of the table.
    """

    name: str
    frame: Frame
    anchors: Mapping[CellPosition, str] = field(default_factory=dict)
    marks: Mapping[CellPosition, Sequence[CellVerdict]] = field(default_factory=dict)
    verdicts: Sequence[CellVerdict] = ()

    @property
    def words(self) -> list[int]:
        """The indices of the columns that contain no numbers."""
        return [
            at
            for at, one in enumerate(self.frame.header)
            if at < self.frame.labels or one in (SOURCE_COLUMN, REMARKS_COLUMN)
        ]

    @property
    def spans(self) -> list[int]:
        """For each line, the number of lines that its labels span; 0 if the labels of a line above span it."""
        starts = [at for at, line in enumerate(self.frame.lines) if line.texts[0]]
        ends = dict(zip(starts, [*starts[1:], len(self.frame.lines)], strict=True))
        return [ends.get(at, at) - at for at in range(len(self.frame.lines))]

    @property
    def tally(self) -> Counter[str]:
        """The number of verdicts of each kind."""
        return Counter(str(one.verdict) for one in self.verdicts)

    @property
    def copies(self) -> dict[str, str]:
        """The texts that the copy buttons copy."""
        return {"Markdown": markdown(self.frame), "LaTeX": latex(self.frame)}


def page_table(table: Table, verdicts: Sequence[CellVerdict] = ()) -> PageTable:
    """Prepare a table for the page: link its numbers and attach its verdicts."""
    anchors, marks = dict[CellPosition, str](), dict[CellPosition, list[CellVerdict]]()
    first = len(table.layout.heads) + 1  # the source column is between the labels and the numbers
    errors = [one for one in reversed(verdicts) if BEST_ON_TEST in one.quantity]
    for at, (row, line) in enumerate(table.lines):
        for index, column in enumerate(table.layout.columns, first):
            key = (row.key, column.key)
            if table.holds(key, line):
                anchors[at, index] = anchor(table.content.table, *key, line)
                marks[at, index] = [one for one in errors if line is Line.BEST and (one.row, one.column) == key]
    return PageTable(table.content.table, frame_of(table), anchors, marks, verdicts)


def anchor(table: str, row: str, column: str, line: str = Line.BEST) -> str:
    """The anchor of a number's evidence on the page; it does not change when rows are added."""
    return f"from-{table}-{row}-{column}-{LINKED[Line(line)]}"
