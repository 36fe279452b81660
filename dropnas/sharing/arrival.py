"""What arrives from the DVC remote: checked beside the store, then let in.

Design choices: what arrives is believed no more than any file. Each byte is checked against the run's manifest, and the
manifest against the run's name, before the folder gets that name by one rename; so a killed pull leaves nothing half
done. A run in work here is not touched: whoever computes it holds its lease.
"""

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from dropnas.errors import DropnasError
from dropnas.runs.authenticity import identity_faults
from dropnas.runs.files import sha256, write_json, write_text
from dropnas.runs.lease import lease, lease_if_free
from dropnas.runs.parts import MARK, MARK_TEXT, is_heavy, stage_of
from dropnas.runs.store import MANIFEST, RECEIPT, Store, read_manifest, receipt_of
from dropnas.sharing.entry import Entry
from dropnas.sharing.remote import Remote

DAMAGED = "remove its entry from the remote and push it again from a whole store"
Problems = dict[str, str]  # why a run was left out, by its folder


def bring(remote: Remote, store: Store, entries: Sequence[Entry], *, heavy: bool) -> Problems:
    """Fetch runs that are not here and publish them, without their heavy parts unless these are wanted.

    Raises:
        DropnasError: the remote cannot be read.
    """
    parts = {entry.folder: entry.files if heavy else entry.part(heavy=False) for entry in entries}
    with _arrived(remote, store, parts) as place:
        problems = _problems(entries, lambda entry: _prepare(place / entry.folder, entry))
        os.sync()  # once for all: a power cut must not leave an empty file under a final name
        whole = [entry for entry in entries if entry.folder not in problems]
        return problems | _problems(whole, lambda entry: _admit(store, place / entry.folder, entry))


def complete(remote: Remote, store: Store, entries: Sequence[Entry]) -> Problems:
    """Fetch the heavy parts of runs that are here without them.

    Raises:
        DropnasError: the remote cannot be read.
    """
    with _arrived(remote, store, {entry.folder: entry.part(heavy=True) for entry in entries}) as place:
        os.sync()
        return _problems(entries, lambda entry: _add(store, place / entry.folder, store.root / entry.folder))


@contextmanager
def _arrived(remote: Remote, store: Store, parts: Mapping[str, Mapping[str, str]]) -> Iterator[Path]:
    """A folder beside the store, with files by the folder of their run, given by their md5."""
    scratch = store.root / "scratch"
    scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=scratch, prefix="pull-") as temporary, lease(Path(temporary)):
        wanted = (
            (Path(temporary, folder, name), md5) for folder, files in parts.items() for name, md5 in files.items()
        )
        remote.fetch(dict(wanted))
        yield Path(temporary)


def _problems(entries: Sequence[Entry], admit: Callable[[Entry], None]) -> Problems:
    found = {}
    for entry in entries:
        try:
            admit(entry)
        except DropnasError as error:
            found[entry.folder] = str(error)
    return found


def _prepare(staged: Path, entry: Entry) -> None:
    """Require that what has arrived is what it claims to be, and make a run's folder of it."""
    _check(staged, entry)
    if any(not (staged / name).exists() for name in entry.files):
        write_text(staged / MARK, MARK_TEXT, flush=False)
    write_json(staged / RECEIPT, receipt_of(staged), flush=False)


def _admit(store: Store, staged: Path, entry: Entry) -> None:
    """Publish a run that has arrived and was checked."""
    identity = entry.folder.rpartition("-")[2]
    with lease_if_free(store.scratch(identity)) as free:
        if not free:
            raise DropnasError("it is in work here", remedy="pull again when it is finished")
        if not store.is_published(store.root / entry.folder):
            store.admit(staged, store.root / entry.folder)
    store.discard_scratch(identity)


def _check(staged: Path, entry: Entry) -> None:
    if not (staged / MANIFEST).is_file() or sha256(staged / MANIFEST) != entry.manifest:
        raise DropnasError(f"{MANIFEST} on the remote is damaged", remedy=DAMAGED)
    manifest = read_manifest(staged)
    faults = identity_faults(Path(entry.folder), manifest["run"])
    if faults or manifest["run"].get("stage") != stage_of(entry.folder):
        raise DropnasError("on the remote lies another run under its name", remedy=DAMAGED)
    if manifest["files"].keys() | {MANIFEST} != entry.files.keys():
        raise DropnasError("its entry and its manifest name other files", remedy=DAMAGED)
    for name, checksum in manifest["files"].items():
        _check_file(staged / name, name, checksum, needed=not is_heavy(name))


def _check_file(file: Path, name: str, checksum: str, *, needed: bool) -> None:
    if not file.is_file():
        if needed:
            raise DropnasError(f"{name} is not on the remote", remedy=DAMAGED)
    elif sha256(file) != checksum:
        raise DropnasError(f"{name} on the remote is damaged", remedy=DAMAGED)


def _add(store: Store, staged: Path, folder: Path) -> None:
    """Put the heavy files that have arrived into a run's folder; the mark goes last."""
    store.require_intact(folder)
    expected = {name: value for name, value in read_manifest(folder)["files"].items() if is_heavy(name)}
    for name, checksum in expected.items():
        _check_file(staged / name, name, checksum, needed=True)
    for name in expected:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        os.replace(staged / name, folder / name)
    (folder / MARK).unlink(missing_ok=True)
