"""The file of an archive: a zip whose bytes follow from its content alone, and that is not believed when it is read.

Design choices: sorted names, one fixed time and mode, one compression, so that two runs give one file. `SHA256SUMS`
lists every other file, for `sha256sum --check` and for the reader here. Nothing is extracted but plain files with
relative names; a link, an absolute name, `..` or a second file of one name is refused.
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
SUM_LINE = re.compile(r"([0-9a-f]{64})  (.+)")
EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip can hold
FILE, FOLDER, LINK, KIND = 0o100644, 0o040755, 0o120000, 0o170000  # modes, and the bits of them that say what it is
UNSAFE = re.compile(r'[\x00-\x1f\x7f\\:*?"<>|]')  # in the name of a file, on some system
FAULTS = (  # what zipfile raises at a damaged file
    *(zipfile.BadZipFile, zlib.error, EOFError, struct.error),
    *(RuntimeError, ValueError, OverflowError, KeyError, IndexError),
)
REMEDY = "fetch the archive again from where it was published"


def write_archive(file: Path, content: Mapping[str, bytes]) -> None:
    """Write files, and the checksums of all of them, into one archive.

    Args:
        file: the archive to write.
        content: by the name in the archive.
    """
    sums = "".join(f"{hashlib.sha256(content[name]).hexdigest()}  {name}\n" for name in sorted(content))
    folders = {f"{folder}/": b"" for name in content for folder in PurePosixPath(name).parents if folder.name}
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as packed:
        for name, data in sorted({**content, **folders, SUMS: sums.encode()}.items()):
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.create_system = 3  # Unix, whatever system this is
            entry.external_attr = (FOLDER if name in folders else FILE) << 16
            packed.writestr(entry, data, zipfile.ZIP_DEFLATED, compresslevel=9)
    write_bytes(file, stream.getvalue())


@dataclass(frozen=True)
class Archive:
    """An archive that is being read.

    Attributes:
        file: its path.
        sums: the sha256 of every file but `SHA256SUMS`, by its name.
    """

    file: Path
    sums: dict[str, str]
    packed: zipfile.ZipFile

    def read(self, name: str) -> bytes:
        """The content of a file.

        Raises:
            DropnasError: the archive has none of this name, or it is not what its checksum says.
        """
        if name not in self.sums:
            raise DropnasError(f"{name} is not in the archive", where=self.file, remedy=REMEDY)
        with _damage_reported(self.file):
            data = self.packed.read(name)
        if hashlib.sha256(data).hexdigest() != self.sums[name]:
            raise DropnasError(f"{name} was changed after the archive was made", where=self.file, remedy=REMEDY)
        return data

    def extract(self, folder: Path, top: tuple[str, ...]) -> None:
        """Write the files below some of its top folders into a folder, each checked."""
        for name in self.sums:
            if name.startswith(top):
                target = folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(self.read(name))


@contextmanager
def opened(file: Path) -> Iterator[Archive]:
    """Open an archive.

    Raises:
        DropnasError: it is none, is damaged, holds what is no plain file below it, or its list of checksums does not
            name exactly its files.
    """
    with ExitStack() as stack:
        with _damage_reported(file):
            packed = stack.enter_context(zipfile.ZipFile(file))
            sums = _checked_sums(packed, file)
        yield Archive(file, sums, packed)


@contextmanager
def _damage_reported(file: Path) -> Iterator[None]:
    """Report in a line what zipfile cannot read."""
    try:
        yield
    except FAULTS as error:
        raise DropnasError(f"is no archive, or is damaged ({error})", where=file, remedy=REMEDY) from error


def _checked_sums(packed: zipfile.ZipFile, file: Path) -> dict[str, str]:
    """The list of checksums, which must name exactly the files, each of them once."""
    for entry in packed.infolist():
        _require_plain(entry, file)
    names = [entry.filename for entry in packed.infolist() if not entry.is_dir()]
    if len(names) != len(set(names)):
        raise DropnasError("holds two files of one name", where=file, remedy=REMEDY)
    if SUMS not in names:
        raise DropnasError(f"is no archive of this program: it has no {SUMS}", where=file)
    lines = [SUM_LINE.fullmatch(line) for line in packed.read(SUMS).decode().splitlines()]
    sums = {line[2]: line[1] for line in lines if line}
    if odd := sorted(sums.keys() ^ (set(names) - {SUMS})):
        raise DropnasError(f"{SUMS} does not name exactly its files ({odd[0]})", where=file, remedy=REMEDY)
    return sums


def _require_plain(entry: zipfile.ZipInfo, file: Path) -> None:
    name = entry.filename.removesuffix("/")
    if any(part in ("", ".", "..") for part in name.split("/")) or UNSAFE.search(name):
        raise DropnasError(f"holds {name!r}, which is no name of a file below it", where=file, remedy=REMEDY)
    if entry.external_attr >> 16 & KIND == LINK:
        raise DropnasError(f"holds the link {name!r}", where=file, remedy=REMEDY)
