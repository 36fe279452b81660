"""The copy of finished tables that people look at and git keeps: `results/<profile>/`.

Design choices: the truth stays in the run folders; a file that would not change is not touched, so that neither git nor
a reader's editor sees anything; a table that is not given keeps its files and its metrics, since one target may have
been built alone.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dropnas.errors import DropnasError
from dropnas.provenance.files import read_json, write_text
from dropnas.report.metrics import TABLE, metrics

SUFFIXES = (".md", ".csv", ".tex")


def refresh(folders: Sequence[Path], destination: Path) -> list[Path]:
    """Copy tables to `destination/tables/tableN.*` and our numbers to `destination/metrics.json`.

    Args:
        folders: run folders of tables.
        destination: `results/<profile>`.

    Returns:
        The files that were written, because they were missing or differed.

    Raises:
        DropnasError: a folder holds no table, or a file of it is missing.
    """
    texts = {destination / "tables" / file.name: _text(file) for folder in folders for file in _files(folder)}
    texts[destination / "metrics.json"] = _merged(destination / "metrics.json", metrics(folders))
    changed = [path for path, text in texts.items() if not path.is_file() or path.read_bytes() != text.encode()]
    for path in changed:
        write_text(path, texts[path])
    return changed


def _files(folder: Path) -> list[Path]:
    name = read_json(folder / TABLE)["table"]
    return [folder / f"{name}{suffix}" for suffix in SUFFIXES]


def _text(file: Path) -> str:
    """The text, its line ends as they are."""
    try:
        return file.read_bytes().decode()
    except OSError as error:
        raise DropnasError(f"cannot be read ({error.strerror})", where=file) from error


def _merged(file: Path, new: dict[str, Any]) -> str:
    before = read_json(file) if file.is_file() else {}
    return json.dumps({**before, **new}, indent=2, sort_keys=True) + "\n"
