"""The numbers of ours in finished tables, as one JSON: table, row, column, then plain numbers; a few for DVC."""

from collections.abc import Sequence
from pathlib import Path

from dropnas.artifacts.table_file import TableFile
from dropnas.report.model import Line

ERROR = "top1_error_final_mean"
Metrics = dict[str, dict[str, dict[str, dict[str, float]]]]
STATISTICS = {"mean": "ours_mean", "std": "ours_std", "best": "ours_best", "n": "n"}


def metrics(folders: Sequence[Path]) -> Metrics:
    """Our numbers in some tables.

    Args:
        folders: run folders of tables.

    Returns:
        {table: {row: {column: {quantity_mean, quantity_std, quantity_best, quantity_n}}}}; a cell that no run of ours
        fills is left out, and so are the deviation of a single run and the size of a published network.

    Raises:
        DropnasError: a folder holds no table.
    """
    return {table.table: _rows(table) for table in map(TableFile.read, folders)}


def lowest_errors(found: Metrics) -> dict[str, dict[str, float]]:
    """One number for each table, so that `dvc metrics show` and `diff` fit on a screen: the lowest mean final error."""
    errors = {
        table: [numbers[ERROR] for cells in rows.values() for numbers in cells.values() if ERROR in numbers]
        for table, rows in found.items()
    }
    return {"lowest_error": {table: round(min(values), 2) for table, values in errors.items() if values}}


def _rows(table: TableFile) -> dict[str, dict[str, dict[str, float]]]:
    rows: dict[str, dict[str, dict[str, float]]] = {}
    for one in table.numbers:
        if one.n and one.source != Line.COUNTED:
            values = {f"{one.quantity}_{name}": getattr(one, field) for name, field in STATISTICS.items()}
            known = {name: value for name, value in values.items() if value is not None}
            rows.setdefault(one.row, {}).setdefault(one.column, {}).update(known)
    return rows
