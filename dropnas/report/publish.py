"""Copies finished tables and figures to `results/<profile>/`, for readers and for git.

Design choices: the run folders remain authoritative. An unchanged file is not written again. Tables that are not passed
keep their files and metrics, because a command may build only one of the targets.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from dropnas.artifacts.table_file import TableFile
from dropnas.report.table import Line
from dropnas.runs.files import read_json, write_bytes

Metrics = dict[str, dict[str, dict[str, dict[str, float]]]]
ERROR = "top1_error_final_mean"
STATISTICS = {"mean": "ours_mean", "std": "ours_std", "best": "ours_best", "n": "n"}
TEXT_SUFFIXES, PICTURE_SUFFIXES = (".md", ".csv", ".tex"), (".svg", ".png", ".pdf")


def refresh(folders: Sequence[Path], destination: Path) -> list[Path]:
    """Copy tables to `destination/tables/`, write our numbers to `metrics.json` and the lowest errors to `errors.json`.

    Args:
        folders: folders of intact runs, each with a table or the counts of architectures; only tables have metrics.
        destination: `results/<profile>`.

    Returns:
        The files that were written because they were missing or different.
    """
    file = destination / "metrics.json"
    before = read_json(file) if file.is_file() else {}
    found = {**before, **metrics([folder for folder in folders if TableFile.file(folder).is_file()])}
    return _renew(
        {
            **_copies(folders, destination / "tables", TEXT_SUFFIXES),
            file: _json(found),
            destination / "errors.json": _json(lowest_errors(found)),
        }
    )


def refresh_figures(folders: Sequence[Path], destination: Path) -> list[Path]:
    """Copy figures to `destination/figures/figureN.*`. As in `refresh`, only missing or different files are written."""
    return _renew(_copies(folders, destination / "figures", PICTURE_SUFFIXES))


def metrics(folders: Sequence[Path]) -> Metrics:
    """Our numbers in the tables of these run folders.

    Returns:
        {table: {row: {column: {quantity_mean, quantity_std, quantity_best, quantity_n}}}}. Cells for which we have
        no runs, standard deviations of single runs, and counts of published architectures are left out.
    """
    found: Metrics = {}
    for table in map(TableFile.read, folders):
        rows = found.setdefault(table.table, {})
        for one in table.numbers:
            if one.n and one.source != Line.COUNTED:
                values = {f"{one.quantity}_{name}": getattr(one, field) for name, field in STATISTICS.items()}
                known = {name: value for name, value in values.items() if value is not None}
                rows.setdefault(one.row, {}).setdefault(one.column, {}).update(known)
    return found


def lowest_errors(found: Metrics) -> dict[str, dict[str, float]]:
    """The lowest mean final error of each table. With one number per table, `dvc metrics show` fits on a screen."""
    errors = {
        table: [numbers[ERROR] for cells in rows.values() for numbers in cells.values() if ERROR in numbers]
        for table, rows in found.items()
    }
    return {"lowest_error": {table: round(min(values), 2) for table, values in errors.items() if values}}


def _copies(folders: Sequence[Path], destination: Path, suffixes: Sequence[str]) -> dict[Path, bytes]:
    files = [file for folder in folders for file in sorted(folder.iterdir()) if file.suffix in suffixes]
    return {destination / file.name: file.read_bytes() for file in files}


def _renew(contents: Mapping[Path, bytes]) -> list[Path]:
    changed = [path for path, content in contents.items() if not path.is_file() or path.read_bytes() != content]
    for path in changed:
        write_bytes(path, contents[path])
    return changed


def _json(value: Mapping[str, object]) -> bytes:
    return (json.dumps(value, indent=2, sort_keys=True) + "\n").encode()
