"""Pulls runs from the DVC remote: their light parts, and on request their heavy parts (weights and images).

The plan, the tables and the page need only light parts. A run that is already in the store does not change. Every run
in the store must have been made from exactly the inputs that are in the store, byte for byte. If a run was computed
twice, the two results may differ. A run is therefore left out if the store has a different result for one of its
inputs, or a run that was made from a different result of this run.
"""

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from dropnas.artifacts.manifest_file import MANIFEST, ManifestFile
from dropnas.errors import DropnasError
from dropnas.runs.files import sha256
from dropnas.runs.parts import is_light
from dropnas.runs.store import Store
from dropnas.runs.verify import published
from dropnas.sharing.arrival import admit, complete, staging
from dropnas.sharing.remote import Remote, open_remote
from dropnas.sharing.shared_run import Problems, SharedRun, read_runs
from dropnas.workspace import Progress

RUNS_FETCHED = 64  # number of runs whose files are fetched together


@dataclass(frozen=True)
class Pulled:
    """The outcome of a pull: counts of runs, and a list of problems."""

    new: int  # fetched
    completed: int  # already in the store; their heavy parts were fetched
    present: int  # already in the store, with nothing to fetch
    absent: int  # neither in the store nor on the remote
    problems: tuple[str, ...]  # a line for each run that was left out, with the reason


def pull(root: Path, names: Set[str] | None, remote_name: str, progress: Progress, *, heavy: bool = False) -> Pulled:
    """Fetch runs that the remote has and this store lacks.

    Args:
        names: folders of the runs; None means all.
        remote_name: empty for the default remote.
        heavy: whether to fetch weights and images too, including those that runs in the store lack.

    Raises:
        DropnasError: the remote cannot be used, or has no runs.
    """
    remote, store = open_remote(root, remote_name), Store(root)
    index = remote.index()
    if not index:
        raise DropnasError("the remote has no runs", where=remote.url, remedy="check its URL, or push runs to it")
    meant = [name for name in index if names is None or name in names]
    versions = {name: index[name][0] for name in meant if len(index[name]) == 1}
    problems = {name: "two computations of this run were pushed" for name in meant if name not in versions}
    published_here = {name for name in {*meant, *(names or ())} if store.is_published(root / name)}
    problems |= read_runs(root, dict.fromkeys(sorted(published_here)))[1]
    here = published_here & {*meant}
    light = {name for name in here if heavy and is_light(root / name)}
    lacking = {name: version for name, version in versions.items() if name not in here}
    new, left_out = _add(remote, store, lacking, progress, heavy=heavy)
    completed, not_completed = _complete(remote, store, {n: v for n, v in versions.items() if n in light}, progress)
    problems |= left_out | not_completed
    absent = 0 if names is None else sum(not store.is_published(root / name) for name in names - index.keys())
    lines = tuple(f"{name}: left out: {why}" for name, why in problems.items())
    return Pulled(new, completed, len(here) - len(light), absent, lines)


def require_heavy(folder: Path, root: Path) -> None:
    """Fetch the heavy part of a run that a stage will read, if it is missing.

    Raises:
        DropnasError: it cannot be fetched; the error gives the command that fetches it.
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


def _add(
    remote: Remote, store: Store, versions: Mapping[str, str], progress: Progress, *, heavy: bool
) -> tuple[int, Problems]:
    """Fetch runs that the store lacks: first all manifests, which reveal conflicts, then the other files."""
    with staging(store) as staged:
        remote.fetch({f"{folder}.{version}": [MANIFEST] for folder, version in versions.items()}, staged)
        runs, problems = read_runs(staged, versions)
        problems |= _conflicts(runs, store.root)
        for batch in _batches([run for run in runs if run.folder not in problems], progress, "fetched"):
            parts = {run.key: list(run.files) if heavy else run.part(heavy=False) for run in batch}
            remote.fetch(parts, staged)
            problems |= admit(store, staged, batch, heavy=heavy)
    return len(versions) - len(problems), problems


def _complete(remote: Remote, store: Store, versions: Mapping[str, str], progress: Progress) -> tuple[int, Problems]:
    """Fetch the heavy parts that runs in the store lack."""
    with staging(store) as staged:
        runs, problems = read_runs(store.root, versions)
        for batch in _batches(runs, progress, "completed"):
            remote.fetch({run.key: run.part(heavy=True) for run in batch}, staged)
            problems |= complete(store, staged, batch)
    return len(versions) - len(problems), problems


def _batches(runs: Sequence[SharedRun], progress: Progress, what: str) -> Iterator[Sequence[SharedRun]]:
    """Yield the runs in batches, and report after each batch how many runs are done."""
    for start in range(0, len(runs), RUNS_FETCHED):
        yield (batch := runs[start : start + RUNS_FETCHED])
        progress(f"{start + len(batch)} of {len(runs)} runs {what}")


def _conflicts(runs: Sequence[SharedRun], root: Path) -> Problems:
    """Find the fetched runs that conflict with the store, because they or their inputs were computed twice."""
    here = published(root)
    coming = {run.name: run.version for run in runs}
    versions = {**coming, **{folder.name: sha256(folder / MANIFEST) for folder in here}}
    read_here = {item for folder in here for item in _inputs(folder).items()}
    other = {name for name, version in read_here if coming.get(name, version) != version}
    found = {}
    for run in runs:
        wrong = next((name for name, version in run.inputs.items() if versions.get(name, version) != version), "")
        if wrong:
            found[run.folder] = f"it was made from another computation of {wrong} than the one here"
        elif run.name in other:
            found[run.folder] = "a run here was made from another computation of it"
    return found


def _inputs(folder: Path) -> dict[str, str]:
    """The versions of the inputs of a run in the store."""
    read: dict[str, str] = ManifestFile.read(folder).run.get("input_manifests", {})
    return read
