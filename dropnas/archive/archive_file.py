"""The file format of an archive: a zip with checksums.

Design choices: names are sorted, and time, mode and compression are fixed, so the same content always gives the same
file. `SHA256SUMS` has the checksum of every other file; `sha256sum --check` and `Archive.read` use it. Archives are not
trusted: only plain files with relative names are extracted; links, absolute and duplicate names, and `..` are rejected.
"""

import hashlib
import io
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from dropnas.errors import DropnasError
from dropnas.runs.files import write_bytes

SUMS = "SHA256SUMS"
PARAMETERS = "parameters.yaml"  # a file in the folder of a plan and in the folder of results
RESULTS_FOLDER = "results"
SUM_LINE = re.compile(r"([0-9a-f]{64})  (.+)")
EARLIEST_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip can hold
FILE_MODE, FOLDER_MODE, LINK_MODE, TYPE_BITS = (
    0o100644,
    0o040755,
    0o120000,
    0o170000,
)  # modes, and the mask of their type bits
UNSAFE = re.compile(r'[\x00-\x1f\x7f\\:*?"<>|]')  # characters that some systems do not allow in a file name
FAULTS = (  # zipfile's errors for a damaged file
    *(zipfile.BadZipFile, zlib.error, EOFError, OSError, struct.error),
    *(RuntimeError, ValueError, OverflowError, KeyError, IndexError),
)
DOWNLOAD_AGAIN = "download the archive again"


def write_archive(file: Path, content: Mapping[str, bytes]) -> None:
    """Write an archive with these files and their checksums. `content` maps each name to its bytes."""
    sums = "".join(f"{hashlib.sha256(content[name]).hexdigest()}  {name}\n" for name in sorted(content))
    folders = {f"{folder}/": b"" for name in content for folder in PurePosixPath(name).parents if folder.name}
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as packed:
        for name, data in sorted({**content, **folders, SUMS: sums.encode()}.items()):
            entry = zipfile.ZipInfo(name, EARLIEST_TIME)
            entry.create_system = 3  # always Unix, so that the bytes do not depend on the system
            entry.external_attr = (FOLDER_MODE if name in folders else FILE_MODE) << 16
            packed.writestr(entry, data, zipfile.ZIP_DEFLATED, compresslevel=9)
    write_bytes(file, stream.getvalue())


@dataclass(frozen=True)
class Archive:
    """An archive that is being read.

    Attributes:
        sums: the sha256 of every file except `SHA256SUMS`, by name.
        packed: the opened zip.
    """

    file: Path
    sums: dict[str, str]
    packed: zipfile.ZipFile

    def read(self, name: str) -> bytes:
        """Read a file of the archive. Raises a DropnasError if the file does not match its checksum."""
        with _damage_reported(self.file):
            data = self.packed.read(name)
        if hashlib.sha256(data).hexdigest() != self.sums[name]:
            raise DropnasError(f"{name} was changed after the archive was made", where=self.file, remedy=DOWNLOAD_AGAIN)
        return data

    def extract(self, folder: Path, top: tuple[str, ...]) -> None:
        """Check the files whose names begin with one of the prefixes in `top`, and write them to a folder."""
        for name in self.sums:
            if name.startswith(top):
                target = folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(self.read(name))


@contextmanager
def opened(file: Path) -> Iterator[Archive]:
    """Open an archive.

    Raises:
        DropnasError: the file is not an archive or is damaged; it contains a link, an unsafe name, or the same name
            twice; or its list of checksums does not match its files.
    """
    with ExitStack() as stack:
        with _damage_reported(file):
            packed = stack.enter_context(zipfile.ZipFile(file))
            sums = _checked_sums(packed, file)
        yield Archive(file, sums, packed)


@contextmanager
def _damage_reported(file: Path) -> Iterator[None]:
    """Turn the errors of zipfile into a one-line DropnasError."""
    try:
        yield
    except FAULTS as error:
        if getattr(error, "filename", None):  # the file cannot be opened; the command line reports this error
            raise
        raise DropnasError(f"is not an archive, or is damaged ({error})", where=file, remedy=DOWNLOAD_AGAIN) from error


def _checked_sums(packed: zipfile.ZipFile, file: Path) -> dict[str, str]:
    """Read the list of checksums, which must name each file exactly once."""
    for entry in packed.infolist():
        _require_plain(entry, file)
    names = [entry.filename for entry in packed.infolist() if not entry.is_dir()]
    if len(names) != len(set(names)):
        raise DropnasError("contains two files with one name", where=file, remedy=DOWNLOAD_AGAIN)
    if SUMS not in names:
        raise DropnasError(f"is not an archive of this program: it has no {SUMS}", where=file)
    lines = [SUM_LINE.fullmatch(line) for line in packed.read(SUMS).decode().splitlines()]
    sums = {line[2]: line[1] for line in lines if line}
    if odd := sorted(sums.keys() ^ (set(names) - {SUMS})):
        raise DropnasError(f"{SUMS} does not list exactly its files ({odd[0]})", where=file, remedy=DOWNLOAD_AGAIN)
    return sums


def _require_plain(entry: zipfile.ZipInfo, file: Path) -> None:
    name = entry.filename.removesuffix("/")
    if any(part in ("", ".", "..") for part in name.split("/")) or UNSAFE.search(name):
        raise DropnasError(f"contains {name!r}, which is not a valid file name", where=file, remedy=DOWNLOAD_AGAIN)
    if entry.external_attr >> 16 & TYPE_BITS == LINK_MODE:
        raise DropnasError(f"contains the link {name!r}", where=file, remedy=DOWNLOAD_AGAIN)
