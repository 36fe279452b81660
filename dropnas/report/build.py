"""From a table's configuration and its runs to the table: the paper's layout with our measurements in its cells.

Design choices: the order is the paper's always; a method that the paper does not have comes after the paper's own, in
a row (Tables 1-3) or a column (Tables 4 and 6), and a search space in a row (Table 4); an entry that fits nowhere is
refused, so that no run is lost silently.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from dropnas.analysis.finished_runs import Run, Training, distinct, read_training, require_stage
from dropnas.errors import DropnasError
from dropnas.report.config import Entry, TableConfig
from dropnas.report.measure import measure, selected
from dropnas.report.model import Architecture, Cell, Row, Table
from dropnas.report.notes import notes
from dropnas.report.printed import Column, Layout, Printed, PrintedRow, layout

Place = Literal["rows", "columns"]
RANDOM = "random"  # the row that relative improvements compare with
METHOD_COLUMN = "error"  # of an entry in Tables 1-3, whose runs fill the whole row


@dataclass(frozen=True)
class Filled:
    """An entry, the runs behind it, and the training whose architecture stands for them."""

    entry: Entry
    searches: tuple[Run, ...]
    trainings: tuple[Training, ...]
    chosen: Training


def build(config: TableConfig, runs: Sequence[Run]) -> Table:
    """Build a table.

    Args:
        config: which table, and which runs belong to which cell.
        runs: the table's inputs, in their order.

    Raises:
        DropnasError: an entry names a cell that the table cannot have, or a run that is missing, damaged or of the
            wrong stage.
    """
    paper = config.layout or layout(config.table)
    filled = _filled(config, paper, runs)
    columns = _columns(config, paper)
    return Table(
        name=config.table,
        number=paper.number,
        caption=paper.caption,
        profile=config.profile,
        reproduction=config.reproduction,
        hardware=distinct(run.device for run in runs),
        data=distinct(run.data for run in runs),
        heads=paper.heads,
        columns=columns,
        rows=tuple(_row(paper, row, columns, filled) for row in _printed_rows(config, paper)),
        notes=notes(paper),
        architectures=tuple(_architectures(paper, filled.values())),
    )


def _filled(config: TableConfig, paper: Layout, runs: Sequence[Run]) -> dict[tuple[str, str], Filled]:
    """The entries by row and column."""
    filled: dict[tuple[str, str], Filled] = {}
    for entry in config.entries:
        cell = (entry.row, entry.column)
        if cell in filled:
            raise DropnasError("two entries for one cell", where=_place(config, entry))
        if not entry.trainings:
            raise DropnasError("no training behind the cell", where=_place(config, entry))
        searches = [require_stage(_input(config, entry, runs, at), "search") for at in entry.searches]
        trainings = [require_stage(_input(config, entry, runs, at), paper.trainings) for at in entry.trainings]
        read = tuple(map(read_training, trainings))
        filled[cell] = Filled(entry, tuple(searches), read, selected(read, config.criterion))
    return filled


def _input(config: TableConfig, entry: Entry, runs: Sequence[Run], position: int) -> Run:
    if not 0 <= position < len(runs):
        raise DropnasError(f"no input {position} among {len(runs)} runs", where=_place(config, entry))
    return runs[position]


def _place(config: TableConfig, entry: Entry) -> str:
    return f"{config.table}, row {entry.row!r}, column {entry.column!r}"


def _new_keys(config: TableConfig, paper: Layout, place: Place) -> dict[str, str]:
    """Rows or columns that the paper does not have, in the order of the entries, with their labels.

    Where an entry is new in both, the labels come from the entries that share its row, or its column, with the paper.
    """
    known = {"rows": {row.key for row in paper.rows}, "columns": _column_keys(paper)}
    other: Place = "columns" if place == "rows" else "rows"
    new = [entry for entry in config.entries if _key(entry, place) not in known[place]]
    labels = {_key(entry, place): entry.label for entry in reversed(new) if _key(entry, other) in known[other]}
    for entry in new:
        if paper.open not in (place, "both") or not labels.get(_key(entry, place)):
            what = f"no such {place.removesuffix('s')} in the paper's table, and none can be added without a label"
            keys = ", ".join(sorted(known[place]))
            raise DropnasError(what, where=_place(config, entry), remedy=f"the paper's {place} are {keys}")
    return {_key(entry, place): labels[_key(entry, place)] for entry in new}


def _key(entry: Entry, place: Place) -> str:
    return entry.row if place == "rows" else entry.column


def _column_keys(paper: Layout) -> set[str]:
    """What an entry may call a column; in Tables 1-3 a method fills all columns of its row."""
    return {METHOD_COLUMN} if paper.row_is_method else {column.key for column in paper.columns}


def _columns(config: TableConfig, paper: Layout) -> tuple[Column, ...]:
    """The paper's columns, then new ones under the header that the paper's share."""
    shared = paper.columns[-1].header[0]
    new = _new_keys(config, paper, "columns").items()
    return (*paper.columns, *(Column(key, (shared, label), "top1_error") for key, label in new))


def _printed_rows(config: TableConfig, paper: Layout) -> list[PrintedRow]:
    """The paper's rows and new ones: after the last of the same data set where rows are grouped, else at the end."""
    rows = list(paper.rows)
    if paper.number is None:  # the baselines show what was run; the paper's tables, all of their rows
        run = {entry.row for entry in config.entries}
        rows = [row for row in rows if row.key in run]
    for position, (key, label) in enumerate(_new_keys(config, paper, "rows").items()):
        group = [index for index, row in enumerate(rows) if _group(row.key) == _group(key)]
        if len(paper.heads) == 1:
            rows.append(PrintedRow(key, (label,), (), rule=position == 0))
        elif group:
            rows.insert(group[-1] + 1, PrintedRow(key, (rows[group[-1]].heads[0], label), (), rule=False))
        else:
            raise DropnasError(f"no rows of {_group(key)!r}", where=f"{config.table}, row {key!r}")
    return rows


def _group(key: str) -> str:
    """The data set of a row of Table 4 or the baselines, whose keys are `data set/space` and `data set/method`."""
    return key.partition("/")[0]


def _row(paper: Layout, row: PrintedRow, columns: Sequence[Column], filled: dict[tuple[str, str], Filled]) -> Row:
    printed: list[Printed | None] = [*row.cells, *[None] * (len(columns) - len(row.cells))]
    cells = []
    for column, number in zip(columns, printed, strict=True):
        key = METHOD_COLUMN if paper.row_is_method else column.key
        runs = filled.get((row.key, key))
        random = filled.get((f"{_group(row.key)}/{RANDOM}", METHOD_COLUMN))
        against = random.trainings if random else ()
        ours = measure(paper, column, runs.searches, runs.trainings, runs.chosen, against) if runs else []
        cells.append(Cell(number, runs is not None, tuple(ours)))
    return Row(row.key, row.heads, tuple(cells), row.rule)


def _architectures(paper: Layout, filled: Iterable[Filled]) -> Iterable[Architecture]:
    if not paper.row_is_method:
        return
    for one in filled:
        yield Architecture(one.entry.row, one.chosen.run.name, one.chosen.genotype)
