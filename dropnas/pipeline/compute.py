"""Computes a run, or a group of runs that train together, and publishes the result folders.

Design choices: a single run is a group of one. The runs of a group share the device and the inputs. Each run has its
own lease, scratch folder, log of attempts and record. If one run fails, the others continue. The recorded seconds of a
run are its share of the group's time.
"""

import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from dropnas.artifacts.manifest_file import MANIFEST, ManifestFile
from dropnas.errors import DropnasError
from dropnas.pipeline.failures import Failures
from dropnas.pipeline.freeze import FROZEN
from dropnas.pipeline.protocol import require_followed
from dropnas.pipeline.specs import Spec, require_asked
from dropnas.pipeline.stages import STAGES, entry
from dropnas.runs.attempts import Attempts
from dropnas.runs.authenticity import input_faults, require_whole
from dropnas.runs.environment import environment, machine_name
from dropnas.runs.files import read_json, sha256, write_text
from dropnas.runs.identity import resolved
from dropnas.runs.parts import is_light, stage_of
from dropnas.runs.store import Store
from dropnas.sharing.pull import require_heavy
from dropnas.training.signals import EXIT_STOPPED
from dropnas.workspace import Progress, Workspace, ignore_stop

PROGRESS = "progress.txt"  # in a run's scratch folder: the last line of progress


@dataclass(frozen=True)
class LeasedRun:
    """A run of a group, with its lease and its attempts."""

    spec: Spec
    attempts: Attempts  # the attempts at the run; the last one is the current one
    release: Callable[[], object]  # releases the run's lease while the group continues without it


class RunGroup:
    """Runs that differ only in the seed; usually a single run. This process holds their leases.

    Args:
        members: the runs; none of them is published yet.
    """

    def __init__(self, members: Sequence[LeasedRun], store: Store, progress: Progress, failures: Failures) -> None:
        self.store, self.progress, self.failures = store, progress, failures
        self._members, self.device = list(members), "cpu"

    def attempt(self) -> set[str]:
        """Compute and publish the runs, continuing their earlier attempts.

        If the stage chooses only some of the runs to train now, the leases of the other runs are released.

        Returns:
            the ids of the published runs.

        Raises:
            SystemExit: with `signals.EXIT_STOPPED`, if the process was asked to stop.
        """
        records: dict[str, Any] = {}
        try:
            self._each(lambda member: member.attempts.begin())
            with ExitStack() as stack:
                self._each_fails_by(lambda: self._prepare(stack))
                self._each_fails_by(lambda: records.update(self._compute()))
        except SystemExit as end:
            if end.code == EXIT_STOPPED:
                self._each(lambda member: member.attempts.stopped())
            if self.members:
                raise
        return {member.spec.id for member in self.members if self._publish(member, records)}

    def _each(self, work: Callable[[LeasedRun], None]) -> None:
        for member in self.members:
            with self.failures.of(member.spec):
                work(member)

    def _each_fails_by(self, work: Callable[[], None]) -> None:
        """Do work that all runs need; if it fails, all of them fail."""
        if specs := [member.spec for member in self.members]:
            with self.failures.of(*specs):
                work()

    @property
    def members(self) -> list[LeasedRun]:
        """The runs that have not failed."""
        return [member for member in self._members if member.spec.id not in self.failures.ids]

    def _prepare(self, stack: ExitStack) -> None:
        spec = self.members[0].spec
        inputs = _inputs(spec, self.store)
        if getattr(spec.config, "reproduction", False):
            require_followed(inputs)
        self.device = _device(spec, stack, self.progress)
        if len(self.members) > 1:
            configs, spaces = [member.spec.config for member in self.members], self._workspaces()
            self._keep(entry(spec.stage, "first")(configs, inputs, spaces))
        if STAGES[spec.stage].trains:
            self._note_machine()

    def _note_machine(self) -> None:
        """Record the machine. If another machine began a run, report it, because rounding differs between machines."""
        machine = machine_name(self.device)
        for member in self.members:
            member.attempts.note(machine=machine)
            *_, last = member.attempts.own.before or (machine,)
            if last != machine:
                moved = f"started on {last}, continues on {machine}, so its bytes are those of neither machine"
                self.progress(f"{member.spec.name}: {moved}")

    def _keep(self, chosen: Sequence[int]) -> None:
        kept = [self.members[index] for index in chosen]
        for member in self.members:
            if member in kept:
                member.attempts.note(group=len(kept))
            else:
                member.attempts.cancel()
                member.release()
        self._members = kept

    def _compute(self) -> dict[str, Any]:
        """Compute the runs that have not failed; return the record of each run by its id."""
        members = self.members
        outs = [_emptied(self.store.scratch(member.spec.id) / "staged") for member in members]
        started = datetime.now(UTC)
        results = compute([member.spec for member in members], outs, self._workspaces(), self.store)
        ended = datetime.now(UTC)
        records = {}
        for member, result in zip(members, results, strict=True):
            with self.failures.of(member.spec):
                if isinstance(result, DropnasError):
                    raise result
                record = recorded(member.spec, self.store, started, ended, result, self.device)
                share = (ended - started).total_seconds() / len(members)
                machines = {"machines": member.attempts.machines} if member.attempts.own.machine else {}
                records[member.spec.id] = {**record, **machines, "seconds": member.attempts.seconds + share}
        return records

    def _workspaces(self) -> list[Workspace]:
        where = (self.store, self.device, self.progress)
        return [workspace(member.spec, *where, member.attempts.warned) for member in self.members]

    def _publish(self, member: LeasedRun, records: dict[str, Any]) -> bool:
        spec = member.spec
        with self.failures.of(spec):
            require_asked(spec, spec.name)  # the code may have been edited in the meantime
            staged = self.store.scratch(spec.id) / "staged"
            self.store.publish(staged, self.store.root / spec.folder, records[spec.id])
            self.progress(f"{spec.folder}: published")
            return True
        return False


def compute_beside(spec: Spec, store: Store, progress: Progress) -> None:
    """Compute a run without publishing it, in a torchrun process of rank 1 or above."""
    staged = _emptied(store.scratch(spec.id) / f"rank{os.environ['RANK']}")
    with ExitStack() as stack:
        device = _device(spec, stack, progress)
        compute([spec], [staged], [workspace(spec, store, device, progress, ignore_stop)], store)


def compute(specs: Sequence[Spec], outs: Sequence[Path], workspaces: Sequence[Workspace], store: Store) -> list[Any]:
    """Let the stage fill an empty folder for each run; return the statistics or the error of each run."""
    stage, inputs = specs[0].stage, _inputs(specs[0], store)
    configs = [spec.config for spec in specs]
    if len(specs) == 1:
        return [entry(stage)(configs[0], inputs, outs[0], workspaces[0])]
    results: list[Any] = entry(stage, "run_group")(configs, inputs, outs, workspaces)
    return results


def workspace(spec: Spec, store: Store, device: str, progress: Progress, stopping: Callable[[], None]) -> Workspace:
    """The workspace of a run: its folders, device and limits."""
    scratch, machine = store.scratch(spec.id), spec.machine
    return Workspace(
        scratch=scratch,
        identity=spec.id,
        device=device,
        threads=machine.threads,
        workers=machine.workers,
        location=spec.location,
        seeds_at_once=machine.seeds_at_once,
        memory_mb=machine.memory_mb,
        checkpoint_seconds=machine.checkpoint_seconds,
        stopping=stopping,
        progress=_kept(scratch, lambda line: progress(f"{spec.name}: {line}")),
    )


def recorded(
    spec: Spec, store: Store, started: datetime, ended: datetime, statistics: dict[str, float], device: str
) -> dict[str, Any]:
    """The record for a run's manifest, without `seconds`: identity, inputs, commit of the code, and environment."""
    plan = os.environ.get("DROPNAS_PLAN")
    sources = [store.root / name for name in spec.inputs]
    return {
        **{key: resolved(getattr(spec, key)) for key in ("id", "stage", "name", "config", "identity", "profile")},
        "inputs": [source.name for source in sources],
        "input_manifests": {source.name: sha256(source / MANIFEST) for source in sources},
        "git": read_json(store.root / plan / FROZEN)["git"] if plan else {},
        **environment(device, spec.machine.threads),
        "started": f"{started:%FT%TZ}",
        "ended": f"{ended:%FT%TZ}",
        "processes": int(os.environ.get("WORLD_SIZE", "1")),  # processes of torchrun, each with its own device
        "statistics": statistics,
    }


def _inputs(spec: Spec, store: Store) -> list[Path]:
    inputs = [store.root / name for name in spec.inputs]
    for name, source in zip(spec.inputs, inputs, strict=True):
        _require_input(store, source, whole=stage_of(name) in STAGES[spec.stage].reads_heavy)
    _require_agreement(inputs)
    return inputs


def _require_agreement(inputs: Sequence[Path]) -> None:
    """If one input was made from another input, check that it was made from the version in the store."""
    manifests = {source.name: sha256(source / MANIFEST) for source in inputs}
    for source in inputs:
        for fault in input_faults(ManifestFile.read(source).run, manifests):
            raise DropnasError(fault, where=source, remedy="restore that input, or remove both and compute them again")


@cache
def _require_input(store: Store, folder: Path, *, whole: bool) -> None:
    """Check that an input is finished and unchanged, and that it matches its name.

    If the stage needs the heavy part of the input, a missing heavy part is fetched. The result is cached, so a process
    checks an input only once.
    """
    if not store.is_published(folder):
        raise DropnasError("an input is not finished", where=folder, remedy="compute it first")
    if whole and is_light(folder):
        require_heavy(folder, store.root)
    require_whole(folder)


def _device(spec: Spec, stack: ExitStack, progress: Progress) -> str:
    if not STAGES[spec.stage].trains:
        return "cpu"
    from dropnas.machine.compatibility import require_precision  # torch is imported only by stages that train
    from dropnas.machine.devices import claimed

    device = stack.enter_context(claimed(spec.machine.device, progress))
    require_precision(device, getattr(spec.config, "precision", "fp32"))
    return device


def _emptied(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _kept(scratch: Path, progress: Progress) -> Progress:
    """Progress that also writes its last line to the scratch folder, where `watch` reads it."""

    def keep(line: str) -> None:
        write_text(scratch / PROGRESS, line + "\n")
        progress(line)

    return keep
