"""The numbers of ours in finished tables, as one JSON for DVC's metrics: table, row, column, then plain numbers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dropnas.report.model import Line
from dropnas.runs.files import read_json

TABLE = "table.json"
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
    tables = [read_json(folder / TABLE) for folder in folders]
    return {table["table"]: _rows(table) for table in tables}


def _rows(table: dict[str, Any]) -> dict[str, dict[str, dict[str, float]]]:
    rows = {
        row["row"]: {cell["column"]: _numbers(cell) for cell in row["cells"] if _measured(cell)}
        for row in table["rows"]
    }
    return {row: cells for row, cells in rows.items() if cells}


def _measured(cell: dict[str, Any]) -> list[dict[str, Any]]:
    """What runs measured; the size of a published network is no result of theirs."""
    return [measured for measured in cell["ours"] if measured["source"] != Line.COUNTED]


def _numbers(cell: dict[str, Any]) -> dict[str, float]:
    return {
        f"{measured['quantity']}_{statistic}": measured[statistic]
        for measured in _measured(cell)
        for statistic in ("mean", "std", "best", "n")
        if measured[statistic] is not None
    }
