"""metrics.csv: the metrics of a training, with one row for each epoch.

Design choices: numbers are written by `repr`, the shortest text that reads back as the same number. A missing number
(None) is an empty cell.
"""

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from dropnas.errors import DropnasError

METRICS = "metrics.csv"
MetricValue = float | int | None
Row = dict[str, MetricValue]


@dataclass(frozen=True)
class MetricsFile:
    rows: Sequence[Mapping[str, MetricValue]]

    def write(self, folder: Path) -> None:
        """Write the file into the folder of a run.

        Raises a ValueError if the columns of a row differ from those of the first row.
        """
        columns = list(self.rows[0]) if self.rows else []
        with (folder / METRICS).open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(columns)
            for row in self.rows:
                if list(row) != columns:
                    raise ValueError(f"columns {list(row)} differ from {columns}")
                writer.writerow("" if value is None else repr(value) for value in row.values())

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read the metrics of a run.

        Raises a DropnasError if the file is missing, a row has more or fewer cells than the header, or a cell is
        neither empty nor a finite number.
        """
        path = folder / METRICS
        try:
            columns, *lines = csv.reader(path.read_text(encoding="utf-8").splitlines())
            rows = [dict(zip(columns, map(_number, line), strict=True)) for line in lines]
        except (OSError, ValueError) as error:
            raise DropnasError(f"cannot be read ({error})", where=path, remedy="run `verify`") from error
        return cls(rows)


def _number(text: str) -> MetricValue:
    if not text or text.removeprefix("-").isdecimal():
        return int(text) if text else None
    if not math.isfinite(value := float(text)):
        raise ValueError(f"{text!r} is not a finite number")
    return value
