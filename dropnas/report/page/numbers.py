"""Each number of ours with the runs that it comes from."""

from collections.abc import Iterator
from dataclasses import dataclass

from dropnas.report.model import Cell, Line, Table
from dropnas.report.page.lines import anchor
from dropnas.report.printed import title

ERROR = "_error_"  # in the name of a quantity that each run has for itself


@dataclass(frozen=True)
class Source:
    """A run behind a number: its id, its folder's name, and its own value where the number is made of one each."""

    id: str
    name: str
    value: str


@dataclass(frozen=True)
class Number:
    """A number of a table and the runs behind it."""

    anchor: str
    table: str
    name: str
    row: str
    column: str
    line: str
    text: str
    n: int
    sources: tuple[Source, ...]


def numbers(table: Table) -> list[Number]:
    """Every number of ours in a table, in its order."""
    return [number for row in range(len(table.rows)) for number in _of_row(table, row)]


def _of_row(table: Table, index: int) -> Iterator[Number]:
    row = table.rows[index]
    for place, (column, cell) in enumerate(zip(table.columns, row.cells, strict=True)):
        for line in (Line.FINAL, Line.BEST):
            measured = [one for one in cell.ours if one.line is line]
            if measured:
                yield Number(
                    anchor=anchor(table, index, place, line),
                    table=title(table.name),
                    name=table.name,
                    row=" ".join(row.heads),
                    column=" ".join(filter(None, column.header)),
                    line=line.value,
                    text=" ".join(one.text for one in measured),
                    n=measured[0].summary.n,
                    sources=_sources(cell, line),
                )


def _sources(cell: Cell, line: Line) -> tuple[Source, ...]:
    first = next(one for one in cell.ours if one.line is line)
    each = ERROR in first.quantity  # one value a run; a count or a cost is of all of them
    values = [f"{value:.2f}" for value in first.summary.values] if each else [""] * len(first.runs)
    return tuple(Source(identity(name), name, value) for name, value in zip(first.runs, values, strict=True))


def identity(folder: str) -> str:
    """The id in the name of a run's folder."""
    return folder.rpartition("-")[2]
