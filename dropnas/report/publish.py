"""The copy of finished tables and figures that people look at and git keeps: `results/<profile>/`.

Design choices: the truth stays in the run folders; a file that would not change is not touched, so that neither git nor
a reader's editor sees anything; a table that is not given keeps its files and its metrics, since one target may have
been built alone.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dropnas.artifacts.counts_file import CountsFile
from dropnas.artifacts.figure_file import FigureFile
from dropnas.artifacts.table_file import TableFile
from dropnas.errors import DropnasError
from dropnas.report.result_metrics import lowest_errors, metrics
from dropnas.runs.files import read_json, write_bytes, write_text

SUFFIXES = (".md", ".csv", ".tex")
PICTURES = (".svg", ".png", ".pdf")


def refresh(folders: Sequence[Path], destination: Path) -> list[Path]:
    """Copy tables to `destination/tables/tableN.*`, our numbers to `metrics.json`, and a few of them to `errors.json`.

    Args:
        folders: run folders of tables, and of the counts of the architectures, which are no numbers of ours.
        destination: `results/<profile>`.

    Returns:
        The files that were written, because they were missing or differed.

    Raises:
        DropnasError: a folder holds no table, or a file of it is missing.
    """
    texts = {destination / "tables" / file.name: _text(file) for folder in folders for file in _files(folder)}
    measured = [folder for folder in folders if not _holds_counts(folder)]
    merged = _merged(destination / "metrics.json", metrics(measured))
    texts |= {destination / "metrics.json": _json(merged), destination / "errors.json": _json(lowest_errors(merged))}
    changed = [path for path, text in texts.items() if not path.is_file() or path.read_bytes() != text.encode()]
    for path in changed:
        write_text(path, texts[path])
    return changed


def refresh_figures(folders: Sequence[Path], destination: Path) -> list[Path]:
    """Copy figures to `destination/figures/figureN.*`.

    Args:
        folders: run folders of figures.
        destination: `results/<profile>`.

    Returns:
        The files that were written, because they were missing or differed.

    Raises:
        DropnasError: a folder holds no figure, or a picture of it is missing.
    """
    pictures = [folder / f"{FigureFile.read(folder).figure}{suffix}" for folder in folders for suffix in PICTURES]
    contents = {destination / "figures" / file.name: _bytes(file) for file in pictures}
    changed = [path for path, content in contents.items() if not path.is_file() or path.read_bytes() != content]
    for path in changed:
        write_bytes(path, contents[path])
    return changed


def _files(folder: Path) -> list[Path]:
    name = Path(CountsFile.FILE).stem if _holds_counts(folder) else TableFile.read(folder).table
    return [folder / f"{name}{suffix}" for suffix in SUFFIXES]


def _holds_counts(folder: Path) -> bool:
    return CountsFile.file(folder).is_file()


def _text(file: Path) -> str:
    """The text, its line ends as they are."""
    return _bytes(file).decode()


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise DropnasError(f"cannot be read ({error.strerror})", where=file) from error


def _merged(file: Path, new: dict[str, Any]) -> dict[str, Any]:
    return {**(read_json(file) if file.is_file() else {}), **new}


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, indent=2, sort_keys=True) + "\n"
