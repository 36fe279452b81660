"""The table stage fills one of the paper's tables, or the table of baselines, with our measurements.

Design choices: tables are rebuilt often, so torch is not imported, and a table takes only a fraction of a second. Rows
and columns follow the order of the paper. A method that is not in the paper gets a row (Tables 1-3) or a column (Tables
4 and 6) after those of the paper; a search space that is not in the paper gets a row (Table 4). An entry of the
configuration that fits nowhere in the table is an error, so that no run is lost silently.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from dropnas.analysis.finished_runs import FinishedRun, read_run, read_training, require_stage
from dropnas.artifacts.table_file import TableNumber, TrainedArchitecture
from dropnas.errors import DropnasError
from dropnas.report.config import TableConfig, TrainedCell
from dropnas.report.frame import wording
from dropnas.report.measure import CellRuns, as_released, measure, selected
from dropnas.report.printed import Column, Layout, PrintedRow, layout
from dropnas.report.table import Table, tabulate
from dropnas.workspace import Workspace

Axis = Literal["rows", "columns"]
RANDOM_ROW = "random"  # the row that relative improvements refer to
METHOD_COLUMN = "error"  # the only column key in tables whose rows are methods (Tables 1-3, baselines)


def run(config: TableConfig, inputs: Sequence[Path], out: Path, workspace: Workspace) -> dict[str, float]:
    """Write table.json and, under the table's name, Markdown, CSV and LaTeX.

    Raises:
        DropnasError: as for `build`, or an input has no valid receipt.
    """
    build(config, [read_run(folder) for folder in inputs]).write(out)
    workspace.progress(f"{config.table}: {len(config.entries)} cells from {len(inputs)} runs")
    return {}


def build(config: TableConfig, runs: Sequence[FinishedRun]) -> Table:
    """Build a table from its configuration and its inputs.

    Raises:
        DropnasError: an entry names a cell that the table cannot have, or a run that is damaged or has the wrong stage.
    """
    paper = config.layout or layout(config.table)
    filled = {(entry.row, entry.column): _cell_runs(config, paper, entry, runs) for entry in config.entries}
    if len(filled) < len(config.entries):
        raise DropnasError("two entries for one cell", where=config.table)

    def measured(blank: TableNumber) -> list[TableNumber]:
        one = filled.get((blank.row, METHOD_COLUMN if paper.row_is_method else blank.column))
        random = filled.get((f"{_group(blank.row)}/{RANDOM_ROW}", METHOD_COLUMN))
        return measure(paper, blank, replace(one, random=random.trainings if random else ())) if one else []

    chosen = {
        row: TrainedArchitecture(one.chosen.run.name, one.chosen.genotype)
        for (row, _), one in filled.items()
        if paper.row_is_method
    }
    return tabulate(config, _extended(config, paper), runs, measured, _notes(paper), chosen)


def _cell_runs(config: TableConfig, paper: Layout, entry: TrainedCell, runs: Sequence[FinishedRun]) -> CellRuns:
    searches = [require_stage(runs[at], "search") for at in entry.searches]
    trainings = [read_training(require_stage(runs[at], paper.trainings)) for at in entry.trainings]
    return CellRuns(searches, trainings, selected(trainings, config.criterion))


def _notes(paper: Layout) -> tuple[str, ...]:
    """The notes on how to read a table."""
    style = ("best-and-mean",) if paper.style == "best-and-mean" else ()
    method = ("as-released" if as_released(paper) else "parameters", "search-cost") if paper.row_is_method else ()
    shown = ("sources", "epochs", "deviation", *style, *method)
    return (*(wording("tables")[name] for name in shown), *paper.notes)


def known_keys(paper: Layout, axis: Axis) -> set[str]:
    """The keys by which entries refer to the paper's rows or columns. If each row is a method, the only column is
    METHOD_COLUMN.
    """
    if axis == "rows":
        return {row.key for row in paper.rows}
    return {METHOD_COLUMN} if paper.row_is_method else {column.key for column in paper.columns}


def _new_labels(config: TableConfig, paper: Layout, axis: Axis) -> dict[str, str]:
    """Rows or columns that the paper does not have, in the order of the entries, with their labels.

    An entry gives a new row its label only if the entry's column is in the paper, and likewise for a new column. If
    the row and the column are both new, other entries must provide their labels.
    """
    known, crossing = known_keys(paper, axis), known_keys(paper, "columns" if axis == "rows" else "rows")
    labels: dict[str, str] = {}
    for entry in config.entries:
        key, other = (entry.row, entry.column) if axis == "rows" else (entry.column, entry.row)
        if key not in known:
            labels[key] = labels.get(key) or (entry.label if other in crossing else "")
    for key, label in labels.items():
        if not label or paper.open not in (axis, "both"):
            name = axis.removesuffix("s")
            what = f"no such {name} in the paper's table, and a new one needs a label"
            remedy = f"the paper's {axis} are {', '.join(sorted(known))}"
            raise DropnasError(what, where=f"{config.table}, {name} {key!r}", remedy=remedy)
    return labels


def _extended(config: TableConfig, paper: Layout) -> Layout:
    """The paper's layout with the rows and columns that the entries add."""
    shared = paper.columns[-1].header[0]  # new columns share this header
    own = [Column(key, (shared, label), "top1_error") for key, label in _new_labels(config, paper, "columns").items()]
    columns = (*paper.columns, *own)
    rows = [replace(row, cells=(*row.cells, *[None] * (len(columns) - len(row.cells)))) for row in _rows(config, paper)]
    return replace(paper, columns=columns, rows=tuple(rows))


def _rows(config: TableConfig, paper: Layout) -> list[PrintedRow]:
    """The paper's rows and the new ones.

    A new row comes after the last row of its data set or, if rows are not grouped by data set, at the end.
    """
    run = {entry.row for entry in config.entries}  # the table of baselines shows only these rows
    rows = [row for row in paper.rows if paper.number is not None or row.key in run]
    for position, (key, label) in enumerate(_new_labels(config, paper, "rows").items()):
        group = [index for index, row in enumerate(rows) if _group(row.key) == _group(key)]
        if len(paper.heads) == 1:
            rows.append(PrintedRow(key, (label,), (), rule=position == 0))
        elif group:
            rows.insert(group[-1] + 1, PrintedRow(key, (rows[group[-1]].heads[0], label), (), rule=False))
        else:
            raise DropnasError(f"no rows of {_group(key)!r}", where=f"{config.table}, row {key!r}")
    return rows


def _group(key: str) -> str:
    """The data set of a row, whose key is `data set/space` in Table 4 and `data set/method` in the baselines."""
    return key.partition("/")[0]
