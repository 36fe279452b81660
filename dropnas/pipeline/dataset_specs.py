"""Specs of datasets by name: `python -m dropnas data cifar10` makes the same run that a parameter file's plan needs."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from dropnas.config import Machine, read_parameters
from dropnas.data.config import DATASETS, DatasetConfig
from dropnas.errors import DropnasError
from dropnas.pipeline.experiments import dataset_name
from dropnas.pipeline.freeze import spec
from dropnas.pipeline.stages import code_of
from dropnas.runs.identity import Run

DEFAULT = Path("params/paper.yaml")


def dataset_specs(names: list[str], parameters: Path | None, path: str) -> list[dict[str, Any]]:
    """The specs of data runs, for names or roles in a parameter file, or for the package's own names.

    Args:
        parameters: the parameter file; None uses `params/paper.yaml` if it exists.
        path: path of the source, instead of the one in the parameter file.

    Raises a DropnasError if neither the file nor this package knows a name.
    """
    known = _known(parameters)
    specs = []
    for name in names:
        if name not in known:
            remedy = f"known: {', '.join(sorted(known))}"
            raise DropnasError(f"unknown dataset {name!r}", where=parameters or DEFAULT, remedy=remedy)
        config = replace(known[name], path=path) if path else known[name]
        run = Run("data", dataset_name(config), config, (), code_of("data", config))
        specs.append(spec(run, "data", Machine()))
    return specs


def _known(parameters: Path | None) -> dict[str, DatasetConfig]:
    known = {name: DatasetConfig(name, next(iter(one.sources))) for name, one in DATASETS.items()}
    if parameters or DEFAULT.is_file():
        declared = read_parameters(parameters or DEFAULT).datasets
        known |= {config.name: config for config in declared.values()}
        known |= {str(role): config for role, config in declared.items()}
    return known
