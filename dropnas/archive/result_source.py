"""The source of a store's numbers for a comparison: a `verdicts.json`, a folder of results, a store, or an archive."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from dropnas.archive.archive_file import Archive, opened
from dropnas.artifacts.verdicts_file import VerdictsFile
from dropnas.errors import DropnasError

PARAMETERS = "parameters.yaml"
RESULTS = "results"


@dataclass(frozen=True)
class ResultSource:
    """The numbers of a profile, and its resolved parameter file; None if the latter is missing."""

    results: VerdictsFile
    parameters: dict[str, Any] | None


def read_source(word: str, root: Path) -> ResultSource:
    """Read the source that the user names.

    Args:
        word: a `verdicts.json`, a folder of results, the root of a store with results, an archive, or a profile of the
            store at `root`.
        root: root folder of a store.

    Raises:
        DropnasError: it is none of these, a store has several profiles, or a file cannot be read.
    """
    path = Path(word)
    if path.is_file() and path.suffix != ".json":
        with opened(path) as archive:
            return _of_archive(archive)
    file = (
        path if path.is_file() else _folder(path if path.is_dir() else root / RESULTS / word, word) / VerdictsFile.FILE
    )
    return ResultSource(VerdictsFile.read(file), parameters_at(file.with_name(PARAMETERS)))


def parameters_at(file: Path) -> dict[str, Any] | None:
    """The settings in a resolved parameter file; None if there is no file."""
    return _parameters(file.read_text(encoding="utf-8") if file.is_file() else None, file)


def _folder(folder: Path, word: str) -> Path:
    """The folder with the verdicts: the given one, or that of a store's only profile."""
    if (folder / VerdictsFile.FILE).is_file():
        return folder
    profiles = sorted(file.parent for file in (folder / RESULTS).glob(f"*/{VerdictsFile.FILE}"))
    if len(profiles) > 1:
        names = ", ".join(map(str, profiles))
        raise DropnasError("has results of several profiles", where=folder, remedy=f"name one of {names}")
    if not profiles:
        hint = f"name a {VerdictsFile.FILE}, a folder of results, a store, a profile or an archive"
        raise DropnasError(f"no {VerdictsFile.FILE} is found there", where=word, remedy=hint)
    return profiles[0]


def _of_archive(archive: Archive) -> ResultSource:
    found = [name for name in archive.sums if name.startswith(RESULTS) and name.endswith(f"/{VerdictsFile.FILE}")]
    if len(found) != 1:
        raise DropnasError(f"holds {len(found)} files {VerdictsFile.FILE} instead of one", where=archive.file)
    name = found[0].removesuffix(VerdictsFile.FILE) + PARAMETERS
    where = f"{archive.file}: {name}"
    text = archive.read(name).decode() if name in archive.sums else None
    results = VerdictsFile.of_text(archive.read(found[0]).decode(), f"{archive.file}: {found[0]}")
    return ResultSource(results, _parameters(text, where))


def _parameters(text: str | None, where: object) -> dict[str, Any] | None:
    try:
        values = yaml.safe_load(text) if text is not None else None
    except yaml.YAMLError as error:
        raise DropnasError(f"cannot be read as YAML ({error})", where=where) from error
    if values is not None and not isinstance(values, dict):
        raise DropnasError("holds no settings", where=where)
    return values
