"""Finds and removes what no plan needs any more: runs, resume states and frozen starts (the folders in `plans/`).

Design choices:
- A run is needed if one of the given plans contains it, even if only for a table that is built on request. A resume
  state is needed if its run is needed and not finished. A frozen start is needed if its runs are exactly those of a
  given plan.
- A folder that a process is working on is never touched. Any other folder is moved away under its lease, and then
  deleted. If a prune is killed, no half-deleted run is left under the name of the run.
- A folder is removed only if it is below runs/, scratch/ or plans/ and has the kind of name that this program assigns.
  A link in its path is an error. Data sets are in data/ and are never removed.
"""

import os
import re
import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dropnas.errors import DropnasError
from dropnas.runs.authenticity import id_in
from dropnas.runs.files import read_json
from dropnas.runs.identity import Run
from dropnas.runs.lease import holder, lease_now
from dropnas.runs.store import Store

ID_PATTERN = re.compile(r"[0-9a-f]{10}")
PASSING = re.compile(r"(pull|pruned)-\w+")  # temporary folders, which remain if a pull or prune is killed
PRUNED_KINDS = {"scratch": "resume states", "run": "runs", "plan": "frozen starts"}


@dataclass(frozen=True)
class Unwanted:
    """A folder that no plan needs."""

    kind: str  # a key of PRUNED_KINDS
    folder: Path
    size: int  # total size of its files in bytes
    scratch: Path  # the folder with the lease that protects it


def unwanted(root: Path, plans: Sequence[Mapping[str, Run]]) -> list[Unwanted]:
    """Find the folders of a store that none of the given plans needs, except those that a process is working on.

    Args:
        plans: for each plan, a mapping from ids to runs.

    Raises a DropnasError if the path of a folder contains a link.
    """
    runs = {id_: run for plan in plans for id_, run in plan.items()}
    found = [*_scratch(Store(root), runs), *_runs(root, runs), *_plans(root, [set(plan) for plan in plans])]
    return [one for one in found if not holder(one.scratch)]


def remove(found: Sequence[Unwanted], root: Path) -> list[Unwanted]:
    """Remove the given folders, except those that a process has started to work on; return the removed ones."""
    removed = []
    for one in found:
        _refuse_links(one.folder, root)
        away = root / "scratch" / f"pruned-{uuid.uuid4().hex}"
        with lease_now(one.scratch) as free:
            if free:
                os.replace(one.folder, away)
                removed.append(one)
        if free:
            shutil.rmtree(one.scratch, ignore_errors=True)
            shutil.rmtree(away)
    return removed


def _runs(root: Path, wanted: dict[str, Run]) -> Iterator[Unwanted]:
    for folder in _folders(root, "runs/*/*"):
        id_ = id_in(folder.name)
        if id_ and not (id_ in wanted and folder == root / wanted[id_].folder):
            yield Unwanted("run", folder, _size(folder), Store(root).scratch(id_))


def _scratch(store: Store, wanted: dict[str, Run]) -> Iterator[Unwanted]:
    for folder in _folders(store.root, "scratch/*"):
        needed = folder.name in wanted and not store.is_published(store.root / wanted[folder.name].folder)
        if PASSING.fullmatch(folder.name) or (ID_PATTERN.fullmatch(folder.name) and not needed):
            yield Unwanted("scratch", folder, _size(folder), folder)


def _plans(root: Path, wanted: Sequence[set[str]]) -> Iterator[Unwanted]:
    """Yield each frozen start whose runs are not exactly those of a given plan, if no process is working on them."""
    store = Store(root)
    for folder in _folders(root, "plans/*"):
        if ID_PATTERN.fullmatch(folder.name) and (folder / "plan.json").is_file():
            runs = {run["id"] for run in read_json(folder / "plan.json")["runs"]}
            if runs not in wanted and not any(holder(store.scratch(id_)) for id_ in runs):
                yield Unwanted("plan", folder, _size(folder), store.scratch(f"plan-{folder.name}"))


def _folders(root: Path, pattern: str) -> Iterator[Path]:
    for folder in sorted(root.glob(pattern)):
        _refuse_links(folder, root)
        if folder.is_dir():
            yield folder


def _refuse_links(folder: Path, root: Path) -> None:
    way = [folder, *folder.parents]
    for one in way[: way.index(root)]:
        if one.is_symlink():
            fault = "is a link, which could lead out of the store"
            raise DropnasError(fault, where=one, remedy="remove the link first")


def _size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir())
