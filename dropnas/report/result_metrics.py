"""The numbers of ours in finished tables, as one JSON: table, row, column, then plain numbers; a few for DVC."""

from collections.abc import Sequence
from pathlib import Path

from dropnas.artifacts.table_file import Measured, TableCell, TableFile
from dropnas.report.model import Line

ERROR = "top1_error_final_mean"
Metrics = dict[str, dict[str, dict[str, dict[str, float]]]]


def metrics(folders: Sequence[Path]) -> Metrics:
    """Our numbers in some tables.

    Args:
        folders: run folders of tables.

    Returns:
        {table: {row: {column: {quantity_mean, quantity_std, quantity_best, quantity_n}}}}; a cell that no run of ours
        fills is left out, and so is the deviation of a single run.

    Raises:
        DropnasError: a folder holds no table.
    """
    tables = [TableFile.read(folder) for folder in folders]
    return {table.table: _rows(table) for table in tables}


def lowest_errors(found: Metrics) -> dict[str, dict[str, float]]:
    """One number for each table, so that `dvc metrics show` and `diff` fit on a screen: the lowest mean final error."""
    errors = {
        table: [numbers[ERROR] for cells in rows.values() for numbers in cells.values() if ERROR in numbers]
        for table, rows in found.items()
    }
    return {"lowest_error": {table: round(min(values), 2) for table, values in errors.items() if values}}


def _rows(table: TableFile) -> dict[str, dict[str, dict[str, float]]]:
    rows = {row.row: {cell.column: _numbers(cell) for cell in row.cells if _measured(cell)} for row in table.rows}
    return {row: cells for row, cells in rows.items() if cells}


def _measured(cell: TableCell) -> list[Measured]:
    """What runs measured; the size of a published network is no result of theirs."""
    return [measured for measured in cell.ours if measured.source != Line.COUNTED]


def _numbers(cell: TableCell) -> dict[str, float]:
    return {
        f"{measured.quantity}_{statistic}": value
        for measured in _measured(cell)
        for statistic in ("mean", "std", "best", "n")
        if (value := getattr(measured, statistic)) is not None
    }
