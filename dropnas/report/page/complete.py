"""Builds tables from the runs that are finished so far, before all runs of a plan are finished.

Design choices: the tables are made by `build`, the function that also makes the finished tables. It receives the
planned configuration without the runs that are missing or do not count. The page therefore computes its numbers exactly
as the finished tables do. n is the number of runs behind a number; missing runs are recorded as a shortfall.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dropnas.analysis.finished_runs import read_run
from dropnas.parsing import parse
from dropnas.report.config import PublishedConfig, PublishedEntry, TableConfig, TrainedCell
from dropnas.report.page.planned import Content, Planned
from dropnas.report.page.survey import Found
from dropnas.report.printed import Layout, layout
from dropnas.report.published_table import build_published
from dropnas.report.table import CellKey, Table
from dropnas.report.table_stage import METHOD_COLUMN, build, known_keys
from dropnas.report.verdicts import labels
from dropnas.space.published import published

TABLE, PUBLISHED, FIGURE = "table", "published", "figure"


@dataclass(frozen=True)
class Shortfall:
    """A cell with fewer runs than planned.

    Attributes:
        table, cell: name of the table, and label of the cell.
        planned, counted: number of planned trainings, and of trainings used so far.
        absent: the searches and trainings that do not count. Empty if the cell is left out only because the label of
            its row or column, which another cell provides, is still missing.
    """

    table: str
    cell: str
    planned: int
    counted: int
    absent: tuple[Found, ...]


@dataclass(frozen=True)
class Complete:
    """A table made from the runs that count.

    Attributes:
        table: the table.
        trainings: the folders of the trainings behind each number, by row and column of the table.
        shortfalls: the numbers with fewer runs than planned.
    """

    table: Table
    trainings: dict[CellKey, tuple[Path, ...]]
    shortfalls: tuple[Shortfall, ...]


def complete_tables(content: Content, found: Mapping[str, Found]) -> dict[str, Complete]:
    """The tables of a plan, by name.

    A table that is built only on request is included once it has a finished run that no default target needs.

    Raises:
        DropnasError: this code cannot build a table of the plan.
    """
    complete = {}
    for name in content.folders:
        target = content.target(name)
        inputs = [found[id_] for id_ in target.inputs]
        if target.stage == TABLE and _asked_for(name, content, found):
            complete[name] = _complete(target, inputs)
        elif target.stage == PUBLISHED and inputs[0].counts and _asked_for(name, content, found):
            complete[name] = _complete_published(target, inputs)  # inputs[0] counts the parameters
    return complete


def _asked_for(name: str, content: Content, found: Mapping[str, Found]) -> bool:
    """Whether a target is built by default, or has a finished run that no default target needs."""
    if name not in content.on_request:
        return True
    return any(one.counts and name in one.run.used_by and not content.by_default(one.run) for one in found.values())


def _complete(target: Planned, inputs: Sequence[Found]) -> Complete:
    config: TableConfig = parse(TableConfig, target.config, target.folder)
    kept, position = _kept(inputs)
    reduced = [
        replace(one, searches=_at(one.searches, position), trainings=_at(one.trainings, position))
        for one in config.entries
    ]
    paper = config.layout or layout(config.table)
    shown = _named(paper, [entry for entry in reduced if entry.trainings])
    table = build(replace(config, entries=tuple(shown)), [read_run(one.folder) for one in kept])
    trainings = {(one.row, one.column): tuple(kept[at].folder for at in one.trainings) for one in shown}
    shortfalls = []
    for entry in config.entries:
        absent = tuple(inputs[at] for at in (*entry.searches, *entry.trainings) if not inputs[at].counts)
        counted, planned = len(trainings.get((entry.row, entry.column), ())), len(entry.trainings)
        if absent or counted < planned:
            label = cell_label(table.layout, entry.row, entry.column, paper, entry.label)
            shortfalls.append(Shortfall(config.table, label, planned, counted, absent))
    return Complete(table, trainings, tuple(shortfalls))


def _complete_published(target: Planned, inputs: Sequence[Found]) -> Complete:
    config: PublishedConfig = parse(PublishedConfig, target.config, target.folder)
    kept, position = _kept(inputs)
    entries = tuple(replace(one, trainings=_at(one.trainings, position)) for one in config.entries)
    table = build_published(replace(config, entries=entries), [one.folder for one in kept])
    shortfalls = []
    for entry in config.entries:
        absent = tuple(inputs[at] for at in entry.trainings if not inputs[at].counts)
        planned = len(entry.trainings)
        if absent:
            shortfalls.append(Shortfall(config.table, _name(entry), planned, planned - len(absent), absent))
    return Complete(table, {}, tuple(shortfalls))


def _kept(inputs: Sequence[Found]) -> tuple[list[Found], dict[int, int]]:
    """Select the inputs that count, and map their indices in `inputs` to their indices in the selection."""
    kept = [at for at, one in enumerate(inputs) if one.counts]
    return [inputs[at] for at in kept], {at: index for index, at in enumerate(kept)}


def _at(runs: Sequence[int], position: Mapping[int, int]) -> tuple[int, ...]:
    return tuple(position[at] for at in runs if at in position)


def _named(paper: Layout, entries: Sequence[TrainedCell]) -> list[TrainedCell]:
    """The entries whose row and column have a label, from the paper or from another entry."""
    rows, columns = known_keys(paper, "rows"), known_keys(paper, "columns")
    named_rows = rows | {entry.row for entry in entries if entry.column in columns}
    named_columns = columns | {entry.column for entry in entries if entry.row in rows}
    return [entry for entry in entries if entry.row in named_rows and entry.column in named_columns]


def cell_label(shown: Layout, row: str, column: str, paper: Layout | None = None, label: str = "") -> str:
    """The labels of the row and the column; only the row's label if each row is a method.

    A row or column that is not shown yet gets its label from `paper` or, if it is not there either, from `label`.
    """
    layouts = [shown, paper or shown]
    heads = [" ".join(one.heads) for each in layouts for one in each.rows if one.key == row]
    headers = [one.header[-1] or one.header[0] for each in layouts for one in each.columns if one.key == column]
    head = [*heads, label or row][0]
    return head if column == METHOD_COLUMN else ", ".join(labels(shown, head, [*headers, label or column][0]))


def _name(entry: PublishedEntry) -> str:
    return entry.label or published()[entry.architecture].name
