"""What finished runs took, from their manifests.

Design choices: every finished training below the root counts, of whatever plan, since work of the same kind takes the
same time. A run's own cost is its real seconds, killed attempts included; what an epoch of its kind takes follows from
its throughput, which leaves out start-up and so holds for runs of another length too.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from dropnas.artifacts.dataset_file import Dataset
from dropnas.artifacts.manifest_file import MANIFEST, ManifestFile
from dropnas.errors import DropnasError
from dropnas.monitor.work import COSTLY, Shape, Work, trained_images, work

HOUR = 3600.0  # seconds


@dataclass(frozen=True)
class Device:
    """What a time was measured on; times on one device say nothing of another.

    Attributes:
        name: its model.
        kind: `cpu` or `cuda`.
        threads: CPU threads of a job; 0 on a GPU, where they decide nothing.
    """

    name: str
    kind: str
    threads: int = 0

    @property
    def label(self) -> str:
        """For a person; a CPU is called one, lest its hours be taken for those of a GPU."""
        threads = "1 thread" if self.threads == 1 else f"{self.threads} threads"
        return self.name if self.kind != "cpu" else f"{self.name} (CPU, {threads})"


@dataclass(frozen=True)
class Finished:
    """A finished training.

    Attributes:
        folder: of the run, relative to the root.
        work: what it did; None where its data set is gone, so that nobody can say.
        device: what it ran on.
        hours: device-hours that it took in all.
        epoch_hours: device-hours an epoch.
        started, ended: times in UTC, as manifests write them.
    """

    folder: str
    work: Work | None
    device: Device
    hours: float
    epoch_hours: float
    started: str
    ended: str


def finished_runs(root: Path) -> list[Finished]:
    """Every finished training below a root, the oldest first.

    Raises:
        DropnasError: a manifest is damaged, or lacks what it must say.
    """
    shapes = dict(_shapes(root))
    found = [finished(path.parent, root, shapes) for s in COSTLY for path in (root / "runs" / s).glob(f"*/{MANIFEST}")]
    return sorted(found, key=lambda run: run.ended)


def _shapes(root: Path) -> Iterator[tuple[str, Shape]]:
    """The prepared data sets by the names of their folders."""
    for path in root.glob(f"data/*/*/{Dataset.FILE}"):
        yield path.parent.name, prepared_shape(path.parent)


def prepared_shape(folder: Path) -> Shape:
    """The shape of a prepared data set."""
    dataset = Dataset.read(folder)
    return Shape(dataset.train, dataset.test, dataset.height, dataset.width)


def finished(folder: Path, root: Path, shapes: Mapping[str, Shape]) -> Finished:
    """A finished training's cost, from its manifest."""
    run = ManifestFile.read(folder).run
    try:
        shape = shapes.get(run["inputs"][0])
        device = device_of(run["device"], run["device_kind"], run["threads"])
        processes = run.get("processes", 1)  # of a transfer under torchrun; each holds a device
        hours = float(run["seconds"]) * processes / HOUR
        done = work(run["stage"], run["config"], shape) if shape else None
        epoch = _epoch_hours(done, float(run["statistics"]["images_per_second"]), hours, processes)
        return Finished(str(folder.relative_to(root)), done, device, hours, epoch, run["started"], run["ended"])
    except (KeyError, TypeError, ValueError, IndexError, ZeroDivisionError) as error:
        raise DropnasError(
            f"does not say what the run took ({error!r})", where=folder / MANIFEST, remedy="restore the folder"
        ) from error


def _epoch_hours(done: Work | None, images_per_second: float, hours: float, processes: int) -> float:
    if done is None:
        return 0.0
    images = trained_images(done.kind)
    return hours / done.epochs if images is None else images / images_per_second * processes / HOUR


def device_of(name: str, kind: str, threads: int) -> Device:
    """A device; the threads count on a CPU only."""
    return Device(name, kind, threads if kind == "cpu" else 0)
