"""Checks every finished run of a store: its identity, its files, and whether its inputs are unchanged.

If a run has a problem, the tables and figures that depend on it are reported as tainted, even if their own files are
intact.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dropnas.artifacts.manifest_file import MANIFEST, ManifestFile
from dropnas.artifacts.receipt_file import RECEIPT
from dropnas.errors import DropnasError
from dropnas.runs.authenticity import RUN, id_in, identity_faults, input_faults, machines, read_inputs
from dropnas.runs.files import sha256
from dropnas.runs.parts import is_light, stage_of
from dropnas.runs.stage_groups import RESULT_STAGES
from dropnas.runs.store import Store

RUN_PARTS = 3  # parts of a run's path in the store, such as runs/STAGE/RUN


@dataclass(frozen=True)
class Verified:
    """The findings of a check."""

    runs: int  # number of finished runs
    light: int  # number of finished runs without their heavy part
    problems: list[str]  # one line for each problem
    # for each table and figure that depends on a run with a problem: its folder, and the folder of that run
    tainted: dict[str, str]
    unchecked: int  # number of inputs that could not be compared because they are not in this store
    # for each run that was computed on several machines, these machines; one machine might give other bytes
    moved: dict[str, tuple[str, ...]]


def published(root: Path) -> list[Path]:
    """The folders of all finished runs, datasets first. Raises an OSError if a folder of the store cannot be read."""
    return [folder for folder in _folders(root) if (folder / MANIFEST).is_file()]


def verify(root: Path) -> Verified:
    """Check all finished runs; this reads every byte of them."""
    problems: dict[Path, list[str]] = {}
    folders, manifests, light = [], {}, 0
    records: dict[Path, dict[str, Any]] = {}
    for folder in _folders(root, problems):
        lines = problems.setdefault(folder, [])
        with _noted(lines):
            if _is_run(folder, Store(root), lines):
                folders.append(folder)
                light += is_light(folder)
                manifests[folder.name] = sha256(folder / MANIFEST)
                records[folder] = ManifestFile.read(folder).run
    for folder, record in records.items():
        with _noted(problems[folder]):
            problems[folder] += [f"{folder}: {line}" for line in identity_faults(folder, record)]
            problems[folder] += [f"{folder}: {line}" for line in input_faults(record, manifests)]
            problems[folder] += Store(root).damage(folder)
    return Verified(
        runs=len(folders),
        light=light,
        problems=[line for lines in problems.values() for line in lines],
        tainted=_tainted({folder for folder, lines in problems.items() if lines}, records, root),
        unchecked=sum(name not in manifests for record in records.values() for name in read_inputs(record)),
        moved={str(folder): several for folder, record in records.items() if (several := machines(record))[1:]},
    )


def _folders(root: Path, problems: dict[Path, list[str]] | None = None) -> Iterator[Path]:
    """Yield the folders where runs should be, datasets first: `data/NAME/RUN` and `runs/STAGE/RUN`.

    Args:
        problems: receives an entry for each folder that cannot be read. If None, such a folder raises an OSError.
    """
    for top in (root / "data", root / "runs"):
        for parent in _entries(top, problems) if top.exists() else ():
            if parent.is_dir() or top.name == "runs":
                yield from (
                    path for path in _entries(parent, problems) if RUN.fullmatch(path.name) or _has_records(path)
                )


def _entries(folder: Path, problems: dict[Path, list[str]] | None) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        if problems is None:
            raise
        problems[folder] = [f"{folder}: cannot be read ({error.strerror})"]
        return []


def _has_records(path: Path) -> bool:
    return any((path / name).is_file() for name in (MANIFEST, RECEIPT))


def _is_run(folder: Path, store: Store, lines: list[str]) -> bool:
    """Whether a folder holds a finished run. If it holds not even an unfinished run, add the problem to `lines`."""
    if not folder.is_dir():
        lines.append(f"{folder}: is a file where a run should be")
    elif store.is_published(folder):
        return True
    elif (folder / RECEIPT).is_file():
        lines.append(f"{folder}: has a receipt but no manifest")
    elif any(folder.iterdir()):
        lines.append(f"{folder}: has no manifest")
    elif not store.scratch(id_in(folder.name)).is_dir():
        lines.append(f"{folder}: is an empty folder where a run should be")
    return False


@contextmanager
def _noted(lines: list[str]) -> Iterator[None]:
    """If an error prevents the check of a run, add the error to `lines`, the problems of the run."""
    try:
        yield
    except DropnasError as error:
        lines.append(str(error))
    except OSError as error:
        lines.append(f"{error.filename}: cannot be read ({error.strerror})")


def _tainted(bad: Iterable[Path], records: Mapping[Path, dict[str, Any]], root: Path) -> dict[str, str]:
    """Tables and figures that depend on a bad run, also indirectly, each with the first bad run on which it depends."""
    users: dict[str, list[Path]] = {}
    for folder, record in records.items():
        for name in read_inputs(record):
            users.setdefault(name, []).append(folder)
    found: dict[str, str] = {}
    for first in sorted(one for one in bad if len(one.relative_to(root).parts) == RUN_PARTS):
        reached, waiting = {first}, [first]
        while waiting:
            new = [one for one in users.get(waiting.pop().name, []) if one not in reached]
            reached.update(new)
            waiting += new
        for folder in sorted(reached):
            name = folder.relative_to(root).as_posix()
            if stage_of(name) in RESULT_STAGES:
                found.setdefault(name, first.relative_to(root).as_posix())
    return found
