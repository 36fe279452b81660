"""Device-hours of the runs of a plan: measured for finished runs, estimated for others.

Two runs do the same kind of work (`dropnas.monitor.work`) if their epochs should take the same time. The estimate is
the median over finished runs of this kind, with the same number of epochs, on the same device. If there are none, the
estimate is the hours per epoch of this kind times the number of epochs. The hours per epoch come from finished runs or,
if there are none, from the probe, which times a few steps. Otherwise, the hours are unknown. Start-up and queueing are
not included. The probe's measurements do not include the decoding of images either.

Finished trainings of any plan below the root are used, but only the newest of each kind, because code and machines
change. The hours of a finished run are its wall-clock time, killed attempts included, times its number of devices. The
hours per epoch are computed from the run's throughput. They exclude start-up and are therefore valid for any number of
epochs. The probe's results are in `scratch/throughput.json`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from pandas import DataFrame, Series
from pydantic import Field

from dropnas.artifacts.dataset_file import Dataset
from dropnas.artifacts.manifest_file import MANIFEST, ManifestFile
from dropnas.config import Machine
from dropnas.errors import DropnasError
from dropnas.monitor.work import Shape, authors_hours, declared_shape, epoch_images, kind_of
from dropnas.parsing import parse
from dropnas.report.page.phrases import count
from dropnas.runs.files import read_json, write_json
from dropnas.runs.stage_groups import TRAINING_STAGES

THROUGHPUT_FILE = Path("scratch", "throughput.json")
HOUR = 3600.0  # seconds
NEWEST = 8  # number of finished runs of a kind that are used
RunList = Sequence[Mapping[str, Any]]  # the runs as listed in plan.json


@dataclass(frozen=True)
class Device:
    """The model of a GPU or CPU, its kind (`cuda` or `cpu`), and the CPU threads of a job (0 on a GPU)."""

    name: str
    kind: str
    threads: int = 0

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> "Device":
        """The device that is named in the record of a run."""
        kind = record["device_kind"]
        return cls(record["device"], kind, record["threads"] if kind == "cpu" else 0)

    @property
    def label(self) -> str:
        """The name to print; a CPU is labelled as such, so that its hours are not mistaken for GPU-hours."""
        return f"{self.name} (CPU, {count(self.threads, 'thread')})" if self.kind == "cpu" else self.name

    @property
    def unit(self) -> str:
        """The unit in which hours on this device are printed."""
        return "CPU-hours" if self.kind == "cpu" else "GPU-hours"


@dataclass(frozen=True)
class Measured:
    """One result of the probe."""

    device: Device
    kind: str  # kind of work
    epoch_seconds: Annotated[float, Field(gt=0)]  # evaluation included
    spread: float  # spread of the repetitions, as a fraction of `epoch_seconds`
    batch: int  # largest batch timed; smaller than the protocol's if that would take too long
    images_per_second: float  # in training
    load: float  # load average before the measurement
    cpus: int
    date: str  # in UTC
    versions: dict[str, str]  # of the packages


@dataclass(frozen=True)
class Hours:
    """A sum of device-hours."""

    known: float = 0.0
    unknown: int = 0  # number of runs whose hours are unknown

    @classmethod
    def of(cls, hours: "Series[float]") -> "Hours":
        """Sum the known hours and count the unknown ones (NaN)."""
        return cls(float(hours.sum()), int(hours.isna().sum()))

    def __str__(self) -> str:
        """For example `12.3`; `?` if all hours are unknown, `> 12.3` if some are."""
        return "?" if self.unknown and not self.known else "> " * bool(self.unknown) + number(self.known)


def number(hours: float) -> str:
    """Format hours with about three digits."""
    digits = 0 if hours >= 100 or hours == 0 else 1 if hours >= 10 else 2 if hours >= 0.1 else 3
    return f"{hours:,.{digits}f}"


@dataclass(frozen=True)
class Known:
    """The training times that are recorded below a root: those of finished runs and the results of the probe.

    `took` has a row for each finished training of any plan and device, the oldest first. Its columns are `folder`,
    `kind` (the kind of work, empty if the data set is missing), `epochs`, `device`, `hours` (device-hours),
    `epoch_hours` (device-hours of one epoch) and `ended` (in UTC).
    """

    root: Path
    took: DataFrame
    device: Device | None  # the device of all estimates; None if no time is known
    measured: list[Measured]  # the probe's results on this device

    @property
    def unit(self) -> str:
        """The unit of the hours."""
        return self.device.unit if self.device else "device-hours"

    def frame(self, runs: RunList) -> DataFrame:
        """Return a table of the runs, indexed by id, with their fields in plan.json and their costs.

        The columns for the costs are `kind` (the kind of work), `epochs`, `hours` (device-hours, NaN if unknown),
        `left` (the remaining hours), `basis` (the source of the hours: `took`, `equal runs`, `same kind`, `probe`,
        `a moment` or `unknown`) and `authors` (V100-hours at the authors' speed).
        """
        found = DataFrame(list(runs)).set_index("id", drop=False)
        found["kind"] = Series({run["id"]: kind for run, _, kind in self._trainings(runs)}, dtype=object)
        found["epochs"] = [run["config"].get("epochs", 0) for run in runs]
        by_basis = self._by_basis(found)
        found["hours"] = by_basis.bfill(axis="columns").iloc[:, 0]
        found["basis"] = by_basis.notna().idxmax(axis="columns").where(found.hours.notna(), "unknown")
        found["left"] = found.hours.mask(found.basis == "took", 0.0)
        data = {run["id"]: run["config"]["name"] for run in runs if run["stage"] == "data"}
        source = found.inputs.str[0].map(data)
        found["authors"] = [*map(authors_hours, found.stage, found.config, source)]
        return found

    def _by_basis(self, found: DataFrame) -> DataFrame:
        """A table of the hours of each run (row) by each basis (column); NaN if a basis does not apply.

        The most reliable basis comes first.
        """
        own = self.took[(self.took.device == self.device) & (self.took.kind != "")]
        equal = own.groupby(["kind", "epochs"]).hours.agg(_of_newest).rename("equal")
        probed = Series({one.kind: one.epoch_seconds / HOUR for one in self.measured}, dtype=float)
        columns = {
            "took": found.folder.map(self.took.set_index("folder").hours),
            "equal runs": found.join(equal, on=["kind", "epochs"]).equal,
            "same kind": found.kind.map(own.groupby("kind").epoch_hours.agg(_of_newest)) * found.epochs,
            "probe": found.kind.map(probed) * found.epochs,
            "a moment": found.stage.isin(TRAINING_STAGES).map({False: 0.0}),
        }
        return DataFrame(columns, dtype=float)

    def work_to_measure(self, runs: RunList) -> dict[str, tuple[Mapping[str, Any], Shape]]:
        """Map each kind of work to one run of this kind and the shape of its data; unmeasured kinds come first."""
        found = {kind: (run, shape) for run, shape, kind in self._trainings(runs)}
        measured = [entry.kind for entry in self.measured]
        return {kind: found[kind] for kind in sorted(found, key=measured.__contains__)}

    def _trainings(self, runs: RunList) -> Iterator[tuple[Mapping[str, Any], Shape, str]]:
        """Yield each training whose data has a known shape, together with this shape and the kind of work."""
        shapes = {run["id"]: self._shape(run) for run in runs if run["stage"] == "data"}
        for run in runs:
            if run["stage"] in TRAINING_STAGES and (shape := shapes[run["inputs"][0]]):
                yield run, shape, kind_of(run["stage"], run["config"], shape)

    def _shape(self, data: Mapping[str, Any]) -> Shape | None:
        folder = self.root / data["folder"]
        return _prepared(folder) if Dataset.file(folder).is_file() else declared_shape(data["config"])


def _of_newest(values: "Series[float]") -> float:
    return float(values.tail(NEWEST).median())


def read_known(root: Path, machine: Machine) -> Known:
    """Read the known times below a root.

    Estimates are for the GPU that was used last or, if no GPU was used, for the CPU that was used last. Only devices
    that are allowed by the `machine` settings of the parameter file are considered.

    Raises:
        DropnasError: a manifest or the probe's record is damaged.
    """
    took, measured, kind = _finished(root), read_measured(root), machine.device.partition(":")[0]
    used = [*zip(took.ended, took.device, strict=True), *((one.date, one.device) for one in measured)]
    allowed = [one for one in used if kind in ("auto", one[1].kind) and one[1].threads in (0, machine.threads)]
    device = max(allowed, key=lambda one: (one[1].kind != "cpu", one[0]), default=("", None))[1]
    return Known(root, took, device, [entry for entry in measured if entry.device == device])


def _finished(root: Path) -> DataFrame:
    shapes = {path.parent.name: _prepared(path.parent) for path in root.glob(f"data/*/*/{Dataset.FILE}")}
    found = [_took(path.parent, root, shapes) for s in TRAINING_STAGES for path in root.glob(f"runs/{s}/*/{MANIFEST}")]
    columns = ["folder", "kind", "epochs", "device", "hours", "epoch_hours", "ended"]
    return DataFrame(found, columns=columns).astype({"hours": float, "epoch_hours": float}).sort_values("ended")


def _took(folder: Path, root: Path, shapes: Mapping[str, Shape]) -> dict[str, Any]:
    """The row of a finished training in `Known.took`."""
    run = ManifestFile.read(folder).run
    try:
        stage, config, shape = run["stage"], run["config"], shapes.get(run["inputs"][0])
        processes = run.get("processes", 1)  # under torchrun, each process uses a device
        hours = float(run["seconds"]) * processes / HOUR
        images = epoch_images(stage, config, shape) if shape else None
        speed = float(run["statistics"]["images_per_second"]) if images else 0.0
        return {
            "folder": str(folder.relative_to(root)),
            "kind": kind_of(stage, config, shape) if shape else "",
            "epochs": config["epochs"],
            "device": Device.of(run),
            "hours": hours,
            "epoch_hours": images / speed * processes / HOUR if images else hours / config["epochs"],
            "ended": run["ended"],
        }
    except (KeyError, TypeError, ValueError, IndexError, ZeroDivisionError) as error:
        what = f"does not record how long the run took ({error!r})"
        raise DropnasError(what, where=folder / MANIFEST, remedy="restore the folder") from error


def _prepared(folder: Path) -> Shape:
    dataset = Dataset.read(folder)
    return Shape(dataset.train, dataset.test, dataset.height, dataset.width)


def read_measured(root: Path) -> list[Measured]:
    """The results of the probe, the oldest first; none if it never ran."""
    path = root / THROUGHPUT_FILE
    if not path.is_file():
        return []
    try:
        found: dict[str, list[Measured]] = parse(dict[str, list[Measured]], read_json(path), path)
        return sorted(found["measured"], key=lambda entry: entry.date)
    except (DropnasError, KeyError) as error:
        remedy = "remove it, then plan --measure"
        raise DropnasError(f"is not a record of the probe ({error})", where=path, remedy=remedy) from error


def add_measured(root: Path, new: Sequence[Measured]) -> None:
    """Record new results; each replaces an older one of the same device and kind."""
    entries = {(entry.device, entry.kind): entry for entry in (*read_measured(root), *new)}
    write_json(root / THROUGHPUT_FILE, {"measured": [asdict(entry) for entry in entries.values()]})
