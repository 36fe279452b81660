"""Writes files so that no reader sees them half-written, and computes checksums."""

import hashlib
import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dropnas.errors import DropnasError


def write_text(path: Path, text: str, *, flush: bool = True) -> None:
    """Like `write_bytes`, for text."""
    write_bytes(path, text.encode(), flush=flush)


def write_bytes(path: Path, content: bytes, *, flush: bool = True) -> None:
    """Write to a temporary file, then rename it.

    With `flush`, the file is flushed to disk before the rename. Without it, the file may be lost in a power failure.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with beside.open("wb") as stream:
            stream.write(content)
            stream.flush()
            if flush:
                os.fsync(stream.fileno())
        os.replace(beside, path)
    except OSError as error:
        error.filename = error.filename or str(path)  # a full disk raises an error without a file name
        raise
    finally:
        beside.unlink(missing_ok=True)


def write_json(path: Path, value: Any, *, flush: bool = True) -> None:
    """Write indented JSON with sorted keys, so that equal values give identical files."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True) + "\n", flush=flush)


def read_json(path: Path) -> Any:
    """Read the value in a JSON file. Raises a DropnasError if the file is missing or is not JSON."""
    try:
        if path.exists() and not path.is_file():  # reading a pipe would block
            raise DropnasError("is not a file", where=path)
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DropnasError("no such file", where=path) from error
    except (ValueError, OSError, RecursionError) as error:
        raise DropnasError(f"cannot be read as JSON ({error})", where=path) from error


def sha256(path: Path) -> str:
    """The sha256 of a file, read in chunks."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def checksums(folder: Path, below: float = math.inf) -> dict[str, str]:
    """The sha256 of every regular file below a folder, by its relative path, sorted.

    Files of at least `below` bytes are not read; their checksum is the empty string.

    Raises:
        DropnasError: something in the folder is a link, which could lead out of it, or is not a regular file.
        OSError: a folder or file cannot be read.
    """
    return dict(sorted(_checksums(str(folder), "", below)))


def _checksums(folder: str, before: str, below: float) -> Iterator[tuple[str, str]]:
    """Yield the relative path and the sha256 of each file below a folder.

    The folder is read with `os.scandir`, because `Path.rglob` is slow and skips folders that it cannot read.
    """
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_symlink():
                hint = "replace it by the file itself"
                raise DropnasError("is a link in a run's folder", where=entry.path, remedy=hint)
            if entry.is_dir():
                yield from _checksums(entry.path, f"{before}{entry.name}/", below)
            elif entry.is_file():
                yield f"{before}{entry.name}", sha256(Path(entry.path)) if entry.stat().st_size < below else ""
            else:
                raise DropnasError("is neither a file nor a folder", where=entry.path, remedy="remove it")
