"""Metrics of a training as a CSV file, results as JSON.

Design: one row an epoch, a header row, numbers by `repr` (the shortest text that reads back as the same number), JSON
with sorted keys, so that equal runs give equal bytes. An absent number (None) is an empty cell. No torch here.
"""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

Number = float | int | None
Row = dict[str, Number]


def write_csv(path: Path, rows: Sequence[Mapping[str, Number]]) -> None:
    """Write rows that all have the columns of the first one.

    Raises:
        ValueError: a row has other columns than the first.
    """
    columns = list(rows[0]) if rows else []
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        for row in rows:
            if list(row) != columns:
                raise ValueError(f"columns {list(row)} instead of {columns}")
            writer.writerow("" if value is None else repr(value) for value in row.values())


def write_json(path: Path, value: object) -> None:
    """Write a result as indented JSON; a number that is not finite is an error, since JSON has none."""
    path.write_text(json.dumps(value, sort_keys=True, indent=2, allow_nan=False) + "\n", encoding="utf-8")
