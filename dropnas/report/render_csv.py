"""A table as tidy CSV: one line for each cell and quantity, with everything that the other formats say around it.

Design choices: full precision (`repr`), since a program reads it; several runs or values in one field are separated by
a space; profile, reproduction and hardware stand in every line, because lines are what is copied from a CSV.
"""

import csv
import io
from collections.abc import Iterator

from dropnas.report.model import Cell, Line, Measurement, Row, Table
from dropnas.report.printed import Column, Printed

FIELDS = (
    "table",
    "row",
    "row_label",
    "column",
    "column_label",
    "quantity",
    "source",
    "ours",
    "ours_mean",
    "ours_std",
    "ours_population_std",
    "n",
    "ours_best",
    "ours_values",
    "paper",
    "paper_mean",
    "paper_std",
    "paper_best",
    "runs",
    "profile",
    "reproduction",
    "data",
    "hardware",
)


def tidy_csv(table: Table) -> str:
    """The whole file."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, FIELDS, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(_lines(table))
    return stream.getvalue()


def _lines(table: Table) -> Iterator[dict[str, object]]:
    common = {
        "table": table.name,
        "profile": table.profile,
        "reproduction": str(table.reproduction).lower(),
        "data": "; ".join(table.data),
        "hardware": "; ".join(table.hardware),
    }
    for row in table.rows:
        for column, cell in zip(table.columns, row.cells, strict=True):
            for quantity in _quantities(row, column, cell):
                yield common | _place(row, column) | _paper(cell.paper) | quantity


def _place(row: Row, column: Column) -> dict[str, object]:
    return {
        "row": row.key,
        "row_label": " ".join(row.heads),
        "column": column.key,
        "column_label": " ".join(filter(None, column.header)),
    }


def _quantities(row: Row, column: Column, cell: Cell) -> Iterator[dict[str, object]]:
    if cell.ours:
        yield from map(_measured, cell.ours)
    else:
        source = Line.QUOTED if row.lines == (Line.QUOTED,) else Line.PAPER
        yield {"quantity": column.quantity, "source": source.value if cell.paper else ""}


def _measured(measured: Measurement) -> dict[str, object]:
    summary = measured.summary
    return {
        "quantity": measured.quantity,
        "source": measured.line.value,
        "ours": measured.text,
        "ours_mean": repr(summary.mean),
        "ours_std": "" if summary.std is None else repr(summary.std),
        "ours_population_std": repr(summary.population_std),
        "n": summary.n,
        "ours_best": repr(summary.best),
        "ours_values": " ".join(map(repr, summary.values)),
        "runs": " ".join(measured.runs),
    }


def _paper(printed: Printed | None) -> dict[str, object]:
    if printed is None:
        return {}
    numbers = {"paper_mean": printed.mean, "paper_std": printed.std, "paper_best": printed.best}
    shown = {name: repr(value) for name, value in numbers.items() if value is not None}
    return {"paper": printed.text, **shown}
