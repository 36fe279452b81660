"""Sends finished runs to the DVC remote, each an object of its own, also while the workflow goes on.

Design choices: only what is complete and verified is sent: a run whose files, identity or inputs are not what its
manifest says is named and left out, one that was pulled lightly holds only a part and is left out too. What the remote
has is never replaced: two machines may have computed one run with different rounding, and what was made from the first
must keep it.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from dropnas.errors import DropnasError
from dropnas.runs.authenticity import identity_faults, input_faults
from dropnas.runs.files import sha256
from dropnas.runs.parts import is_light
from dropnas.runs.store import MANIFEST, Store, read_manifest
from dropnas.runs.verify import published
from dropnas.sharing.entry import Entry
from dropnas.sharing.remote import open_remote
from dropnas.sharing.run_batches import batches

BATCH = 32  # runs that are sent together; a killed push sends no more than these again


@dataclass(frozen=True)
class Pushed:
    """What a push did: how many runs it sent, were there, hold only a part here; and what it left out, with reasons."""

    sent: int
    there: int
    light: int
    problems: tuple[str, ...]


def push(root: Path, names: Set[str] | None, remote_name: str, progress: Callable[[str], None]) -> Pushed:
    """Send the finished runs that the remote lacks.

    Args:
        root: of the store.
        names: folders of the runs that are meant, relative to the root; None for all.
        remote_name: of the DVC remote; empty for the default one.
        progress: called with a line now and then.

    Raises:
        DropnasError: the remote cannot be used, or none of the runs is here.
    """
    folders = {folder.relative_to(root).as_posix(): folder for folder in published(root)}
    meant = [name for name in folders if names is None or name in names]
    if not meant:
        raise DropnasError("none of these runs is finished here", where=root, remedy="name the folder that holds runs/")
    remote = open_remote(root, remote_name)
    index = remote.index()
    light = [name for name in meant if name not in index and is_light(folders[name])]
    new = [name for name in meant if name not in index and name not in light]
    versions = {**_local_versions(folders.values()), **_remote_versions(index)}
    problems = [line for name in meant if name in index for line in _conflict(folders[name], name, index[name])]
    sent = 0
    for batch in batches(new, BATCH):
        entries = [one for name in batch if (one := _entry(Store(root), folders[name], name, versions, problems))]
        remote.send({md5: folders[one.folder] / file for one in entries for file, md5 in one.files.items()}, entries)
        sent += len(entries)
        progress(f"{sent} of {len(new)} runs sent")
    return Pushed(sent, sum(name in index for name in meant), len(light), tuple(problems))


def _remote_versions(index: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """The sha256 of the manifest of each run on the remote, by the name of its folder."""
    return {folder.rpartition("/")[2]: manifests[0] for folder, manifests in index.items()}


def _local_versions(folders: Iterable[Path]) -> dict[str, str]:
    return {folder.name: sha256(folder / MANIFEST) for folder in folders}


def _conflict(folder: Path, name: str, manifests: Sequence[str]) -> Iterator[str]:
    if len(manifests) > 1:
        yield f"{name}: was pushed from two places at once; remove one of its entries from the remote"
    elif sha256(folder / MANIFEST) != manifests[0]:
        yield f"{name}: the remote has it from another computation, which stays"


def _entry(store: Store, folder: Path, name: str, versions: Mapping[str, str], problems: list[str]) -> Entry | None:
    """What the index shall say of a run; None, and a problem more, if it must not be pushed."""
    try:
        store.require_intact(folder)
        record = read_manifest(folder)["run"]
        faults = [*identity_faults(folder, record), *input_faults(record, versions)]
    except DropnasError as error:
        faults, record = [str(error)], {}
    if faults:
        problems.append(f"{name}: left out: {faults[0]}")
        return None
    files = {file: _md5(folder / file) for file in (MANIFEST, *read_manifest(folder)["files"])}
    return Entry(name, versions[folder.name], record.get("input_manifests", {}), files)


def _md5(file: Path) -> str:
    """What DVC calls a file's object."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
