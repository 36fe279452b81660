"""Known times: finished trainings, from their manifests, and the probe's results, in `scratch/throughput.json`.

Every finished training below the root counts, of any plan. Its own cost is its real seconds, killed attempts included;
the cost of an epoch follows from its throughput, which leaves out start-up and so holds for other numbers of epochs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from dropnas.artifacts.dataset_file import Dataset
from dropnas.artifacts.manifest_file import MANIFEST, ManifestFile
from dropnas.errors import DropnasError
from dropnas.monitor.work import COSTLY, Kind, Shape, Work, trained_images, work
from dropnas.parsing import parse
from dropnas.runs.files import read_json, write_json
from dropnas.runs.identity import canonical_json

FILE = Path("scratch", "throughput.json")
HOUR = 3600.0  # seconds
MOST_SPREAD = 0.5  # of a result that is trusted


@dataclass(frozen=True)
class Device:
    """The model of a GPU or CPU, its kind (`cuda` or `cpu`), and the CPU threads of a job (0 on a GPU)."""

    name: str
    kind: str
    threads: int = 0

    @property
    def label(self) -> str:
        """For a person; says that a CPU is one, so that nobody takes its hours for those of a GPU."""
        threads = "1 thread" if self.threads == 1 else f"{self.threads} threads"
        return self.name if self.kind != "cpu" else f"{self.name} (CPU, {threads})"

    @property
    def unit(self) -> str:
        """What its hours are called."""
        return "CPU-hours" if self.kind == "cpu" else "GPU-hours"


def device_of(name: str, kind: str, threads: int) -> Device:
    """A device; threads count on a CPU only."""
    return Device(name, kind, threads if kind == "cpu" else 0)


@dataclass(frozen=True)
class Finished:
    """A finished training.

    Attributes:
        folder: relative to the root.
        work: None if its data set is gone.
        device: that it ran on.
        hours, epoch_hours: device-hours of the run, and of an epoch.
        ended: time in UTC, as in the manifest.
    """

    folder: str
    work: Work | None
    device: Device
    hours: float
    epoch_hours: float
    ended: str


@dataclass(frozen=True)
class Measured:
    """One result of the probe.

    Attributes:
        device: that was measured.
        kind: `Kind.content`.
        epoch_seconds: of an epoch, evaluation included.
        spread: how far repetitions let `epoch_seconds` vary, as a part of it.
        batch: images of the largest batch; the protocol's, unless that took too long.
        images_per_second: in training.
        load, cpus: load average before the measurement, and the number of CPUs.
        date: in UTC.
        versions: of the packages.
    """

    device: Device
    kind: dict[str, Any]
    epoch_seconds: Annotated[float, Field(gt=0)]
    spread: float
    batch: int
    images_per_second: float
    load: float
    cpus: int
    date: str
    versions: dict[str, str]

    def is_of(self, kind: Kind) -> bool:
        """Whether it is of this kind of work."""
        return canonical_json(self.kind) == canonical_json(kind.content)


def finished_runs(root: Path) -> list[Finished]:
    """Every finished training below a root, the oldest first.

    Raises:
        DropnasError: a manifest is damaged or incomplete.
    """
    shapes = {path.parent.name: prepared_shape(path.parent) for path in root.glob(f"data/*/*/{Dataset.FILE}")}
    found = [_finished(path.parent, root, shapes) for s in COSTLY for path in (root / "runs" / s).glob(f"*/{MANIFEST}")]
    return sorted(found, key=lambda run: run.ended)


def prepared_shape(folder: Path) -> Shape:
    """The shape of a prepared data set."""
    dataset = Dataset.read(folder)
    return Shape(dataset.train, dataset.test, dataset.height, dataset.width)


def _finished(folder: Path, root: Path, shapes: Mapping[str, Shape]) -> Finished:
    run = ManifestFile.read(folder).run
    try:
        shape = shapes.get(run["inputs"][0])
        device = device_of(run["device"], run["device_kind"], run["threads"])
        processes = run.get("processes", 1)  # of a transfer under torchrun; each holds a device
        hours = float(run["seconds"]) * processes / HOUR
        done = work(run["stage"], run["config"], shape) if shape else None
        epoch = _epoch_hours(done, float(run["statistics"]["images_per_second"]), hours, processes)
        return Finished(str(folder.relative_to(root)), done, device, hours, epoch, run["ended"])
    except (KeyError, TypeError, ValueError, IndexError, ZeroDivisionError) as error:
        what = f"does not say what the run took ({error!r})"
        raise DropnasError(what, where=folder / MANIFEST, remedy="restore the folder") from error


def _epoch_hours(done: Work | None, images_per_second: float, hours: float, processes: int) -> float:
    if done is None:
        return 0.0
    images = trained_images(done.kind)
    return hours / done.epochs if images is None else images / images_per_second * processes / HOUR


def read_measured(root: Path) -> list[Measured]:
    """The results of the probe, the oldest first; none if it never ran.

    Raises:
        DropnasError: the file is damaged.
    """
    path = root / FILE
    if not path.is_file():
        return []
    try:
        found: dict[str, list[Measured]] = parse(dict[str, list[Measured]], read_json(path), path)
        return sorted(found["measured"], key=lambda entry: entry.date)
    except (DropnasError, KeyError) as error:
        remedy = "remove it, then plan --measure"
        raise DropnasError(f"is no record of a probe ({error})", where=path, remedy=remedy) from error


def add_measured(root: Path, new: list[Measured]) -> None:
    """Keep new results; each replaces an older one of the same device and kind."""
    entries = {(entry.device, canonical_json(entry.kind)): entry for entry in (*read_measured(root), *new)}
    write_json(root / FILE, {"measured": [asdict(entry) for entry in entries.values()]})


def trusted(found: Sequence[Measured]) -> tuple[list[Measured], str]:
    """The results whose repetitions agree, and a line on the others (empty if there are none).

    Raises:
        DropnasError: no result can be trusted.
    """
    kept = [entry for entry in found if entry.spread <= MOST_SPREAD]
    if len(kept) == len(found):
        return kept, ""
    most, load = max(entry.spread for entry in found), f"load {found[0].load:.1f} on {found[0].cpus} CPUs"
    count = f"{len(found) - len(kept)} of {len(found)} measurements are not trusted"
    refused = f"{count}: their repetitions let the result vary by up to {most:.0%} ({load})"
    remedy = "measure again when the machine is idle"
    if not kept:
        raise DropnasError(refused, remedy=remedy)
    return kept, f"{refused}; {remedy}"
