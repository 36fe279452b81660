"""Moves runs that were fetched from the remote into the store.

Design choices: nothing that arrives is trusted. Each file is checked against the run's manifest, and the manifest
against the run's name. The folder then gets that name by one rename, so a killed pull leaves no half-written run. A run
that is being computed in this store is not touched.
"""

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from dropnas.artifacts.receipt_file import RECEIPT
from dropnas.errors import DropnasError
from dropnas.runs.files import sha256, write_json, write_text
from dropnas.runs.lease import lease, lease_now
from dropnas.runs.parts import DVC_IGNORE, MARK_TEXT
from dropnas.runs.store import Store, receipt_of
from dropnas.sharing.shared_run import Problems, SharedRun, attempt

DAMAGED = "remove it from the remote and push it again from a complete store"


@contextmanager
def staging(store: Store) -> Iterator[Path]:
    """Yield a temporary folder in the store's scratch folder, in which fetched runs have their usual paths."""
    scratch = store.root / "scratch"
    scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=scratch, prefix="pull-") as temporary, lease(Path(temporary)):
        yield Path(temporary)


def admit(store: Store, staged: Path, runs: Sequence[SharedRun], *, heavy: bool) -> Problems:
    """Publish fetched runs, with or without their heavy parts; return the runs left out, each with its problem."""
    arrived = {run.folder: run for run in runs}
    _, damaged = attempt(arrived, lambda name: _prepare(store, staged / name, arrived[name], heavy=heavy))
    os.sync()  # once for all files, so that a power cut leaves no empty file under a final name
    complete = [name for name in arrived if name not in damaged]
    return damaged | attempt(complete, lambda name: _publish(store, staged / name, arrived[name]))[1]


def complete(store: Store, staged: Path, runs: Sequence[SharedRun]) -> Problems:
    """Move fetched heavy parts into the folders of their runs; return the runs left out, each with its problem."""
    arrived = {run.folder: run for run in runs}
    os.sync()
    return attempt(arrived, lambda name: _add(store, staged / name, arrived[name]))[1]


def _prepare(store: Store, staged: Path, run: SharedRun, *, heavy: bool) -> None:
    """Check the files against the manifest; write the receipt and, for a run without its heavy part, the mark."""
    if not heavy and run.part(heavy=True):
        write_text(staged / DVC_IGNORE, MARK_TEXT, flush=False)
    for line in store.damage(staged):
        raise DropnasError(f"{line.removeprefix(f'{staged}/')} on the remote", remedy=DAMAGED)
    write_json(staged / RECEIPT, receipt_of(staged), flush=False)


def _publish(store: Store, staged: Path, run: SharedRun) -> None:
    """Give a checked run its final name."""
    identity = run.folder.rpartition("-")[2]
    with lease_now(store.scratch(identity)) as free:
        if not free:
            raise DropnasError("it is being computed here", remedy="pull again when it is finished")
        if not store.is_published(store.root / run.folder):
            store.admit(staged, store.root / run.folder)
    store.discard_scratch(identity)


def _add(store: Store, staged: Path, run: SharedRun) -> None:
    """Move heavy files into a run's folder, then remove the mark."""
    folder, names = store.root / run.folder, run.part(heavy=True)
    store.require_intact(folder)
    for name in names:
        if not (staged / name).is_file() or sha256(staged / name) != run.files[name]:
            raise DropnasError(f"{name}: missing or changed on the remote", remedy=DAMAGED)
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        os.replace(staged / name, folder / name)
    (folder / DVC_IGNORE).unlink(missing_ok=True)
