"""A table with our numbers: its layout, and one tidy entry for each number. All its forms are made from these.

Design choices: the paper's layout is kept. Each row with runs of ours is split into lines: the paper's numbers, ours of
the final epoch, and ours of the best epoch on the test split. Both errors are thus directly below the printed number,
in the paper's own columns. Each of our numbers has the names of its runs. Every caveat is stated in the table's own
file, because tables are copied without their surroundings.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from dropnas.analysis.finished_runs import Run, distinct
from dropnas.analysis.summary import Summary
from dropnas.artifacts.table_file import TableFile, TableNumber, TrainedArchitecture
from dropnas.report.config import PublishedConfig, TableConfig
from dropnas.report.printed import NOTHING, Column, Layout, Printed, PrintedRow

CellKey = tuple[str, str]  # keys of row and column
NOT_RUN = "not run"
NO_REPRODUCTION = (
    "No reproduction of the paper: profile '{profile}' runs on other data or in other sizes. Rows and columns keep the "
    "paper's names only to show where the numbers stand."
)


class Line(StrEnum):
    """The origin of a number, as in the `Source` column of a table."""

    QUOTED = "quoted"  # the paper, in a row that we do not run
    PAPER = "paper"  # the paper, in a row that we do run
    FINAL = "ours, final epoch"
    BEST = "ours, best on test"
    COUNTED = "counted"  # for an architecture, whether it was trained or not


@dataclass(frozen=True)
class Table:
    """A complete table.

    Attributes:
        layout: the layout of the paper's table or of a further one, with our rows and columns.
        content: the content of table.json.
        ran: the cells that have runs of ours, even if the runs lack the quantity.
    """

    layout: Layout
    content: TableFile
    ran: Set[CellKey]

    @cached_property
    def cells(self) -> dict[CellKey, dict[str, TableNumber]]:
        """Our numbers by key and quantity, in the order of the table."""
        found: dict[CellKey, dict[str, TableNumber]] = {}
        for one in self.content.numbers:
            if one.n:
                found.setdefault((one.row, one.column), {})[one.quantity] = one
        return found

    @property
    def lines(self) -> Iterator[tuple[PrintedRow, Line]]:
        """The lines of the table, from the top."""
        for row in self.layout.rows:
            keys = [(row.key, column.key) for column in self.layout.columns]
            run = any(key in self.ran for key in keys)
            if not run or any(row.cells):
                yield row, Line.PAPER if run else Line.QUOTED
            if run:
                yield from ((row, Line.FINAL), (row, Line.BEST))
            if any(self.holds(key, Line.COUNTED) for key in keys):
                yield row, Line.COUNTED

    def holds(self, key: CellKey, line: Line) -> bool:
        """Whether a line of a cell has one of our numbers."""
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


Measure = Callable[[TableNumber], Sequence[TableNumber]]  # from an entry without our numbers to the numbers of its cell


def tabulate(
    config: TableConfig | PublishedConfig,
    layout: Layout,
    runs: Iterable[Run],
    measure: Measure,
    ran: Set[CellKey],
    notes: Sequence[str],
    architectures: Mapping[str, TrainedArchitecture],
    remarks: Mapping[str, tuple[str, ...]],
) -> Table:
    """Fill a layout; `remarks` has the remarks on each row."""
    read = list(runs)
    content = TableFile(
        table=config.table,
        number=layout.number,
        caption=layout.caption,
        profile=config.profile,
        reproduction=config.reproduction,
        warning="" if config.reproduction else NO_REPRODUCTION.format(profile=config.profile),
        data=distinct(run.data for run in read),
        hardware=distinct(run.device for run in read),
        notes=tuple(notes),
        row_header=" ".join(text for lines in layout.heads for text in lines if text),
        numbers=tuple(_numbers(layout, measure, ran, remarks)),
        architectures=dict(architectures),
    )
    return Table(layout, content, ran)


def _numbers(
    layout: Layout, measure: Measure, ran: Set[CellKey], remarks: Mapping[str, tuple[str, ...]]
) -> Iterator[TableNumber]:
    for row in layout.rows:
        source = Line.PAPER if any((row.key, column.key) in ran for column in layout.columns) else Line.QUOTED
        for column, printed in zip(layout.columns, row.cells, strict=True):
            blank = _blank(row, column, printed, source if printed else "", remarks.get(row.key, ()))
            yield from measure(blank) or [blank]


def _blank(
    row: PrintedRow, column: Column, printed: Printed | None, source: str, about: tuple[str, ...]
) -> TableNumber:
    """The entry of a cell without runs of ours."""
    paper = printed or Printed("")
    return TableNumber(
        row=row.key,
        row_label=" ".join(row.heads),
        column=column.key,
        column_label=" ".join(filter(None, column.header)),
        quantity=column.quantity,
        source=source,
        paper=paper.text,
        paper_mean=paper.mean,
        paper_std=paper.std,
        paper_best=paper.best,
        remarks=about,
    )


def summary_of(one: TableNumber) -> Summary:
    """The statistics of one of our numbers. Raises ValueError for an entry without one."""
    if one.ours_mean is None or one.ours_population_std is None or one.ours_best is None:
        raise ValueError(f"no number of ours in {one.row}, {one.column}")
    return Summary(one.ours_values, one.ours_mean, one.ours_std, one.ours_population_std, one.ours_best)
