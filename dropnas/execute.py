"""Computes runs from their specs: what a stage's verb does.

Each run in turn: take its lease, return if it is published, else let the stage fill a folder in the scratch space and
publish that. A run that fails is reported in a line, and the others of the same process go on.
"""

import os
import re
import shutil
import sys
import traceback
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from dropnas.config import Machine, parse
from dropnas.errors import DropnasError
from dropnas.provenance.attempts import Attempts
from dropnas.provenance.environment import environment
from dropnas.provenance.files import read_json, sha256, write_text
from dropnas.provenance.freeze import FROZEN, check
from dropnas.provenance.identity import id_of, resolved
from dropnas.provenance.lease import lease
from dropnas.provenance.parts import is_light, stage_of
from dropnas.provenance.store import MANIFEST, Store
from dropnas.sharing.pull import require_heavy
from dropnas.stages import STAGES, entry
from dropnas.training.faults import told
from dropnas.training.signals import EXIT_STOPPED
from dropnas.workspace import Workspace, unseen

PROGRESS = "progress.txt"  # in a run's scratch folder: the last line that it told
FOLDER = re.compile(r"(data|runs)/[A-Za-z0-9][\w.+-]*/[A-Za-z0-9][\w.+-]*")


@dataclass(frozen=True)
class Spec:
    """A spec's fields, as `dropnas.provenance.freeze.spec` writes them."""

    __pydantic_config__ = {"extra": "forbid", "strict": True}

    id: str
    stage: str
    name: str
    folder: str
    inputs: tuple[str, ...]
    config: dict[str, Any]
    identity: dict[str, Any]
    profile: str
    machine: Machine
    location: str


def never() -> bool:
    """No warning comes."""
    return False


def execute(
    specs: Iterable[dict[str, Any]],
    root: Path,
    progress: Callable[[str], None],
    warned: Callable[[], bool] = never,
) -> int:
    """Compute runs one after another.

    Args:
        warned: whether this process was asked to stop; then no further run is begun.

    Returns:
        How many of them failed.

    Raises:
        SystemExit: with `signals.EXIT_STOPPED`, where the process was asked to stop.
    """
    plan = os.environ.get("DROPNAS_PLAN")
    if plan:
        check(root / plan)
    failures = 0
    for spec in specs:
        if warned():
            progress(f"{spec['name']}: not begun, a signal asks to stop; start it again")
            raise SystemExit(EXIT_STOPPED)
        try:
            with told():
                _execute_one(spec, Store(root), progress)
        except DropnasError as error:
            failures += 1
            print(f"error: {spec['stage']} {spec['name']}: {error}", file=sys.stderr)
        except Exception as error:
            failures += 1
            begin = f"error: {spec['stage']} {spec['name']}"
            if isinstance(error, OSError) and str(error.filename).startswith(f"{root / 'scratch'}{os.sep}"):
                print(f"{begin}: {error.filename}: {error.strerror}", file=sys.stderr)  # what stands there is at fault
            else:
                print(f"{begin} failed by a mistake in the program:", file=sys.stderr)
                traceback.print_exc()
    return failures


def read_spec(path: Path, stage: str) -> dict[str, Any]:
    """A run's spec from its file.

    Raises:
        DropnasError: it is no spec, is one of another stage, or its names are not those of its identity.
    """
    hint = "take one of plans/<id>/specs/"
    content = read_json(path)
    try:
        spec = vars(parse(Spec, content, path))
    except DropnasError as error:
        raise DropnasError(f"is no spec of a run ({error.what})", where=path, remedy=hint) from error
    if spec["stage"] != stage:
        raise DropnasError(f"is the spec of a {spec['stage']} run, not of {stage}", where=path, remedy=hint)
    proper = spec["id"] == id_of(spec["identity"]) and spec["folder"].endswith(f"-{spec['id']}")
    if not proper or not all(FOLDER.fullmatch(name) for name in (spec["folder"], *spec["inputs"])):
        raise DropnasError("its id or folder is not that of its identity", where=path, remedy=hint)
    return {**spec, "machine": resolved(spec["machine"])}


def _execute_one(spec: dict[str, Any], store: Store, progress: Callable[[str], None]) -> None:
    folder = store.root / spec["folder"]
    if not _leads() and not store.is_published(folder):
        _compute(spec, store, progress, store.scratch(spec["id"]) / f"rank{os.environ['RANK']}", unseen)
        return
    with lease(store.scratch(spec["id"])):
        if store.is_published(folder):
            store.require_intact(folder)
            store.write_receipt(folder)
            progress(f"{spec['folder']}: finished before")
        else:
            _attempt(spec, store, progress)
            progress(f"{spec['folder']}: published")
    store.discard_scratch(spec["id"])


def _attempt(spec: dict[str, Any], store: Store, progress: Callable[[str], None]) -> None:
    """Compute and publish a run, from where earlier attempts left it."""
    scratch = store.scratch(spec["id"])
    attempts, staged = Attempts(scratch), scratch / "staged"
    try:
        attempts.begin()
        record = _compute(spec, store, progress, staged, attempts.warned)
    except SystemExit as end:
        if end.code == EXIT_STOPPED:
            attempts.stopped()
        raise
    store.publish(staged, store.root / spec["folder"], {**record, "seconds": attempts.seconds + record["seconds"]})


def _leads() -> bool:
    """Whether this process, of those that torchrun started together, is the one that publishes."""
    return os.environ.get("RANK", "0") == "0"


def _compute(
    spec: dict[str, Any],
    store: Store,
    progress: Callable[[str], None],
    staged: Path,
    stopping: Callable[[], None],
) -> dict[str, Any]:
    """Let the stage fill an empty folder; gives what is recorded of it, with the seconds of this attempt."""
    inputs = [store.root / name for name in spec["inputs"]]
    for name, source in zip(spec["inputs"], inputs, strict=True):
        _require_input(store, source, whole=stage_of(name) in STAGES[spec["stage"]].reads_heavy)
    scratch = store.scratch(spec["id"])
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir(parents=True)
    stage, machine = STAGES[spec["stage"]], spec["machine"]
    config = parse(stage.config, spec["config"], spec["name"])
    started = datetime.now(UTC)
    with ExitStack() as stack:
        device = _device(stack, machine["device"], progress) if stage.trains else "cpu"
        workspace = Workspace(
            scratch=scratch,
            identity=spec["id"],
            device=device,
            threads=machine["threads"],
            workers=machine["workers"],
            location=spec["location"],
            checkpoint_seconds=machine["checkpoint_seconds"],
            stopping=stopping,
            progress=_kept(scratch, _named(spec, progress)),
        )
        statistics = entry(spec["stage"])(config, inputs, staged, workspace)
        used = environment(device, machine["threads"])
    ended = datetime.now(UTC)
    times = {
        "seconds": (ended - started).total_seconds(),
        "started": f"{started:%FT%TZ}",
        "ended": f"{ended:%FT%TZ}",
    }
    processes = int(os.environ.get("WORLD_SIZE", "1"))  # that torchrun started, each with a device of its own
    what_it_took = {**times, "processes": processes, "statistics": statistics}
    return {**_provenance(spec, inputs, store.root), **used, **what_it_took}


def _named(spec: dict[str, Any], progress: Callable[[str], None]) -> Callable[[str], None]:
    return lambda line: progress(f"{spec['name']}: {line}")


def _kept(scratch: Path, progress: Callable[[str], None]) -> Callable[[str], None]:
    """Progress whose last line also lies in the scratch folder, for whoever watches; gone once the run is published."""

    def tell(line: str) -> None:
        write_text(scratch / PROGRESS, line + "\n")
        progress(line)

    return tell


@cache
def _require_input(store: Store, folder: Path, *, whole: bool) -> None:
    """Inputs must be finished and unchanged, and whole where that is needed; each is read through once a process."""
    if not store.is_published(folder):
        raise DropnasError("an input is not finished", where=folder, remedy="compute it first")
    if whole and is_light(folder):
        require_heavy(folder, store.root)
    store.require_intact(folder)


def _device(stack: ExitStack, wanted: str, progress: Callable[[str], None]) -> str:
    from dropnas.training.devices import claimed  # torch is imported only by stages that train

    return stack.enter_context(claimed(wanted, progress))


def _provenance(spec: dict[str, Any], inputs: list[Path], root: Path) -> dict[str, Any]:
    """What went into a run: its identity in full, the very inputs that it read, and the code's commit."""
    plan = os.environ.get("DROPNAS_PLAN")
    return {
        **{key: spec[key] for key in ("id", "stage", "name", "config", "identity", "profile")},
        "inputs": [source.name for source in inputs],
        "input_manifests": {source.name: sha256(source / MANIFEST) for source in inputs},
        "git": read_json(root / plan / FROZEN)["git"] if plan else {},
    }
