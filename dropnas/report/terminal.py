"""Finished tables in short, for a terminal: our numbers beside the paper's, in 100 columns.

Design choices: a plain string and no colours, so that a log shows the same; only what we ran, since the quoted rows
are in the files whose place is told; the label of a row has a line of its own, so that three numbers fit beside each
other.
"""

import io
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from dropnas.artifacts.table_file import TableCell, TableFile
from dropnas.report.model import Line
from dropnas.report.printed import NOTHING, title

WIDTH = 100
NUMBERS = ("Ours, final epoch", "Ours, best on test", "Paper")


def summary(folders: Sequence[Path]) -> str:
    """The tables in short, where each lies in full, and what all of them have to say of data, hardware and profile.

    Args:
        folders: run folders of tables.

    Raises:
        DropnasError: a folder holds no table.
    """
    stream = io.StringIO()
    console = Console(file=stream, width=WIDTH, color_system=None, highlight=False, markup=False, emoji=False)
    tables = [(folder, TableFile.read(folder)) for folder in folders]
    for folder, table in tables:
        console.print(_title(table))
        console.print(_grid(table))
        console.print(f"In full: {folder / table.table}.md\n", soft_wrap=True)
    console.print(*_foot([table for _, table in tables]), sep="\n")
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines()) + "\n"


def _title(table: TableFile) -> str:
    caption = table.caption.partition(". ")[0].rstrip(".")
    return textwrap.fill(f"{title(table.table)}: {caption} (profile {table.profile})", WIDTH)


def _grid(table: TableFile) -> Table:
    """Each row that we ran: its label, and under it a line for each of its columns."""
    grid = Table(table.row_header, *NUMBERS, box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    columns = {column.column: column.label for column in table.columns}
    for row in table.rows:
        filled = [cell for cell in row.cells if _text(cell, Line.FINAL) or _text(cell, Line.BEST)]
        if filled:
            grid.add_row(row.label)
        for cell in filled:
            paper = cell.paper.text if cell.paper else NOTHING
            grid.add_row(f"  {columns[cell.column]}", _text(cell, Line.FINAL), _text(cell, Line.BEST), paper)
    return grid


def _text(cell: TableCell, line: Line) -> str:
    return " ".join(measured.text for measured in cell.ours if measured.source == line)


def _foot(tables: list[TableFile]) -> Iterator[str]:
    """What the tables have in common, each told once."""
    data, hardware = _distinct(table.data for table in tables), _distinct(table.hardware for table in tables)
    yield f"Data: {', '.join(data)}. Hardware: {', '.join(hardware)}."
    yield from sorted({table.warning for table in tables} - {""})


def _distinct(texts: Iterable[Iterable[str]]) -> list[str]:
    return sorted({text for of_table in texts for text in of_table})
