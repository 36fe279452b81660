"""Brings runs from the DVC remote: lightly, so that plan, tables and page have them, and wholly where it is asked for.

A run that is here already stays as it is. A run is left out where what was made from it, or what it was made from, is
here from another computation: a table must rest on the very bytes that its inputs had.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from dropnas.errors import DropnasError
from dropnas.runs.authenticity import identity_faults, read_inputs
from dropnas.runs.files import sha256
from dropnas.runs.parts import is_light
from dropnas.runs.store import MANIFEST, Store, read_manifest
from dropnas.runs.verify import published
from dropnas.sharing.arrival import bring, complete
from dropnas.sharing.entry import Entry
from dropnas.sharing.remote import open_remote
from dropnas.sharing.run_batches import batches

BATCH = 64  # runs whose files are fetched together


@dataclass(frozen=True)
class Pulled:
    """What a pull did.

    Attributes:
        brought, completed, here: how many runs it brought and completed, and how many were here whole.
        problems: what it left out and why.
        absent: how many of the runs that were meant are neither on the remote nor here.
    """

    brought: int
    completed: int
    here: int
    problems: tuple[str, ...]
    absent: int = 0


def pull(
    root: Path, names: Set[str] | None, remote_name: str, progress: Callable[[str], None], *, heavy: bool = False
) -> Pulled:
    """Bring runs that the remote has and this store lacks.

    Args:
        root: of the store.
        names: folders of the runs that are meant, relative to the root; None for all that the remote has.
        remote_name: of the DVC remote; empty for the default one.
        progress: called with a line now and then.
        heavy: bring weights and images, too, also of runs that are here without them.

    Raises:
        DropnasError: the remote cannot be used, or its index is damaged.
    """
    remote, store = open_remote(root, remote_name), Store(root)
    index = remote.index()
    if not index:
        hint = "check its address (`dvc remote list`), or push runs to it first"
        raise DropnasError("no run lies on the DVC remote", where=remote.path, remedy=hint)
    meant = [name for name in index if names is None or name in names]
    here = {name for name in names or meant if store.is_published(root / name)}
    absent = len(names - index.keys() - here) if names else 0
    if names and not meant and not here:
        raise DropnasError("none of these runs lies on the DVC remote", where=remote.path, remedy="push them first")
    wrong = {name: fault for name in sorted(here) for fault in _own_faults(root / name)}
    here = here & index.keys() - wrong.keys()
    problems = wrong | {name: "was pushed from two places at once" for name in meant if len(index[name]) > 1}
    new = {name: index[name][0] for name in meant if name not in here and name not in problems}
    entries = remote.read(new)
    problems |= _strangers(entries, index, root)
    chosen = [entry for name, entry in entries.items() if name not in problems]
    for batch in _told(chosen, progress, "fetched"):
        problems |= bring(remote, store, batch, heavy=heavy)
    lacking = {name: index[name][0] for name in sorted(here) if heavy and is_light(root / name)}
    for batch in _told(list(remote.read(lacking).values()), progress, "completed"):
        problems |= complete(remote, store, batch)
    brought = sum(entry.folder not in problems for entry in chosen)
    completed = len(lacking.keys() - problems.keys())
    lines = tuple(f"{name}: left out: {why}" for name, why in problems.items())
    return Pulled(brought, completed, len(here) - len(lacking), lines, absent)


def require_heavy(folder: Path, root: Path) -> None:
    """Bring the heavy part of a run that a stage is about to read, if it is not here.

    Raises:
        DropnasError: it cannot be brought; says what to type.
    """
    if not is_light(folder):
        return
    name = folder.relative_to(root).as_posix()
    hint = f"python -m dropnas pull --heavy {name}"
    try:
        done = pull(root, {name}, "", lambda line: None, heavy=True)
    except DropnasError as error:
        raise DropnasError(f"only its light part is here, and {error}", where=name, remedy=hint) from error
    if is_light(folder):
        why = done.problems[0] if done.problems else "the remote does not have it"
        raise DropnasError(f"only its light part is here: {why}", where=name, remedy=hint)


def _own_faults(folder: Path) -> list[str]:
    """What is wrong with a run that is here already, as far as its manifest tells."""
    try:
        return identity_faults(folder, read_manifest(folder)["run"])
    except DropnasError as error:
        return [error.what]


def _strangers(entries: Mapping[str, Entry], index: Mapping[str, Sequence[str]], root: Path) -> dict[str, str]:
    """Runs of the remote that do not go with those here, and why."""
    folders = published(root)
    local = {folder.name: sha256(folder / MANIFEST) for folder in folders}
    coming = {entry.folder.rpartition("/")[2]: entry.manifest for entry in entries.values()}
    read_here = {item for folder in folders for item in read_inputs(read_manifest(folder)["run"]).items()}
    others = {name for name, manifest in read_here if coming.get(name, manifest) != manifest}
    found = {}
    for name, entry in entries.items():
        versions = {**coming, **local}
        wrong = next((one for one, read in entry.inputs.items() if versions.get(one, read) != read), "")
        if wrong:
            found[name] = f"it was made from another {wrong} than the one here"
        elif name.rpartition("/")[2] in others:
            found[name] = "a run here was made from another computation of it"
    return found


def _told(entries: Sequence[Entry], progress: Callable[[str], None], what: str) -> Iterator[list[Entry]]:
    """The runs in batches; tells after each how many are done."""
    done = 0
    for batch in batches(entries, BATCH):
        yield batch
        done += len(batch)
        progress(f"{done} of {len(entries)} runs {what}")
