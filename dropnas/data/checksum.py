"""The checksum of a source, as declared in a parameter file.

Design choices: the checksum of a file is what `sha256sum FILE` prints. The checksum of a folder is the SHA-256 of the
text that `sha256sum` would print for its files: a line `<sha256> <path relative to the folder>` for each file, sorted
by path (bytewise), without hidden files and folders. It depends on names and contents, but not on times or on the
location of the folder.
"""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from dropnas.errors import DropnasError

CHUNK = 1 << 20


def file_digest(path: Path, algorithm: str) -> str:
    """Hexadecimal digest of a file's bytes, read in chunks.

    Raises:
        DropnasError: the file is a pipe or a device, which could block a reader for ever.
    """
    if path.exists() and not path.is_file():
        raise DropnasError("is not a regular file", where=path, remedy="put the file itself there")
    digest = hashlib.new(algorithm)
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def source_checksum(path: Path) -> str:
    """The SHA-256 of a source, a file or a folder, as defined above.

    Raises:
        DropnasError: the source does not exist or cannot be read.
    """
    require_source(path)
    try:
        if path.is_file():
            return file_digest(path, "sha256")
        files = sorted(walk_files(path), key=os.fsencode)
        lines = [b"%s  %s\n" % (file_digest(path / name, "sha256").encode(), os.fsencode(name)) for name in files]
    except OSError as error:
        raise DropnasError(f"cannot be read ({error})", where=path) from error
    return hashlib.sha256(b"".join(lines)).hexdigest()


def require_source(path: Path) -> None:
    """Raise a DropnasError unless the file or folder exists."""
    if not path.exists():
        raise DropnasError("no such file or folder", where=path, remedy="set `path` of the dataset to its location")


def walk_files(folder: Path) -> Iterator[str]:
    """Paths of all files below a folder, relative to it, with forward slashes; without hidden ones."""
    for parent, folders, files in os.walk(folder, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith("."):
                yield Path(parent, name).relative_to(folder).as_posix()
