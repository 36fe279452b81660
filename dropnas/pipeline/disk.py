"""Estimates the number of bytes and files that missing runs need on disk, including checkpoints.

Design choices: sizes follow from a few settings, so no network needs to be built. The number of weights grows with
the number of cells and the square of the channels. The checkpoints of a search and of a retraining were measured at the
paper's settings (docs/reliability.md). The numbers of files are taken from runs of the smoke profile.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dropnas.data.config import DATASETS
from dropnas.runs.identity import Run
from dropnas.runs.stage_groups import TRAINING_STAGES
from dropnas.runs.store import Store

SEARCH = 29.7e6 / (8 * 16**2)  # bytes of a checkpoint, divided by cells * channels^2
NETWORK = 35.7e6 / (20 * 36**2)
CHECKPOINTS = 3  # checkpoints per training: two that are kept, and one that is being written
PUBLISHED_SHARE = 0.5  # size of a published network relative to its checkpoint, which also has the momentum
FILES_OF_STAGE = {
    "data": 6,
    "search": 7,
    "retrain": 7,
    "transfer": 7,
    "table": 6,
    "figure": 6,
    "clusters": 3,
    "correlation": 3,
}
OTHER_FILES, OTHER_BYTES = 5, 100_000  # for a run of any other stage
# sizes in bytes: a figure, the manifest line of one image, and a frozen start
FIGURE_BYTES, IMAGE_LINE_BYTES, START_BYTES = 600_000, 120, 5_000_000


@dataclass(frozen=True)
class Disk:
    """The number of bytes and the number of files; folders count as files."""

    size: int
    files: int


def needed(runs: Iterable[Run], root: Path, at_once: int = 1) -> Disk:
    """Estimate the disk space for the runs that are not yet in the store.

    Args:
        at_once: number of trainings that run at the same time, each with its checkpoints.
    """
    store = Store(root)
    missing = [run for run in runs if not store.is_published(root / run.folder)]
    if not missing:
        return Disk(0, 0)
    checkpoints = sorted((_checkpoint(run) for run in missing), reverse=True)[:at_once]
    size = sum(_size(run) for run in missing) + CHECKPOINTS * sum(checkpoints) + START_BYTES
    files = sum(FILES_OF_STAGE.get(run.stage, OTHER_FILES) + 2 for run in missing)  # plus the run's folder and spec
    return Disk(round(size), files + 400)  # plus the source files of a frozen start


def _size(run: Run) -> float:
    if run.stage == "data":
        return _data(run.config)
    return _checkpoint(run) * PUBLISHED_SHARE + (FIGURE_BYTES if run.stage == "figure" else OTHER_BYTES)


def _checkpoint(run: Run) -> float:
    if run.stage not in TRAINING_STAGES:
        return 0.0
    unit = SEARCH if run.stage == "search" else NETWORK
    return unit * float(run.config.cells) * float(run.config.channels) ** 2


def _data(config: Any) -> float:
    """Bytes of a data set: its arrays and any archive that torchvision reads or, without arrays, its list of images."""
    known = DATASETS[config.name]
    images = (config.train_images or known.train) + (config.test_images or known.test)
    pixels = known.height * known.width * 3
    return float(images * (pixels * (2 if config.source == "torchvision" else 1) if pixels else IMAGE_LINE_BYTES))
