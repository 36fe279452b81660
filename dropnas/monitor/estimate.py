"""Device-hours of the runs of a plan: measured for finished runs, expected for others. Nothing is invented.

A run that is not done takes the median of finished runs with the same work on the same device; failing that, an epoch
of its kind times its epochs, by finished runs, then by the probe. Otherwise its hours are unknown. Start-up, queueing
and the decoding of images that the probe leaves out are not included. The newest finished runs count, since code and
machines change.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Literal

from dropnas.artifacts.dataset_file import Dataset
from dropnas.config import Machine
from dropnas.monitor.timings import HOUR, Device, Finished, Measured, finished_runs, prepared_shape, read_measured
from dropnas.monitor.work import COSTLY, Kind, Shape, Work, declared_shape, work

NEWEST = 8  # finished runs of a kind that count
Basis = Literal["took", "equal runs", "same kind", "probe", "a moment", "unknown"]


@dataclass(frozen=True)
class Estimate:
    """Device-hours of a run (None if unknown), and what they rest on."""

    hours: float | None
    basis: Basis


@dataclass(frozen=True)
class Hours:
    """A sum of device-hours: the known ones, and the number of runs whose hours are unknown."""

    known: float = 0.0
    unknown: int = 0

    @classmethod
    def of(cls, estimates: Iterable[Estimate]) -> "Hours":
        """The sum of estimates. Unknown hours are counted, never taken for zero."""
        hours = [estimate.hours for estimate in estimates]
        return cls(sum(known for known in hours if known is not None), hours.count(None))

    @classmethod
    def left(cls, estimates: Iterable[Estimate]) -> "Hours":
        """The sum over runs that are not done."""
        return cls.of(estimate for estimate in estimates if estimate.basis != "took")

    def __str__(self) -> str:
        """Three digits; `?` if nothing is known, `> 12.3` if a part is."""
        if self.unknown:
            return f"> {number(self.known)}" if self.known else "?"
        return number(self.known)


def number(hours: float) -> str:
    """Hours with as many digits as an estimate has."""
    digits = 0 if hours >= 100 or hours == 0 else 1 if hours >= 10 else 2 if hours >= 0.1 else 3
    return f"{hours:,.{digits}f}"


@dataclass(frozen=True)
class Known:
    """Known times below a root.

    Attributes:
        took: finished trainings by their folders.
        device: the device on which runs that are not done are estimated; None if no time is known.
        finished, measured: times on `device`.
    """

    root: Path
    took: dict[str, Finished]
    device: Device | None
    finished: tuple[Finished, ...]
    measured: tuple[Measured, ...]

    def estimates(self, runs: Sequence[dict[str, Any]]) -> dict[str, Estimate]:
        """Estimates by the ids of runs, which are as plan.json describes them."""
        found, of_work = dict.fromkeys((run["id"] for run in runs), Estimate(0.0, "a moment")), {}
        for run, todo in self._works(runs):
            if run["folder"] in self.took:
                found[run["id"]] = Estimate(self.took[run["folder"]].hours, "took")
            else:
                if todo not in of_work:
                    of_work[todo] = self._estimate(todo)
                found[run["id"]] = of_work[todo]
        return found

    def work_to_measure(self, runs: Sequence[dict[str, Any]]) -> list[tuple[Work, dict[str, Any]]]:
        """Each kind of work in runs once, with the configuration of one such run; those never measured first."""
        kinds: dict[Kind, tuple[Work, dict[str, Any]]] = {}
        for run, todo in self._works(runs):
            if todo:
                kinds.setdefault(todo.kind, (todo, run["config"]))
        known = [entry.is_of for entry in self.measured]
        return sorted(kinds.values(), key=lambda found: any(is_of(found[0].kind) for is_of in known))

    def _works(self, runs: Sequence[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], Work | None]]:
        """The trainings among runs with their work; None if the size of the data set is unknown."""
        shapes = {run["id"]: self._shape(run) for run in runs if run["stage"] == "data"}
        for run in runs:
            if run["stage"] in COSTLY:
                shape = shapes[run["inputs"][0]]
                yield run, work(run["stage"], run["config"], shape) if shape else None

    def _shape(self, data: dict[str, Any]) -> Shape | None:
        folder = self.root / data["folder"]
        return prepared_shape(folder) if Dataset.file(folder).is_file() else declared_shape(data["config"])

    def _estimate(self, todo: Work | None) -> Estimate:
        if todo is None:
            return Estimate(None, "unknown")
        if equal := [run.hours for run in self.finished if run.work == todo]:
            return Estimate(median(equal[-NEWEST:]), "equal runs")
        if same := [run.epoch_hours for run in self.finished if run.work and run.work.kind == todo.kind]:
            return Estimate(median(same[-NEWEST:]) * todo.epochs, "same kind")
        probes = [entry.epoch_seconds for entry in self.measured if entry.is_of(todo.kind)]
        return Estimate(probes[-1] * todo.epochs / HOUR, "probe") if probes else Estimate(None, "unknown")


def read_known(root: Path, machine: Machine) -> Known:
    """Known times below a root, for jobs on a machine of a parameter file.

    Raises:
        DropnasError: a manifest or the probe's record is damaged.
    """
    runs, measured = finished_runs(root), read_measured(root)
    device = _device(runs, measured, machine)
    return Known(
        root,
        {run.folder: run for run in runs},
        device,
        tuple(run for run in runs if run.device == device),
        tuple(entry for entry in measured if entry.device == device),
    )


def _device(runs: list[Finished], measured: list[Measured], machine: Machine) -> Device | None:
    """Of the devices that the jobs of a parameter file may run on the one used last, a GPU before a CPU."""
    used: defaultdict[Device, str] = defaultdict(str)
    for device, date in [(run.device, run.ended) for run in runs] + [(one.device, one.date) for one in measured]:
        used[device] = max(used[device], date)
    kind = machine.device.partition(":")[0]
    allowed = [d for d in used if kind in ("auto", d.kind) and (d.kind != "cpu" or d.threads == machine.threads)]
    return max(allowed, key=lambda device: (device.kind != "cpu", used[device]), default=None)
