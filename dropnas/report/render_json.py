"""A table as JSON: all numbers of all cells, each of ours with the run folders that it comes from.

Design choices: this is what programs read, the metrics and the text on the terminal among them; keys of rows and
columns are the stable ones of the configuration, and texts that are shown lie beside the numbers.
"""

import json
from dataclasses import asdict
from typing import Any

from dropnas.report.model import Cell, Measurement, Row, Table
from dropnas.report.notes import warning


def table_json(table: Table) -> str:
    """The whole file."""
    return json_text(table_content(table))


def json_text(content: dict[str, Any]) -> str:
    """The same text for equal values; a number that is not finite is an error."""
    return json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def table_content(table: Table) -> dict[str, Any]:
    """The table as plain values."""
    return {
        "table": table.name,
        "number": table.number,
        "caption": table.caption,
        "profile": table.profile,
        "reproduction": table.reproduction,
        "warning": warning(table),
        "data": table.data,
        "hardware": table.hardware,
        "notes": table.notes,
        "row_header": " ".join(text for lines in table.heads for text in lines if text),
        "columns": [
            {"column": column.key, "label": " ".join(filter(None, column.header)), "quantity": column.quantity}
            for column in table.columns
        ],
        "rows": [_row(table, row) for row in table.rows],
        "architectures": {one.row: {"run": one.run, "genotype": one.genotype} for one in table.architectures},
    }


def _row(table: Table, row: Row) -> dict[str, Any]:
    return {
        "row": row.key,
        "label": " ".join(row.heads),
        "cells": [_cell(column.key, cell) for column, cell in zip(table.columns, row.cells, strict=True)],
    }


def _cell(column: str, cell: Cell) -> dict[str, Any]:
    return {
        "column": column,
        "paper": None if cell.paper is None else asdict(cell.paper),
        "ours": [_measured(measured) for measured in cell.ours],
    }


def _measured(measured: Measurement) -> dict[str, Any]:
    return {
        "quantity": measured.quantity,
        "source": measured.line.value,
        "text": measured.text,
        "n": measured.summary.n,
        **asdict(measured.summary),
        "runs": measured.runs,
    }
