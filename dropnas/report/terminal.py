"""Short versions of finished tables for a terminal of 100 columns, with our numbers and the paper's.

Design choices: the output is plain text without colours, as in logs. Only the rows with our runs are included; the path
of the full table is printed as well. A row's label has its own line, so that three numbers fit next to each other.
"""

import textwrap
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from dropnas.artifacts.table_file import TableFile
from dropnas.report.printed import NOTHING, title
from dropnas.report.table import TRAINED_LINES

TERMINAL_WIDTH = 100
NUMBER_COLUMNS = ("Ours, final epoch", "Ours, best on test", "Paper")


def summary(folders: Sequence[Path]) -> str:
    """Summarise the tables in these run folders, and name their files, profiles, data and hardware."""
    console = Console(width=TERMINAL_WIDTH, color_system=None, highlight=False, markup=False, emoji=False)
    tables = [(folder, TableFile.read(folder)) for folder in folders]
    with console.capture() as captured:
        for folder, table in tables:
            caption = table.caption.partition(". ")[0].rstrip(".")
            console.print(textwrap.fill(f"{title(table.table)}: {caption} (profile {table.profile})", TERMINAL_WIDTH))
            console.print(_grid(table))
            console.print(f"In full: {folder / table.table}.md\n", soft_wrap=True)
        data, hardware = (
            ", ".join(sorted({one for _, table in tables for one in getattr(table, name)}))
            for name in ("data", "hardware")
        )
        warnings = sorted({table.warning for _, table in tables} - {""})
        console.print(f"Data: {data}. Hardware: {hardware}.", *warnings, sep="\n")
    return "\n".join(line.rstrip() for line in captured.get().splitlines()) + "\n"


def _grid(table: TableFile) -> Table:
    """The rows with our runs: for each, a line with its label, then a line for each column."""
    grid = Table(table.row_header, *NUMBER_COLUMNS, box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    ours = [one for one in table.numbers if one.source in TRAINED_LINES]
    for (_, label), of_row in groupby(ours, lambda one: (one.row, one.row_label)):
        grid.add_row(label.removesuffix(f" {NOTHING}"))
        for _, of_cell in groupby(of_row, lambda one: one.column):
            cell = list(of_cell)
            texts = (" ".join(one.ours for one in cell if one.source == line) for line in TRAINED_LINES)
            grid.add_row(f"  {cell[0].column_label}", *texts, cell[0].paper or NOTHING)
    return grid
