"""The tidy data behind a table: one line for each number, from which CSV, JSON, the terminal and the page are made.

Design choices: full precision, since programs read it; profile, reproduction and hardware are in every line of the
CSV, because lines are what is copied from one; several runs or values in one field are separated by a space.
"""

from collections.abc import Iterator
from dataclasses import asdict, fields
from typing import Any

import pandas

from dropnas.artifacts.table_file import TableFile, TableNumber, TrainedArchitecture
from dropnas.report.model import Cell, Line, Row, Table
from dropnas.report.notes import warning
from dropnas.report.printed import Column, Printed

SEVERAL = {"ours_values": " ", "runs": " ", "remarks": "; "}  # what joins the values of a field


def table_file(table: Table) -> TableFile:
    """The content of table.json."""
    cells = ((row, column, cell) for row in table.rows for column, cell in zip(table.columns, row.cells, strict=True))
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
        numbers=tuple(number for row, column, cell in cells for number in _numbers(row, column, cell)),
        architectures={one.row: TrainedArchitecture(one.run, one.genotype) for one in table.architectures},
    )


def data(table: TableFile) -> pandas.DataFrame:
    """All numbers of a table; what holds for the entire table is repeated in every line."""
    names = [field.name for field in fields(TableNumber)]
    frame = pandas.DataFrame([asdict(one) for one in table.numbers], columns=names, dtype=object)
    for name, separator in SEVERAL.items():
        frame[name] = [separator.join(map(str, values)) for values in frame[name]]
    frame.insert(0, "table", table.table)
    common = {"profile": table.profile, "reproduction": str(table.reproduction).lower()}
    return frame.assign(**common, data="; ".join(table.data), hardware="; ".join(table.hardware))


def csv(frame: pandas.DataFrame) -> str:
    """A frame as CSV, with the same line ends on every system."""
    text: str = frame.to_csv(index=False, lineterminator="\n")
    return text


def _numbers(row: Row, column: Column, cell: Cell) -> Iterator[TableNumber]:
    place: dict[str, Any] = {
        "row": row.key,
        "row_label": " ".join(row.heads),
        "column": column.key,
        "column_label": " ".join(filter(None, column.header)),
        "remarks": row.remarks,
        **_paper(cell.paper),
    }
    if not cell.ours:
        source = Line.QUOTED if row.lines[0] is Line.QUOTED else Line.PAPER
        yield TableNumber(quantity=column.quantity, source=source if cell.paper else "", **place)
    for one in cell.ours:
        summary = {f"ours_{name}": value for name, value in asdict(one.summary).items()}
        own: dict[str, Any] = {"ours": one.text, "n": one.summary.n, "runs": one.runs, **summary}
        yield TableNumber(quantity=one.quantity, source=one.line, **own, **place)


def _paper(printed: Printed | None) -> dict[str, Any]:
    if printed is None:
        return {}
    return {"paper": printed.text} | {f"paper_{name}": getattr(printed, name) for name in ("mean", "std", "best")}
