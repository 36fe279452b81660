"""ImageNet as a manifest: a list of the images of a folder or tar, with the SHA-256 of each.

Design choices: images are not copied. Each split gets a structured array (`train_manifest.npy`, `test_manifest.npy`)
that can be mapped into memory. Each row holds an image's path, the offset and length of its bytes, its height and
width, its label, and its SHA-256. In a folder, the offset is 0. The rows interleave the classes (the first image of
each class, then the second of each), so that any prefix is balanced. A tar must be uncompressed, because its images are
read by offset; nothing is ever extracted.
"""

import hashlib
import io
import os
import stat
import tarfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dropnas.data.splits import require_enough
from dropnas.errors import DropnasError

PROGRESS_EVERY = 10_000  # number of images between two progress lines
# Pillow's errors for bytes that are not an image
IMAGE_ERRORS = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)


@dataclass(frozen=True)
class SourceFile:
    """One file of a source, usually an image; in a tar its bytes begin at `offset`, which is 0 in a folder."""

    path: str
    offset: int
    length: int


def entries_of(location: Path) -> list[SourceFile]:
    """All files of a folder or tar; hidden files of a folder are left out.

    Raises:
        DropnasError: the source has an item that is neither a file nor a folder, or the tar is damaged or unsafe.
    """
    return list(_tar_entries(location) if location.is_file() else _folder_entries(location))


def _folder_entries(folder: Path) -> Iterator[SourceFile]:
    for name in walk_files(folder):
        status = (folder / name).stat()
        if not stat.S_ISREG(status.st_mode):
            raise DropnasError("is not a file", where=folder / name, remedy="remove it")
        yield SourceFile(name, 0, status.st_size)


def walk_files(folder: Path) -> Iterator[str]:
    """Yield the relative paths of all files below a folder, with forward slashes; skip hidden files and folders."""
    for parent, folders, files in os.walk(folder, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith("."):
                yield Path(parent, name).relative_to(folder).as_posix()


def _tar_entries(path: Path) -> Iterator[SourceFile]:
    """Yield the regular files of an uncompressed tar; raise an error for an unsafe member or a missing end mark."""
    try:
        with tarfile.open(path, "r:") as tar:
            while (member := tar.next()) is not None:
                _require_safe(member, path)
                if member.isfile():
                    yield SourceFile(member.name, member.offset_data, member.size)
                tar.members.clear()  # type: ignore[attr-defined]  # otherwise it keeps a kilobyte for each of a million members
            end = tar.offset
    except (tarfile.TarError, EOFError, OSError) as error:
        raise DropnasError(
            f"damaged, or not an uncompressed tar ({error})", where=path, remedy="decompress it, or fetch it again"
        ) from error
    with path.open("rb") as stream:
        stream.seek(end)
        if stream.read(tarfile.BLOCKSIZE) != tarfile.NUL * tarfile.BLOCKSIZE:  # not required by tarfile
            raise DropnasError("damaged or truncated tar: no end mark", where=path, remedy="fetch it again")


def _require_safe(member: tarfile.TarInfo, path: Path) -> None:
    parts = PurePosixPath(member.name)
    if parts.is_absolute() or ".." in parts.parts:
        raise DropnasError(f"unsafe path {member.name!r} in the tar", where=path, remedy="pack it again")
    if not (member.isfile() or member.isdir()):
        raise DropnasError(f"{member.name!r} in the tar is a link or device", where=path, remedy="pack it again")
    if member.issparse():
        raise DropnasError(f"{member.name!r} in the tar is sparse", where=path, remedy="pack it without -S")


def manifest(
    rows: list[tuple[SourceFile, int]], location: Path, limit: int, split: str, progress: Callable[[str], None]
) -> NDArray[np.void]:
    """Read the first `limit` files, or all if `limit` is 0. Check that each is an image; record its size and SHA-256.

    Returns:
        A structured array with a row for each image, as described in the docstring of this module.

    Raises:
        DropnasError: there are too few images, or a file cannot be read or is not an image.
    """
    require_enough(len(rows), limit, f"{location}: {split}")
    rows = rows[: limit or None]
    longest = max(len(entry.path.encode()) for entry, _ in rows)
    table = np.zeros(len(rows), dtype=manifest_type(longest))
    with closing(BytesAt(location)) as source:
        for index, (entry, label) in enumerate(rows):
            data = source.read(entry.path, entry.offset, entry.length)
            height, width = _size(data, f"{location}: {entry.path}")
            digest = np.frombuffer(hashlib.sha256(data).digest(), dtype=np.uint8)
            table[index] = (entry.path.encode(), entry.offset, entry.length, height, width, label, digest)
            if (index + 1) % PROGRESS_EVERY == 0:
                progress(f"{split}: {index + 1} of {len(rows)} images")
    return table


def manifest_type(longest_path: int) -> np.dtype[np.void]:
    """The type of a manifest's rows."""
    sizes = [("offset", "<i8"), ("length", "<i8"), ("height", "<i4"), ("width", "<i4"), ("label", "<i8")]
    return np.dtype([("path", f"S{longest_path}"), *sizes, ("sha256", "u1", (32,))])


def _size(data: bytes, where: str) -> tuple[int, int]:
    """Height and width in pixels, from the image's header."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            return image.height, image.width
    except IMAGE_ERRORS as error:
        raise DropnasError(f"not an image ({error})", where=where, remedy="fetch it again") from error


class BytesAt:
    """Reads the bytes of images from a folder or tar.

    Forked processes can share one BytesAt, because no read moves the tar's file position.
    """

    def __init__(self, location: Path) -> None:
        self.location = location
        try:
            self._tar = os.open(location, os.O_RDONLY) if location.is_file() else None
            if self._tar is None and not location.is_dir():
                raise FileNotFoundError("no such file or folder")
        except OSError as error:
            raise DropnasError(
                f"the images cannot be reached ({error})",
                where=location,
                remedy="set `path` of the dataset to their location",
            ) from error

    def read(self, path: str, offset: int, length: int) -> bytes:
        """The bytes of one image.

        Raises:
            DropnasError: the image does not exist, or its length is not the recorded one.
        """
        try:
            data = (self.location / path).read_bytes() if self._tar is None else os.pread(self._tar, length, offset)
        except OSError as error:
            raise DropnasError(
                f"cannot be read ({error.strerror})", where=self.location / path, remedy="put it back"
            ) from error
        if len(data) != length:
            raise DropnasError(
                f"has {len(data)} bytes, not {length}", where=self.location / path, remedy="fetch it again"
            )
        return data

    def close(self) -> None:
        """Close the tar, if there is one."""
        if self._tar is not None:
            os.close(self._tar)
