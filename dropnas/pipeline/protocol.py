"""Checks whether runs follow the paper's protocol, that is, use its complete data sets and its settings.

The configurations of the runs determine this. A parameter file or a table may state that it departs from the protocol
(`reproduction: false`), but stating the opposite (`reproduction: true`) is not sufficient. Options that interpret the
paper's text and options that only change rounding may have any value.
"""

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from dropnas.artifacts.dataset_file import Dataset
from dropnas.artifacts.manifest_file import MANIFEST, ManifestFile
from dropnas.config import Augmented
from dropnas.data.config import DATASETS, DatasetConfig, PaperDataset
from dropnas.errors import DropnasError
from dropnas.evaluate.config import RetrainConfig, TransferConfig
from dropnas.parsing import parse
from dropnas.runs.configurations import configuration
from dropnas.runs.identity import Run
from dropnas.search.config import SearchConfig
from dropnas.search.methods import authors_settings

OPEN_OPTIONS = {
    *("seed", "space", "strategy", "options", "precision", "kernels", "group_seeds", "deterministic", "memory_format"),
    *("pool_norm", "norm_weight", "micro_batch", "schedule", "squeeze_excitation", "crop_padding", "flip"),
}
PROTOCOL_HINT = "set reproduction: false"


def deviation(config: Any) -> str:
    """How a run's configuration deviates from the paper's; empty if it does not, or if the paper has no such stage."""
    if isinstance(config, DatasetConfig):
        return _of_dataset(config)
    if not isinstance(config, SearchConfig | RetrainConfig | TransferConfig):
        return ""
    paper: SearchConfig | RetrainConfig | TransferConfig = type(config)()
    if isinstance(config, SearchConfig):
        paper = SearchConfig(**authors_settings(config.strategy))
    if isinstance(config, RetrainConfig) and config.autoaugment:
        paper = RetrainConfig(autoaugment=True, epochs=Augmented().epochs)
    names = [field.name for field in dataclasses.fields(paper) if field.name not in OPEN_OPTIONS]
    other = [name for name in names if getattr(config, name) != getattr(paper, name)]
    return f"{other[0]} is {getattr(config, other[0])}, but the paper's is {getattr(paper, other[0])}" if other else ""


def _of_dataset(config: DatasetConfig) -> str:
    if not isinstance(DATASETS.get(config.name), PaperDataset):
        return f"{config.name} is not a data set of the paper"
    return f"a part of {config.name}" if config.train_images or config.test_images else ""


def require_planned(runs: Iterable[Run], where: object) -> None:
    """Check that all runs of a plan follow the paper's protocol.

    Raises a DropnasError that names the first run that does not.
    """
    for run in runs:
        if found := deviation(run.config):
            raise DropnasError(f"reproduction: {run.stage} {run.name}: {found}", where=where, remedy=PROTOCOL_HINT)


def require_followed(folders: Iterable[Path]) -> None:
    """Check that finished runs and their data sets follow the paper's protocol.

    Raises a DropnasError that names the first run that does not.
    """
    for folder in folders:
        record = ManifestFile.read(folder).run
        found = deviation(parse(configuration(record["stage"]), record["config"], folder))
        for name in record["inputs"]:
            for manifest in folder.parents[2].glob(f"data/*/{name}/{MANIFEST}"):
                found = found or _of_prepared(manifest.parent)
        if found:
            raise DropnasError(f"is not a reproduction of the paper: {found}", where=folder, remedy=PROTOCOL_HINT)


def _of_prepared(folder: Path) -> str:
    """How the content of a prepared data set deviates from the paper's."""
    record = ManifestFile.read(folder).run
    found = deviation(parse(DatasetConfig, record["config"], folder))
    if found or not Dataset.file(folder).is_file():
        return found
    dataset, whole = Dataset.read(folder), DATASETS[record["config"]["name"]]
    images = (dataset.train, dataset.test)
    return "" if images == (whole.train, whole.test) else f"{folder.name} has {images[0]} and {images[1]} images"
