"""A table as its file: all numbers of all cells, each of ours with the run folders that it comes from.

Design choices: this is what programs read, the metrics and the text on the terminal among them; keys of rows and
columns are the stable ones of the configuration, and texts that are shown lie beside the numbers.
"""

from dataclasses import asdict

from dropnas.artifacts.table_file import (
    Measured,
    PaperNumber,
    TableCell,
    TableColumn,
    TableFile,
    TableRow,
    TrainedArchitecture,
)
from dropnas.report.model import Cell, Measurement, Row, Table
from dropnas.report.notes import warning


def table_file(table: Table) -> TableFile:
    """The content of table.json."""
    return TableFile(
        table=table.name,
        number=table.number,
        caption=table.caption,
        profile=table.profile,
        reproduction=table.reproduction,
        warning=warning(table),
        data=table.data,
        hardware=table.hardware,
        notes=table.notes,
        row_header=" ".join(text for lines in table.heads for text in lines if text),
        columns=tuple(
            TableColumn(column.key, " ".join(filter(None, column.header)), column.quantity) for column in table.columns
        ),
        rows=tuple(_row(table, row) for row in table.rows),
        architectures={one.row: TrainedArchitecture(one.run, one.genotype) for one in table.architectures},
    )


def _row(table: Table, row: Row) -> TableRow:
    cells = (_cell(column.key, cell) for column, cell in zip(table.columns, row.cells, strict=True))
    return TableRow(row.key, " ".join(row.heads), tuple(cells))


def _cell(column: str, cell: Cell) -> TableCell:
    paper = None if cell.paper is None else PaperNumber(**asdict(cell.paper))
    return TableCell(column, paper, tuple(_measured(measured) for measured in cell.ours))


def _measured(one: Measurement) -> Measured:
    summary = asdict(one.summary)
    return Measured(one.quantity, one.line.value, one.text, one.summary.n, **summary, runs=one.runs)
