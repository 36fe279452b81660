"""A store with finished trainings whose times are made up, written by the real writer."""

from pathlib import Path
from typing import Any

from dropnas.artifacts.dataset_file import Dataset
from dropnas.pipeline.plan import Plan
from dropnas.runs.identity import Run, resolved
from dropnas.runs.store import Store

CPU = {"device": "A processor", "device_kind": "cpu", "threads": 1}
GPU = {"device": "A GPU", "device_kind": "cuda", "threads": 1}
SHAPE = {"classes": 10, "channels": 1, "mean": (0.5,) * 3, "std": (0.2,) * 3}


def publish(root: Path, run: Run, **record: Any) -> None:
    """Publish a run with what its manifest shall say of it; a data set with the shape that it declares."""
    staged = root / "scratch" / run.id / "staged"
    staged.mkdir(parents=True)
    if run.stage == "data":
        counts = {"train": run.config.train_images, "test": run.config.test_images}
        side = len(run.config.name)  # of each another, and no real one
        Dataset(name=run.config.name, kind="arrays", height=side, width=side, **SHAPE, **counts).write(staged)
    content = {"id": run.id, "stage": run.stage, "name": run.name, "config": resolved(run.config)}
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
    """What a manifest says of a training on a CPU that ended on a day of January 2026, an hour after noon."""
    times = {"started": f"2026-01-{day:02}T12:00:00Z", "ended": f"2026-01-{day:02}T13:00:00Z"}
    return {**CPU, **times, "seconds": seconds, "statistics": {"images_per_second": images_per_second}, **other}


def of_stage(plan: Plan, stage: str) -> list[Run]:
    """The runs of a stage, in the plan's order."""
    return [run for run in plan.runs.values() if run.stage == stage]
