"""One table with the paper's numbers and ours, typed; all formats are set from it.

Design choices: the paper's layout is kept as it is, and each row that has runs of ours is opened into three lines: the
paper's numbers, ours of the final epoch, ours of the best epoch on the test split. So both errors stand right below
the printed number, in the paper's own columns, however many columns there are. A measurement carries the names of the
runs that it comes from; no number of ours exists without them.
"""

from dataclasses import dataclass
from enum import StrEnum

from dropnas.analysis.summary import Summary
from dropnas.artifacts.genotype_file import GenotypeFile
from dropnas.report.printed import Column, Printed


class Line(StrEnum):
    """Where a number comes from; what the `Source` column of a table says."""

    QUOTED = "quoted"  # the paper, in a row that we do not run
    PAPER = "paper"  # the paper, in a row that we do run
    FINAL = "ours, final epoch"
    BEST = "ours, best on test"
    COUNTED = "counted"  # of an architecture, whether it was trained or not


@dataclass(frozen=True)
class Measurement:
    """One quantity of ours in one cell.

    Attributes:
        quantity: its name in CSV and JSON, with its convention or epoch.
        line: the line of its row that contains it.
        text: as it is shown.
        summary: the statistics behind the text.
        runs: names of the run folders that the values come from, in their order.
    """

    quantity: str
    line: Line
    text: str
    summary: Summary
    runs: tuple[str, ...]


@dataclass(frozen=True)
class Cell:
    """One cell.

    Attributes:
        paper: what the paper prints; None if it has no such cell.
        run: whether it comes from runs of ours.
        ours: what they measured; nothing where they have no such quantity (a top-5 error of few classes).
    """

    paper: Printed | None
    run: bool
    ours: tuple[Measurement, ...]


@dataclass(frozen=True)
class Row:
    """One row of a table.

    Attributes:
        key: its key in the paper's layout or in the entry of a user's method.
        heads: the texts of its label columns.
        cells: one for each column of the table.
        rule: whether a line is drawn above it.
        remarks: what there is to say of it.
    """

    key: str
    heads: tuple[str, ...]
    cells: tuple[Cell, ...]
    rule: bool
    remarks: tuple[str, ...] = ()

    @property
    def lines(self) -> tuple[Line, ...]:
        """The lines that the row is opened into."""
        run = any(cell.run for cell in self.cells)
        ours = (Line.FINAL, Line.BEST) if run else ()
        counted = any(one.line is Line.COUNTED for cell in self.cells for one in cell.ours)
        paper = (Line.PAPER if run else Line.QUOTED,) if not run or any(cell.paper for cell in self.cells) else ()
        return (*paper, *ours, *((Line.COUNTED,) if counted else ()))


@dataclass(frozen=True)
class Architecture:
    """The architecture whose parameters a row shows: the training with the lowest error of any epoch, and its cells."""

    row: str
    run: str
    genotype: GenotypeFile


@dataclass(frozen=True)
class Table:
    """A whole table.

    Attributes:
        name, number, caption: which table of the paper it is; the baselines have no number.
        profile, reproduction: whose numbers ours are, and whether they may be compared with the paper's.
        hardware: distinct device models of all runs that were read.
        data: distinct names of the data sets that they were trained on.
        heads, columns, rows: the table itself.
        notes: one plain sentence each, on how to read it.
        architectures: of the rows that show parameters.
    """

    name: str
    number: int | None
    caption: str
    profile: str
    reproduction: bool
    hardware: tuple[str, ...]
    data: tuple[str, ...]
    heads: tuple[tuple[str, str], ...]
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...]
    architectures: tuple[Architecture, ...]
