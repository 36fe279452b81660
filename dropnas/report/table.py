"""A table with our numbers. It consists of a layout and one tidy entry for each number.

All output formats are generated from these.

Design choices: the paper's layout is kept. A row for which we have runs is split into lines: one for the paper's
numbers, one for ours at the final epoch, and one for ours at the epoch that is best on the test split. Our errors thus
appear directly below the printed ones. Each of our numbers is stored with the names of the runs that it comes from.
Every caveat is stated in the table's own file, because tables are copied without their context. Files contain neither
times nor hosts, so identical runs give byte-identical tables.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from pathlib import Path

import pandas

from dropnas.analysis.finished_runs import FinishedRun, distinct
from dropnas.artifacts.table_file import TableFile, TableNumber, TrainedArchitecture
from dropnas.report.config import PublishedConfig, TableConfig
from dropnas.report.frame import Frame, TextLine, csv, markdown, numbered, tidy
from dropnas.report.printed import NOTHING, Column, Layout, Printed, PrintedRow, title
from dropnas.report.render_latex import latex

CellKey = tuple[str, str]  # keys of row and column
Measure = Callable[[TableNumber], Sequence[TableNumber]]  # returns the measured entries for the blank entry of a cell
NOT_RUN = "not run"
TABLE_REMARK = (
    "Not a reproduction of the paper: profile '{profile}' uses other data or other sizes. Rows and columns keep the "
    "paper's names only to show where each number belongs."
)
SOURCE_COLUMN, REMARKS_COLUMN = ("Source", ""), ("Remarks", "")


class Line(StrEnum):
    """The origin of a number, as in the `Source` column of a table."""

    QUOTED = "quoted"  # from the paper, in a row for which we have no runs
    PAPER = "paper"  # from the paper, in a row for which we have runs
    FINAL = "ours, final epoch"
    BEST = "ours, best on test"
    COUNTED = "counted"  # parameters or multiply-adds of an architecture, whether it was trained or not


TRAINED_LINES = (Line.FINAL, Line.BEST)


@dataclass(frozen=True)
class Table:
    """A complete table."""

    layout: Layout  # including the rows and columns that we added
    content: TableFile

    @cached_property
    def cells(self) -> dict[CellKey, dict[str, TableNumber]]:
        """Our numbers by cell and quantity, in the order of the table."""
        found: dict[CellKey, dict[str, TableNumber]] = {}
        for one in self.content.numbers:
            if one.n:
                found.setdefault((one.row, one.column), {})[one.quantity] = one
        return found

    @cached_property
    def ran(self) -> Set[CellKey]:
        """The cells for which we have runs. If each row is a method, a run counts for all cells of its row."""
        cells = {(one.row, one.column) for one in self.content.numbers if one.source in TRAINED_LINES}
        rows = {row for row, _ in cells} if self.layout.row_is_method else set()
        return cells | {(row, column.key) for row in rows for column in self.layout.columns}

    @property
    def lines(self) -> Iterator[tuple[PrintedRow, Line]]:
        """The lines of the table, from the top."""
        for row in self.layout.rows:
            keys = [(row.key, column.key) for column in self.layout.columns]
            run = not self.ran.isdisjoint(keys)
            if not run or any(row.cells):
                yield row, Line.PAPER if run else Line.QUOTED
            if run:
                yield from ((row, line) for line in TRAINED_LINES)
            if any(self.holds(key, Line.COUNTED) for key in keys):
                yield row, Line.COUNTED

    def holds(self, key: CellKey, line: Line) -> bool:
        """Whether a cell contains one of our numbers on this line."""
        return any(one.source == line for one in self.cells.get(key, {}).values())

    def text(self, row: PrintedRow, at: int, line: Line) -> str:
        """The text of a cell, given by its row, its column and the line within the row."""
        key, printed = (row.key, self.layout.columns[at].key), row.cells[at]
        if line in (Line.QUOTED, Line.PAPER):
            return printed.text if printed else NOTHING
        if line is not Line.COUNTED and key not in self.ran:
            return NOT_RUN
        ours = self.cells.get(key, {}).values()
        return " ".join(one.ours for one in ours if one.source == line) if ours else NOTHING

    def write(self, out: Path) -> None:
        """Write table.json and, under the table's name, Markdown, CSV and LaTeX."""
        self.content.write(out)
        frame = frame_of(self)
        for suffix, text in (("md", markdown(frame)), ("csv", csv(data(self.content))), ("tex", latex(frame))):
            (out / f"{self.content.table}.{suffix}").write_text(text, encoding="utf-8")


def warning(profile: str, reproduction: bool) -> str:
    """The warning in a table whose profile is not a reproduction; empty for a reproduction."""
    return "" if reproduction else TABLE_REMARK.format(profile=profile)


def tabulate(
    config: TableConfig | PublishedConfig,
    layout: Layout,
    runs: Sequence[FinishedRun],
    measure: Measure,
    notes: Sequence[str],
    architectures: Mapping[str, TrainedArchitecture] | None = None,
    remarks: Mapping[str, Sequence[str]] | None = None,
) -> Table:
    """Fill a layout. The mappings `architectures` and `remarks` are keyed by row."""
    content = TableFile(
        table=config.table,
        number=layout.number,
        caption=layout.caption,
        profile=config.profile,
        reproduction=config.reproduction,
        warning=warning(config.profile, config.reproduction),
        data=distinct(run.data for run in runs),
        hardware=distinct(run.device for run in runs),
        notes=tuple(notes),
        row_header=" ".join(text for lines in layout.heads for text in lines if text),
        numbers=tuple(
            number for row in layout.rows for number in _row(layout, row, measure, (remarks or {}).get(row.key, ()))
        ),
        architectures=dict(architectures or {}),
    )
    return Table(layout, content)


def _row(layout: Layout, row: PrintedRow, measure: Measure, remarks: Sequence[str]) -> Iterator[TableNumber]:
    """Our numbers in a row, or the paper's number where we have none."""
    blanks = [
        _blank(row, column, printed, tuple(remarks)) for column, printed in zip(layout.columns, row.cells, strict=True)
    ]
    measured = [measure(blank) for blank in blanks]
    run = any(number.source in TRAINED_LINES for numbers in measured for number in numbers)
    for blank, numbers in zip(blanks, measured, strict=True):
        source = (Line.PAPER if run else Line.QUOTED) if blank.paper else ""
        yield from numbers or [replace(blank, source=source)]


def _blank(row: PrintedRow, column: Column, printed: Printed | None, remarks: tuple[str, ...]) -> TableNumber:
    """Make the entry of a cell, with the paper's number but none of ours."""
    paper = printed or Printed("")
    return TableNumber(
        row=row.key,
        row_label=" ".join(row.heads),
        column=column.key,
        column_label=" ".join(filter(None, column.header)),
        quantity=column.quantity,
        source="",
        paper=paper.text,
        paper_mean=paper.mean,
        paper_std=paper.std,
        paper_best=paper.best,
        remarks=remarks,
    )


def data(table: TableFile) -> pandas.DataFrame:
    """Make a data frame with one row for each number; every row repeats the table's profile, data and hardware."""
    frame = tidy(table.numbers, TableNumber, {"ours_values": " ", "runs": " ", "remarks": "; "})
    frame.insert(0, "table", table.table)
    common = {"profile": table.profile, "reproduction": str(table.reproduction).lower()}
    return frame.assign(**common, data="; ".join(table.data), hardware="; ".join(table.hardware))


def frame_of(table: Table) -> Frame:
    """Convert a table to text. Each line has labels, the source, the numbers and, if the table has any, remarks."""
    layout, content = table.layout, table.content
    of_row, remarks = numbered({one.row: one.remarks for one in content.numbers})
    lines: list[TextLine] = []
    before = None
    for row, line in table.lines:  # only the first line of a row has labels and remarks
        first, before = row is not before, row
        heads = row.heads if first else ("",) * len(row.heads)
        texts = (table.text(row, at, line) for at in range(len(layout.columns)))
        last = ((of_row[row.key] if first else ""),) if remarks else ()
        lines.append(TextLine((*heads, line.value, *texts, *last), rule=row.rule and first))
    provenance = f"Data: {', '.join(content.data)}. Hardware: {', '.join(content.hardware)}."
    return Frame(
        title=f"{title(content.table)} (profile {content.profile})",
        label=f"{content.table}-{content.profile}",
        caption=content.caption,
        warning=content.warning,
        header=(
            *layout.heads,
            SOURCE_COLUMN,
            *(one.header for one in layout.columns),
            *((REMARKS_COLUMN,) if remarks else ()),
        ),
        labels=len(layout.heads),
        lines=tuple(lines),
        provenance=f"Profile: {content.profile}. {provenance if content.hardware else 'No runs of ours.'}",
        notes=(*content.notes, *remarks),
    )
