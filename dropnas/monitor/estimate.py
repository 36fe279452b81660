"""Device-hours of the runs of a plan: measured for finished runs, expected for others. Nothing is invented.

A run that is not done takes the median of finished runs with the same work on the same device; failing that, an epoch
of its kind times its epochs, by finished runs, then by the probe. Otherwise its hours are unknown. Start-up, queueing
and the decoding of images that the probe leaves out are not included.

Every finished training below the root counts, of any plan; the newest ones, since code and machines change. Its own
cost is its real seconds, killed attempts included. The cost of an epoch follows from its throughput, which leaves out
start-up and so holds for other numbers of epochs. The probe's results are in `scratch/throughput.json`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from statistics import median
from typing import Annotated, Any, Literal

from pydantic import Field

from dropnas.artifacts.dataset_file import Dataset
from dropnas.artifacts.manifest_file import MANIFEST, ManifestFile
from dropnas.config import Machine
from dropnas.errors import DropnasError
from dropnas.monitor.work import COSTLY, Kind, Shape, declared_shape, kind_of
from dropnas.parsing import parse
from dropnas.report.page.phrases import count
from dropnas.runs.files import read_json, write_json

FILE = Path("scratch", "throughput.json")
HOUR = 3600.0  # seconds
MOST_SPREAD = 0.5  # of a result that is trusted
NEWEST = 8  # finished runs of a kind that count


@dataclass(frozen=True)
class Device:
    """The model of a GPU or CPU, its kind (`cuda` or `cpu`), and the CPU threads of a job (0 on a GPU)."""

    name: str
    kind: str
    threads: int = 0

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> "Device":
        """The device of a run's record; threads count on a CPU only."""
        kind = record["device_kind"]
        return cls(record["device"], kind, record["threads"] if kind == "cpu" else 0)

    @property
    def label(self) -> str:
        """For a person; says that a CPU is one, so that nobody takes its hours for those of a GPU."""
        return f"{self.name} (CPU, {count(self.threads, 'thread')})" if self.kind == "cpu" else self.name

    @property
    def unit(self) -> str:
        """What its hours are called."""
        return "CPU-hours" if self.kind == "cpu" else "GPU-hours"


@dataclass(frozen=True)
class Finished:
    """A finished training."""

    folder: str  # relative to the root
    kind: Kind | None  # None if its data set is gone
    epochs: int
    device: Device
    hours: float  # device-hours of the run
    epoch_hours: float
    ended: str  # time in UTC, as in the manifest


@dataclass(frozen=True)
class Measured:
    """One result of the probe."""

    device: Device
    kind: Kind
    epoch_seconds: Annotated[float, Field(gt=0)]  # evaluation included
    spread: float  # how far repetitions let them vary, as a part of them
    batch: int  # images of the largest batch; the protocol's, unless that took too long
    images_per_second: float  # in training
    load: float  # load average before the measurement
    cpus: int
    date: str  # in UTC
    versions: dict[str, str]  # of the packages


def finished_runs(root: Path) -> list[Finished]:
    """Every finished training below a root, the oldest first."""
    shapes = {path.parent.name: _prepared(path.parent) for path in root.glob(f"data/*/*/{Dataset.FILE}")}
    found = [_finished(path.parent, root, shapes) for s in COSTLY for path in root.glob(f"runs/{s}/*/{MANIFEST}")]
    return sorted(found, key=lambda run: run.ended)


def _prepared(folder: Path) -> Shape:
    dataset = Dataset.read(folder)
    return Shape(dataset.train, dataset.test, dataset.height, dataset.width)


def _finished(folder: Path, root: Path, shapes: Mapping[str, Shape]) -> Finished:
    run = ManifestFile.read(folder).run
    try:
        shape, epochs = shapes.get(run["inputs"][0]), run["config"]["epochs"]
        kind = kind_of(run["stage"], run["config"], shape) if shape else None
        processes = run.get("processes", 1)  # of a transfer under torchrun; each holds a device
        hours = float(run["seconds"]) * processes / HOUR
        epoch = hours / epochs
        if kind and kind.trained is not None:
            epoch = kind.trained / float(run["statistics"]["images_per_second"]) * processes / HOUR
        return Finished(str(folder.relative_to(root)), kind, epochs, Device.of(run), hours, epoch, run["ended"])
    except (KeyError, TypeError, ValueError, IndexError, ZeroDivisionError) as error:
        what = f"does not say what the run took ({error!r})"
        raise DropnasError(what, where=folder / MANIFEST, remedy="restore the folder") from error


def read_measured(root: Path) -> list[Measured]:
    """The results of the probe, the oldest first; none if it never ran."""
    path = root / FILE
    if not path.is_file():
        return []
    try:
        found: dict[str, list[Measured]] = parse(dict[str, list[Measured]], read_json(path), path)
        return sorted(found["measured"], key=lambda entry: entry.date)
    except (DropnasError, KeyError) as error:
        remedy = "remove it, then plan --measure"
        raise DropnasError(f"is no record of a probe ({error})", where=path, remedy=remedy) from error


def add_measured(root: Path, new: Sequence[Measured]) -> None:
    """Keep new results; each replaces an older one of the same device and kind."""
    entries = {(entry.device, entry.kind): entry for entry in (*read_measured(root), *new)}
    write_json(root / FILE, {"measured": [asdict(entry) for entry in entries.values()]})


def trusted(found: Sequence[Measured]) -> tuple[list[Measured], str]:
    """The results whose repetitions agree, and a line on the others (empty if there are none).

    Raises:
        DropnasError: no result can be trusted.
    """
    kept = [entry for entry in found if entry.spread <= MOST_SPREAD]
    varying = [entry for entry in found if entry.spread > MOST_SPREAD]
    if not varying:
        return kept, ""
    refused = f"{len(varying)} of {len(found)} measurements are not trusted: their repetitions let the result vary"
    most, remedy = max(entry.spread for entry in varying), "measure again when the machine is idle"
    refused += f" by up to {most:.0%} (load {found[0].load:.1f} on {found[0].cpus} CPUs)"
    if not kept:
        raise DropnasError(refused, remedy=remedy)
    return kept, f"{refused}; {remedy}"


@dataclass(frozen=True)
class Estimate:
    """Device-hours of a run (None if unknown), and what they rest on."""

    hours: float | None
    basis: Literal["took", "equal runs", "same kind", "probe", "a moment", "unknown"]


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
        return "?" if self.unknown and not self.known else "> " * bool(self.unknown) + number(self.known)


def number(hours: float) -> str:
    """Hours with as many digits as an estimate has."""
    digits = 0 if hours >= 100 or hours == 0 else 1 if hours >= 10 else 2 if hours >= 0.1 else 3
    return f"{hours:,.{digits}f}"


@dataclass(frozen=True)
class Known:
    """Known times below a root."""

    root: Path
    took: dict[str, Finished]  # by their folders, the oldest first
    device: Device | None  # on which runs that are not done are estimated; None if no time is known
    measured: list[Measured]  # on this device

    def estimates(self, runs: Sequence[dict[str, Any]]) -> dict[str, Estimate]:
        """Estimates by the ids of runs, which are as plan.json describes them."""
        found, expected = {run["id"]: Estimate(0.0, "a moment") for run in runs}, cache(self._expected)
        for run, kind in self._kinds(runs):
            took = self.took.get(run["folder"])
            found[run["id"]] = Estimate(took.hours, "took") if took else expected(kind, run["config"]["epochs"])
        return found

    def work_to_measure(self, runs: Sequence[dict[str, Any]]) -> dict[Kind, dict[str, Any]]:
        """Each kind of work in runs, with the configuration of one such run; those never measured first."""
        configs = {kind: run["config"] for run, kind in self._kinds(runs) if kind}
        measured = [entry.kind for entry in self.measured]
        return {kind: configs[kind] for kind in sorted(configs, key=measured.__contains__)}

    def _kinds(self, runs: Sequence[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], Kind | None]]:
        """The trainings among runs with their kinds; None if the size of the data set is unknown."""
        shapes = {run["id"]: self._shape(run) for run in runs if run["stage"] == "data"}
        for run in runs:
            if run["stage"] in COSTLY:
                shape = shapes[run["inputs"][0]]
                yield run, kind_of(run["stage"], run["config"], shape) if shape else None

    def _shape(self, data: dict[str, Any]) -> Shape | None:
        folder = self.root / data["folder"]
        return _prepared(folder) if Dataset.file(folder).is_file() else declared_shape(data["config"])

    def _expected(self, kind: Kind | None, epochs: int) -> Estimate:
        same = [run for run in self.took.values() if kind and (run.device, run.kind) == (self.device, kind)]
        if equal := [run.hours for run in same if run.epochs == epochs]:
            return Estimate(median(equal[-NEWEST:]), "equal runs")
        if same:
            return Estimate(median(run.epoch_hours for run in same[-NEWEST:]) * epochs, "same kind")
        probes = [entry.epoch_seconds for entry in self.measured if entry.kind == kind]
        return Estimate(probes[-1] * epochs / HOUR, "probe") if probes else Estimate(None, "unknown")


def read_known(root: Path, machine: Machine) -> Known:
    """Known times below a root. Of the devices of a parameter file's machine the one used last counts, a GPU first.

    Raises:
        DropnasError: a manifest or the probe's record is damaged.
    """
    runs, measured, kind = finished_runs(root), read_measured(root), machine.device.partition(":")[0]
    used = [(run.ended, run.device) for run in runs] + [(one.date, one.device) for one in measured]
    allowed = [one for one in used if kind in ("auto", one[1].kind) and one[1].threads in (0, machine.threads)]
    device = max(allowed, key=lambda one: (one[1].kind != "cpu", one[0]), default=("", None))[1]
    own = [entry for entry in measured if entry.device == device]
    return Known(root, {run.folder: run for run in runs}, device, own)
