"""What the index of the remote says of a run: its files as objects, its manifest, and what it was made from.

An entry comes from a place that others write to, so nothing in it is believed: names that could lead out of the run's
folder are refused here, and what the objects hold is checked against the manifest when it arrives.
"""

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from dropnas.errors import DropnasError
from dropnas.parsing import parse
from dropnas.runs.files import read_json
from dropnas.runs.parts import is_heavy

FOLDER = re.compile(r"(data|runs)/[A-Za-z0-9][\w.+-]*/[A-Za-z0-9][\w.+-]*-[0-9a-f]{10}")
FILE = re.compile(r"[A-Za-z0-9][\w.+-]*(/[A-Za-z0-9][\w.+-]*)*")
MD5, SHA256 = re.compile(r"[0-9a-f]{32}"), re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Entry:
    """A run on the remote.

    Attributes:
        folder: where it lies, relative to a store's root.
        manifest: sha256 of its manifest.
        inputs: the sha256 of the manifest of each run that it read, by the name of its folder.
        files: the md5 of each of its files, manifest included and receipt not.
    """

    __pydantic_config__ = {"extra": "forbid", "strict": True}

    folder: str
    manifest: str
    inputs: dict[str, str]
    files: dict[str, str]

    def part(self, *, heavy: bool) -> dict[str, str]:
        """The md5 of the files of one part."""
        return {name: md5 for name, md5 in self.files.items() if is_heavy(name) == heavy}

    def text(self) -> str:
        """As it lies on the remote."""
        return json.dumps(asdict(self), sort_keys=True, indent=1) + "\n"


def read_entry(file: Path, folder: str, manifest: str) -> Entry:
    """An entry of the index, checked.

    Raises:
        DropnasError: it is none, is another run's, or names a file outside of the run's folder.
    """
    where = f"entry of {folder}"
    try:
        entry: Entry = parse(Entry, read_json(file), where)
    except DropnasError as error:
        raise DropnasError(f"cannot be read ({error.what})", where=where, remedy="push the run again") from error
    proper = FOLDER.fullmatch(folder) and SHA256.fullmatch(manifest)
    if not proper or (entry.folder, entry.manifest) != (folder, manifest):
        raise DropnasError("is not that of the run", where=where, remedy="remove it from the remote")
    for name, md5 in entry.files.items():
        if not FILE.fullmatch(name) or not MD5.fullmatch(md5):
            raise DropnasError(f"names no file of a run: {name!r}", where=where, remedy="remove it from the remote")
    return entry
