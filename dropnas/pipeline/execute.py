"""Computes runs from their specs. The command of each stage calls `execute`.

Each run is computed under its lease, into a scratch folder that is then published; a published run is skipped. Runs
that can train together are computed together. Runs that another process is computing are checked again later. A failed
run is reported in one line and does not stop the other runs of the process.
"""

import os
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from dropnas.pipeline.compute import LeasedRun, RunGroup, compute_beside
from dropnas.pipeline.failures import Failures
from dropnas.pipeline.freeze import check
from dropnas.pipeline.specs import Spec
from dropnas.runs.attempts import Attempts
from dropnas.runs.authenticity import require_whole
from dropnas.runs.lease import lease_now
from dropnas.runs.store import Store
from dropnas.training.signals import EXIT_STOPPED

OTHERS_CHECK_SECONDS = 5.0  # seconds between checks of runs that another process is computing


def never() -> bool:
    """Always return False, which means that no stop signal has arrived. This is the default of `warned`."""
    return False


def execute(
    specs: Iterable[Spec], root: Path, progress: Callable[[str], None], warned: Callable[[], bool] = never
) -> int:
    """Compute runs one after another; runs that can train together are computed as a group.

    Args:
        warned: function that returns whether this process was asked to stop; if so, no further run is started.

    Returns:
        The number of failed runs.

    Raises:
        SystemExit: with `signals.EXIT_STOPPED`, if the process was asked to stop.
    """
    plan = os.environ.get("DROPNAS_PLAN")
    if plan:
        check(root / plan)
    store, failures = Store(root), Failures(root)
    leads = os.environ.get("RANK", "0") == "0"  # the only process, or torchrun's first, publishes
    advance = _advance if leads else _advance_beside
    for left in _groups(specs, failures):
        while left:
            if warned():
                for spec in left:
                    progress(f"{spec.name}: not started, because of a stop signal; start it again")
                raise SystemExit(EXIT_STOPPED)
            settled = advance(left, store, progress, failures) | failures.ids
            busy = [spec for spec in left if spec.id not in settled]
            if len(busy) == len(left):
                time.sleep(OTHERS_CHECK_SECONDS)
            left = busy
    return len(failures.ids)


def _groups(specs: Iterable[Spec], failures: Failures) -> list[list[Spec]]:
    """Group the runs that can train together, in the order of the first run of each group."""
    found: list[tuple[Any, list[Spec]]] = []
    for spec in specs:
        with failures.of(spec):
            shared = spec.group
            group = next((members for other, members in found if shared and other == shared), None)
            if group is None:
                found.append((shared, [spec]))
            else:
                group.append(spec)
    return [members for _, members in found]


def _advance(specs: Sequence[Spec], store: Store, progress: Callable[[str], None], failures: Failures) -> set[str]:
    """Compute the runs of a group that no other process is computing; return the ids of the published runs.

    It never waits for a lease while it holds one, so two processes cannot wait for each other.
    """
    with ExitStack() as stack:
        members = [one for spec in specs if (one := _member(spec, store, stack, failures))]
        published = {one.spec.id for one in members if _is_finished(one.spec, store, progress, failures)}
        published = published or RunGroup(members, store, progress, failures).attempt()
    for identity in published:
        store.discard_scratch(identity)
    return published


def _advance_beside(
    specs: Sequence[Spec], store: Store, progress: Callable[[str], None], failures: Failures
) -> set[str]:
    """Compute the runs without publishing them, in a torchrun process of rank 1 or above."""
    for spec in specs:
        with failures.of(spec):
            if store.is_published(store.root / spec.folder):
                return _advance(specs, store, progress, failures)
            compute_beside(spec, store, progress)
    return {spec.id for spec in specs}


def _member(spec: Spec, store: Store, stack: ExitStack, failures: Failures) -> LeasedRun | None:
    """Take a run's lease; None if another process holds it or the run failed."""
    own, scratch = stack.enter_context(ExitStack()), store.scratch(spec.id)
    with failures.of(spec):
        return LeasedRun(spec, Attempts(scratch), own.close) if own.enter_context(lease_now(scratch)) else None
    return None


def _is_finished(spec: Spec, store: Store, progress: Callable[[str], None], failures: Failures) -> bool:
    folder = store.root / spec.folder
    with failures.of(spec):
        if store.is_published(folder):
            require_whole(folder)
            store.write_receipt(folder)
            progress(f"{spec.folder}: finished before")
            return True
    return False
