"""Device-hours of the runs of a plan: what they took, or what they will take by what is known of their kind.

Design choices: nothing is invented. A run that is done counts what it took. One that is not takes the median of
finished runs with the same work on the same device; failing that, an epoch of its kind times its epochs, by finished
runs, failing these by the probe. Otherwise its hours are unknown. Start-up, queueing and the decoding of images that a
probe leaves out are not in it. Of many finished runs the newest count, since code and machines change.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Literal

from dropnas.artifacts.dataset_file import Dataset
from dropnas.config import Machine
from dropnas.errors import DropnasError
from dropnas.monitor.finished import HOUR, Device, Finished, finished_runs, prepared_shape
from dropnas.monitor.throughput import Measured, read_measured
from dropnas.monitor.work import COSTLY, Shape, Work, declared_shape, work

NEWEST = 8  # finished runs of a kind that count
Basis = Literal["took", "equal runs", "same kind", "probe", "a moment", "unknown"]


@dataclass(frozen=True)
class Estimate:
    """Device-hours of a run (None where they are unknown), and what they rest on."""

    hours: float | None
    basis: Basis


@dataclass(frozen=True)
class Known:
    """What is known of costs below a root.

    Attributes:
        root: where the runs lie.
        took: finished trainings by their folders.
        device: what the runs that are not done are counted on; None where nothing is known of any.
        others: devices that something is known of, too.
        finished, measured: on that device, by their kinds.
    """

    root: Path
    took: dict[str, Finished]
    device: Device | None
    others: tuple[Device, ...]
    finished: tuple[Finished, ...]
    measured: tuple[Measured, ...]

    def estimates(self, runs: Sequence[dict[str, Any]]) -> dict[str, Estimate]:
        """Estimates by the ids of runs, each given as plan.json describes it."""
        by_id = {run["id"]: run for run in runs}
        shapes: dict[str, Shape | None] = {}
        found, of_work = {}, {}
        for run in runs:
            if run["stage"] not in COSTLY:
                found[run["id"]] = Estimate(0.0, "a moment")
            elif run["folder"] in self.took:
                found[run["id"]] = Estimate(self.took[run["folder"]].hours, "took")
            else:
                data = run["inputs"][0]
                shape = shapes[data] if data in shapes else shapes.setdefault(data, self._shape(by_id[data]))
                todo = work(run["stage"], run["config"], shape) if shape else None
                if todo not in of_work:
                    of_work[todo] = self._estimate(todo)
                found[run["id"]] = of_work[todo]
        return found

    def work_to_measure(self, runs: Sequence[dict[str, Any]]) -> list[tuple[Work, dict[str, Any]]]:
        """Each kind of work in runs once, with the configuration of a run of that kind."""
        by_id = {run["id"]: run for run in runs}
        kinds: dict[Any, tuple[Work, dict[str, Any]]] = {}
        for run in runs:
            if run["stage"] in COSTLY and (shape := self._shape(by_id[run["inputs"][0]])):
                todo = work(run["stage"], run["config"], shape)
                kinds.setdefault(todo.kind, (todo, run["config"]))
        return list(kinds.values())

    def _shape(self, data: dict[str, Any]) -> Shape | None:
        folder = self.root / data["folder"]
        return prepared_shape(folder) if Dataset.file(folder).is_file() else declared_shape(data["config"])

    def _estimate(self, todo: Work | None) -> Estimate:
        if todo is None:
            return Estimate(None, "unknown")
        equal = [run.hours for run in self.finished if run.work == todo]
        if equal:
            return Estimate(median(equal[-NEWEST:]), "equal runs")
        same = [run.epoch_hours for run in self.finished if run.work and run.work.kind == todo.kind]
        if same:
            return Estimate(median(same[-NEWEST:]) * todo.epochs, "same kind")
        probes = [entry.epoch_seconds for entry in self.measured if entry.is_of(todo.kind)]
        return Estimate(probes[-1] * todo.epochs / HOUR, "probe") if probes else Estimate(None, "unknown")


def read_known(root: Path, machine: Machine, wanted: str = "") -> Known:
    """What is known below a root, for jobs on a machine of a parameter file.

    Args:
        wanted: part of the name of a device; without it the one that was used last, a GPU before a CPU.

    Raises:
        DropnasError: a damaged manifest or record, or nothing is known of the wanted device.
    """
    runs, measured = finished_runs(root), read_measured(root)
    devices = _devices(runs, measured, machine)
    chosen = [device for device in devices if wanted.lower() in device.name.lower()]
    if wanted and not chosen:
        names = ", ".join(device.label for device in devices) or "none; run plan --measure on it"
        raise DropnasError(f"nothing is known of a device {wanted!r}", where=root, remedy=f"known: {names}")
    device = chosen[0] if chosen else None
    return Known(
        root,
        {run.folder: run for run in runs},
        device,
        tuple(other for other in devices if other != device),
        tuple(run for run in runs if run.device == device),
        tuple(entry for entry in measured if entry.device == device),
    )


def _devices(runs: list[Finished], measured: list[Measured], machine: Machine) -> list[Device]:
    """Devices that a parameter file's jobs may run on: GPUs first, then by their last use, the newest first."""
    used: defaultdict[Device, str] = defaultdict(str)
    for device, date in [(run.device, run.ended) for run in runs] + [(one.device, one.date) for one in measured]:
        used[device] = max(used[device], date)
    kind = machine.device.partition(":")[0]
    allowed = [d for d in used if kind in ("auto", d.kind) and (d.kind != "cpu" or d.threads == machine.threads)]
    return sorted(allowed, key=lambda device: (device.kind != "cpu", used[device]), reverse=True)
