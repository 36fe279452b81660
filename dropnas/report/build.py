"""From a table's configuration and its runs to the table: the paper's layout with our measurements in its cells.

Design choices: rows and columns always follow the order of the paper. A method that the paper does not have gets a row
(Tables 1-3) or a column (Tables 4 and 6) after the paper's own; a further search space gets a row (Table 4). An entry
that fits nowhere is rejected, so that no run is lost silently.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from dropnas.analysis.finished_runs import Run, Training, read_training, require_stage
from dropnas.artifacts.table_file import TableNumber, TrainedArchitecture
from dropnas.errors import DropnasError
from dropnas.report.config import Entry, TableConfig
from dropnas.report.measure import measure, selected
from dropnas.report.printed import Column, Layout, PrintedRow, layout
from dropnas.report.table import CellKey, Table, tabulate

Axis = Literal["rows", "columns"]
RANDOM = "random"  # the row that relative improvements refer to
METHOD_COLUMN = "error"  # column of an entry in Tables 1-3, whose runs fill the whole row
SOURCES = (
    "Source: 'quoted' marks a row that we do not run, with the paper's numbers; 'paper' is what the paper prints for a "
    "row that we do run, and ours stand below it."
)
EPOCHS = (
    "'final epoch' is the test error after the last epoch; 'best on test' is the lowest of any epoch, chosen on the "
    "test set, which is what the paper printed."
)
DEVIATION = (
    "Ours: mean ± sample deviation (n-1, shown where n > 1) over n trained networks, at least one for each search "
    "seed. In the paper's own rows ± is the population deviation over 8 seeds."
)
BEST_AND_MEAN = "Several seeds are set as in the paper: best (mean ± deviation)."
PARAMETERS = (
    "Our parameters are those of the architecture with the lowest error on test: in 10⁶, auxiliary tower left out"
)
AS_RELEASED = "; 'as released' in 2²⁰ with the tower, as the release's logger counted for the paper's Tables 1 and 2"
SEARCH_COST = "Our search cost is in days of one device, mean of the searches."


@dataclass(frozen=True)
class Filled:
    """An entry, its runs, and the training whose architecture represents them."""

    entry: Entry
    searches: tuple[Run, ...]
    trainings: tuple[Training, ...]
    chosen: Training


def build(config: TableConfig, runs: Sequence[Run]) -> Table:
    """Build a table.

    Args:
        config: configuration of the table: the runs of each cell.
        runs: the table's inputs, in their order.

    Raises:
        DropnasError: an entry names a cell that the table cannot have, or a run that is missing, damaged or of the
            wrong stage.
    """
    paper = config.layout or layout(config.table)
    filled = _filled(config, paper, runs)
    shown = _extended(config, paper)

    def of_entry(row: str, column: str) -> Filled | None:
        return filled.get((row, METHOD_COLUMN if paper.row_is_method else column))

    def measured(blank: TableNumber) -> list[TableNumber]:
        one, random = of_entry(blank.row, blank.column), filled.get((f"{_group(blank.row)}/{RANDOM}", METHOD_COLUMN))
        against = random.trainings if random else ()
        return measure(paper, blank, one.searches, one.trainings, one.chosen, against) if one else []

    keys = {(row.key, column.key) for row in shown.rows for column in shown.columns}
    ran = {key for key in keys if of_entry(*key)}
    chosen = {
        one.entry.row: TrainedArchitecture(one.chosen.run.name, one.chosen.genotype)
        for one in filled.values()
        if paper.row_is_method
    }
    return tabulate(config, shown, runs, measured, ran, _notes(paper), chosen, {})


def _notes(paper: Layout) -> tuple[str, ...]:
    """Explain how to read one of the paper's tables, or the baselines, with our numbers in it."""
    as_released = paper.number is not None and paper.trainings == "retrain"  # the release has no ImageNet code
    parameters = f"{PARAMETERS}{AS_RELEASED if as_released else ''}."
    method = (parameters, SEARCH_COST) if paper.row_is_method else ()
    style = (BEST_AND_MEAN,) if paper.style == "best-and-mean" else ()
    return (SOURCES, EPOCHS, DEVIATION, *style, *method, *paper.notes)


def _filled(config: TableConfig, paper: Layout, runs: Sequence[Run]) -> dict[CellKey, Filled]:
    """The entries by row and column."""
    filled: dict[CellKey, Filled] = {}
    for entry in config.entries:
        if (entry.row, entry.column) in filled:
            raise DropnasError("two entries for one cell", where=_where(config, entry))
        if not entry.trainings:
            raise DropnasError("the cell has no training", where=_where(config, entry))
        searches = [require_stage(_input(config, entry, runs, at), "search") for at in entry.searches]
        trainings = [require_stage(_input(config, entry, runs, at), paper.trainings) for at in entry.trainings]
        read = tuple(map(read_training, trainings))
        filled[entry.row, entry.column] = Filled(entry, tuple(searches), read, selected(read, config.criterion))
    return filled


def _input(config: TableConfig, entry: Entry, runs: Sequence[Run], position: int) -> Run:
    if not 0 <= position < len(runs):
        raise DropnasError(f"no input {position} among {len(runs)} runs", where=_where(config, entry))
    return runs[position]


def _where(config: TableConfig, entry: Entry) -> str:
    return f"{config.table}, row {entry.row!r}, column {entry.column!r}"


def known_keys(paper: Layout, axis: Axis) -> set[str]:
    """The keys by which an entry may name the paper's rows or columns; in Tables 1-3 a method fills its whole row."""
    if axis == "rows":
        return {row.key for row in paper.rows}
    return {METHOD_COLUMN} if paper.row_is_method else {column.key for column in paper.columns}


def _new_keys(config: TableConfig, paper: Layout, axis: Axis) -> dict[str, str]:
    """Rows or columns that the paper does not have, in the order of the entries, with their labels.

    If both the row and the column of an entry are new, the labels come from entries in the same row or column whose
    other key is the paper's.
    """
    known, crossing = known_keys(paper, axis), known_keys(paper, "columns" if axis == "rows" else "rows")
    keys = [
        (entry, *((entry.row, entry.column) if axis == "rows" else (entry.column, entry.row)))
        for entry in config.entries
    ]
    new = [(entry, key, other) for entry, key, other in keys if key not in known]
    labels = {key: entry.label for entry, key, other in reversed(new) if other in crossing}
    for entry, key, _ in new:
        if paper.open not in (axis, "both") or not labels.get(key):
            what = f"no such {axis.removesuffix('s')} in the paper's table, and a new one needs a label"
            remedy = f"the paper's {axis} are {', '.join(sorted(known))}"
            raise DropnasError(what, where=_where(config, entry), remedy=remedy)
    return {key: labels[key] for _, key, _ in new}


def _extended(config: TableConfig, paper: Layout) -> Layout:
    """The paper's layout with the rows and columns that the entries add."""
    shared = paper.columns[-1].header[0]  # new columns share this header
    own = [Column(key, (shared, label), "top1_error") for key, label in _new_keys(config, paper, "columns").items()]
    columns = (*paper.columns, *own)
    rows = [replace(row, cells=(*row.cells, *[None] * (len(columns) - len(row.cells)))) for row in _rows(config, paper)]
    return replace(paper, columns=columns, rows=tuple(rows))


def _rows(config: TableConfig, paper: Layout) -> list[PrintedRow]:
    """The paper's rows and new ones: after the last row of their data set if rows are grouped, otherwise at the end."""
    rows = list(paper.rows)
    if paper.number is None:  # the baselines show only what was run; the paper's tables show all of their rows
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
