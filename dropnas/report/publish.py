"""Copies finished tables and figures to `results/<profile>/`, for readers and for git.

Design choices: the run folders remain authoritative. An unchanged file is not touched, so neither git nor an editor
notices anything. A table that is not given keeps its files and its metrics, because a start may build only one target.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dropnas.artifacts.counts_file import CountsFile
from dropnas.artifacts.figure_file import FigureFile
from dropnas.artifacts.table_file import TableFile
from dropnas.errors import DropnasError
from dropnas.report.table import Line
from dropnas.runs.files import read_json, write_bytes

ERROR = "top1_error_final_mean"
Metrics = dict[str, dict[str, dict[str, dict[str, float]]]]
STATISTICS = {"mean": "ours_mean", "std": "ours_std", "best": "ours_best", "n": "n"}
SUFFIXES = (".md", ".csv", ".tex")
PICTURES = (".svg", ".png", ".pdf")


def refresh(folders: Sequence[Path], destination: Path) -> list[Path]:
    """Copy tables to `destination/tables/tableN.*`, our numbers to `metrics.json`, and a few of them to `errors.json`.

    Args:
        folders: run folders of tables, and of the counts of the architectures, which have no metrics.
        destination: `results/<profile>`.

    Returns:
        The files that were written because they were missing or different.

    Raises:
        DropnasError: a folder is not that of a table, or one of its files is missing.
    """
    contents = {destination / "tables" / file.name: _bytes(file) for folder in folders for file in _files(folder)}
    file = destination / "metrics.json"
    before = read_json(file) if file.is_file() else {}
    merged = {**before, **metrics([folder for folder in folders if not _holds_counts(folder)])}
    contents |= {file: _json(merged), destination / "errors.json": _json(lowest_errors(merged))}
    return _renew(contents)


def refresh_figures(folders: Sequence[Path], destination: Path) -> list[Path]:
    """Copy figures to `destination/figures/figureN.*`; otherwise as `refresh`."""
    pictures = [folder / f"{FigureFile.read(folder).figure}{suffix}" for folder in folders for suffix in PICTURES]
    return _renew({destination / "figures" / file.name: _bytes(file) for file in pictures})


def metrics(folders: Sequence[Path]) -> Metrics:
    """Our numbers in the given tables.

    Args:
        folders: run folders of tables.

    Returns:
        {table: {row: {column: {quantity_mean, quantity_std, quantity_best, quantity_n}}}}; cells without runs of ours
        are left out, as are the deviation of a single run and the size of a published network.

    Raises:
        DropnasError: a folder is not that of a table.
    """
    return {table.table: _rows(table) for table in map(TableFile.read, folders)}


def lowest_errors(found: Metrics) -> dict[str, dict[str, float]]:
    """The lowest mean final error of each table; one number each, so that `dvc metrics show` fits on a screen."""
    errors = {
        table: [numbers[ERROR] for cells in rows.values() for numbers in cells.values() if ERROR in numbers]
        for table, rows in found.items()
    }
    return {"lowest_error": {table: round(min(values), 2) for table, values in errors.items() if values}}


def _rows(table: TableFile) -> dict[str, dict[str, dict[str, float]]]:
    rows: dict[str, dict[str, dict[str, float]]] = {}
    for one in table.numbers:
        if one.n and one.source != Line.COUNTED:
            values = {f"{one.quantity}_{name}": getattr(one, field) for name, field in STATISTICS.items()}
            known = {name: value for name, value in values.items() if value is not None}
            rows.setdefault(one.row, {}).setdefault(one.column, {}).update(known)
    return rows


def _renew(contents: Mapping[Path, bytes]) -> list[Path]:
    changed = [path for path, content in contents.items() if not path.is_file() or path.read_bytes() != content]
    for path in changed:
        write_bytes(path, contents[path])
    return changed


def _files(folder: Path) -> list[Path]:
    name = Path(CountsFile.FILE).stem if _holds_counts(folder) else TableFile.read(folder).table
    return [folder / f"{name}{suffix}" for suffix in SUFFIXES]


def _holds_counts(folder: Path) -> bool:
    return CountsFile.file(folder).is_file()


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise DropnasError(f"cannot be read ({error.strerror})", where=file) from error


def _json(value: dict[str, Any]) -> bytes:
    return (json.dumps(value, indent=2, sort_keys=True) + "\n").encode()
