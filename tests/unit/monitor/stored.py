"""A store with finished trainings whose times are made up, written by the real writer."""

from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from typing import Any

from rich.console import Console, RenderableType

from dropnas.artifacts.dataset_file import Dataset
from dropnas.monitor.estimate import Device, Measured
from dropnas.pipeline.plan import Plan
from dropnas.runs.files import write_json
from dropnas.runs.identity import Run, resolved
from dropnas.runs.store import Store

A_GPU = Device("A GPU", "cuda")
CPU = {"device": "A processor", "device_kind": "cpu", "threads": 1}
GPU = {"device": "A GPU", "device_kind": "cuda", "threads": 1}
SHAPE = {"classes": 10, "channels": 1, "mean": (0.5,) * 3, "std": (0.2,) * 3}


def publish(root: Path, run: Run, files: Mapping[str, Any] | None = None, **record: Any) -> None:
    """Publish a run with JSON files and entries of its manifest; a data set gets its declared shape."""
    staged = root / "scratch" / run.id / "staged"
    staged.mkdir(parents=True)
    for name, content in (files or {}).items():
        write_json(staged / name, content)
    if run.stage == "data":
        counts = {"train": run.config.train_images, "test": run.config.test_images}
        side = len(run.config.name)  # differs between data sets, and is no real one
        Dataset(name=run.config.name, kind="arrays", height=side, width=side, **SHAPE, **counts).write(staged)
    content = {"id": run.id, "stage": run.stage, "name": run.name, "config": resolved(run.config)}
    content["identity"] = run.identity
    content["inputs"] = [source.folder.name for source in run.inputs]
    store = Store(root)
    store.publish(staged, root / run.folder, {**content, **record})
    store.discard_scratch(run.id)


def publish_data(root: Path, plan: Plan) -> None:
    """Publish the data sets of a plan."""
    for run in plan.runs.values():
        if run.stage == "data":
            publish(root, run)


def took(seconds: float, images_per_second: float = 100.0, day: int = 1, **other: Any) -> dict[str, Any]:
    """The manifest's entries for a training on a CPU that ended on a day of January 2026, an hour after noon."""
    times = {"started": f"2026-01-{day:02}T12:00:00Z", "ended": f"2026-01-{day:02}T13:00:00Z"}
    return {**CPU, **times, "seconds": seconds, "statistics": {"images_per_second": images_per_second}, **other}


def of_stage(plan: Plan, stage: str) -> list[Run]:
    """The runs of a stage, in the plan's order."""
    return [run for run in plan.runs.values() if run.stage == stage]


def measured(kind: str, seconds: float, day: int = 1, device: Device = A_GPU, spread: float = 0.1) -> Measured:
    """A result of the probe on a day of January 2026."""
    return Measured(device, kind, seconds, spread, 96, 1000.0, 0.5, 2, f"2026-01-{day:02}T00:00:00Z", {})


def shown(*parts: RenderableType) -> str:
    """Parts of the output as a terminal of 80 columns shows them."""
    console = Console(width=80, record=True, file=StringIO())
    console.print(*parts, sep="\n")
    return console.export_text()
