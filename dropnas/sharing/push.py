"""Pushes finished runs to the DVC remote, even while the workflow is running.

Design choices: only complete and verified runs are sent. A run is left out and reported if its files, identity or
inputs do not match its manifest, or if its heavy part is not here. Nothing on the remote is ever replaced. Two machines
may compute the same run with different rounding, and later runs that used the first result need exactly that result.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from dropnas.artifacts.manifest_file import MANIFEST
from dropnas.errors import DropnasError
from dropnas.runs.files import sha256
from dropnas.runs.parts import is_light
from dropnas.runs.store import Store
from dropnas.runs.verify import published
from dropnas.sharing.remote import open_remote
from dropnas.sharing.shared_run import SharedRun, attempt, read_run

RUNS_SENT = 32  # number of runs that are sent together; a killed push repeats at most this number


@dataclass(frozen=True)
class Pushed:
    """The outcome of a push: counts of runs, and a list of problems."""

    sent: int
    present: int  # already on the remote
    light: int  # left out because their heavy part is not here
    problems: tuple[str, ...]  # a line for each run that was left out because of a conflict or another problem


def push(root: Path, names: Set[str] | None, remote_name: str, progress: Callable[[str], None]) -> Pushed:
    """Send the finished runs that the remote lacks.

    Args:
        names: folders of the runs; None means all.
        remote_name: empty for the default remote.

    Raises:
        DropnasError: the remote cannot be used, or the store has no finished run.
    """
    local = {folder.relative_to(root).as_posix(): sha256(folder / MANIFEST) for folder in published(root)}
    if not local:
        raise DropnasError("there is no finished run here", where=root, remedy="give the store's root with --root")
    remote = open_remote(root, remote_name)
    index = remote.index()
    if not index:
        remote.create()
    meant = [name for name in local if names is None or name in names]
    light = [name for name in meant if name not in index and is_light(root / name)]
    new = [name for name in meant if name not in index and name not in light]
    versions = {name: pushed[0] for name, pushed in index.items()}
    problems = [line for name in meant if name in index for line in _conflict(name, local[name], index[name])]
    expected = {name.rpartition("/")[2]: version for name, version in {**local, **versions}.items()}
    sent = 0
    for start in range(0, len(new), RUNS_SENT):
        batch, faults = attempt(new[start : start + RUNS_SENT], lambda name: _checked(root, name, expected))
        problems += [f"{name}: left out: {fault}" for name, fault in faults.items()]
        remote.send(root, batch)
        sent += len(batch)
        progress(f"{sent} of {len(new)} runs sent")
    return Pushed(sent, sum(name in index for name in meant), len(light), tuple(problems))


def _conflict(name: str, version: str, pushed: Sequence[str]) -> Iterator[str]:
    if len(pushed) > 1:
        yield f"{name}: two computations of this run were pushed; remove one of them from the remote"
    elif version != pushed[0]:
        yield f"{name}: not sent, because the remote has another computation of this run"


def _checked(root: Path, name: str, versions: Mapping[str, str]) -> SharedRun:
    """Read and verify a run before it is pushed; `versions` maps the name of each known run to its version.

    Raises:
        DropnasError: the run is damaged, or an input was replaced by another computation.
    """
    Store(root).require_intact(root / name)
    run = read_run(root, name)
    for read, version in run.inputs.items():
        if versions.get(read, version) != version:
            raise DropnasError(f"its input {read} was replaced by another computation")
    return run
