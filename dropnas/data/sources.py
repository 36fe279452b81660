"""Checks the source of a data set: its name, its path, and the checksum that a parameter file declares.

`dropnas.data.config` registers the sources of each data set and their readers.

Design choices: the checksum of a file is what `sha256sum FILE` prints. The checksum of a folder is the SHA-256 of the
text that `sha256sum` would print for its files: a line `<sha256> <path relative to the folder>` for each file, sorted
by path (bytewise). Hidden files and folders are skipped. The checksum depends on names and contents, but not on times
or on the location of the folder.
"""

import hashlib
import os
from pathlib import Path

from dropnas.data.config import DATASETS, DatasetConfig
from dropnas.data.manifest import walk_files
from dropnas.errors import DropnasError
from dropnas.workspace import Workspace


def check_source(config: DatasetConfig) -> None:
    """Check that a dataset is known and available from its configured source.

    Raises:
        DropnasError: the dataset is not available, or a checksum is declared although the dataset is bundled.
    """
    if config.name not in DATASETS:
        raise DropnasError(f"unknown dataset {config.name!r}", remedy=f"known: {', '.join(DATASETS)}")
    sources = DATASETS[config.name].sources
    if config.source not in sources:
        raise DropnasError(
            f"dataset {config.name!r} has no source {config.source!r}", remedy=f"its sources: {', '.join(sources)}"
        )
    if config.source == "bundled" and config.checksum:
        raise DropnasError(f"dataset {config.name!r} is bundled and has no checksum", remedy="leave `checksum` out")


def locate(config: DatasetConfig, workspace: Workspace) -> Path:
    """Return the path of a local source, after checking its declared checksum.

    Raises:
        DropnasError: the source is missing, or its checksum differs from the declared one.
    """
    path = workspace.location or config.path
    if not path:
        raise DropnasError(f"dataset {config.name!r} needs a `path` to its source")
    found = Path(os.path.realpath(path))  # `resolve` would raise for a cycle of links
    _require_source(found)
    require_checksum(config, found)
    return found


def require_checksum(config: DatasetConfig, path: Path) -> None:
    """Raise a DropnasError if the configuration declares a checksum and the source's checksum differs from it."""
    if config.checksum and (found := source_checksum(path)) != config.checksum:
        raise DropnasError(
            f"checksum is {found}, but {config.checksum} is declared",
            where=path,
            remedy="get the declared data, or declare the checksum of this source",
        )


def source_checksum(path: Path) -> str:
    """The SHA-256 of a source (a file or a folder), as the module's docstring defines it.

    Raises:
        DropnasError: the source does not exist or cannot be read.
    """
    _require_source(path)
    try:
        if path.is_file():
            return file_digest(path, "sha256")
        files = sorted(walk_files(path), key=os.fsencode)
        lines = [b"%s  %s\n" % (file_digest(path / name, "sha256").encode(), os.fsencode(name)) for name in files]
    except OSError as error:
        raise DropnasError(f"cannot be read ({error})", where=path) from error
    return hashlib.sha256(b"".join(lines)).hexdigest()


def file_digest(path: Path, algorithm: str) -> str:
    """Hexadecimal digest of a file's bytes.

    Raises:
        DropnasError: the file is a pipe or a device, which could block a reader for ever.
    """
    if path.exists() and not path.is_file():
        raise DropnasError("is not a regular file", where=path, remedy="put the file itself there")
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, algorithm).hexdigest()


def _require_source(path: Path) -> None:
    if not path.exists():
        raise DropnasError("no such file or folder", where=path, remedy="set `path` of the dataset to its location")
