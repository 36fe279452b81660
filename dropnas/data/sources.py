"""The source of a data set: whether it is known, and its path.

Which sources a data set has, and what reads each, is registered in `dropnas.data.config`.
"""

import os
from pathlib import Path

from dropnas.data.checksum import require_source, source_checksum
from dropnas.data.config import DATASETS, DatasetConfig
from dropnas.errors import DropnasError
from dropnas.workspace import Workspace


def check_source(config: DatasetConfig) -> None:
    """Check that a dataset is known and available from the source.

    Raises:
        DropnasError: it is not, or a checksum is declared for digits, which come with a package.
    """
    if config.name not in DATASETS:
        raise DropnasError(f"unknown dataset {config.name!r}", remedy=f"there are {', '.join(DATASETS)}")
    sources = DATASETS[config.name].sources
    if config.source not in sources:
        raise DropnasError(
            f"dataset {config.name!r} has no source {config.source!r}", remedy=f"its sources: {', '.join(sources)}"
        )
    if config.source == "bundled" and config.checksum:
        raise DropnasError(f"dataset {config.name!r} is bundled and has no checksum", remedy="leave `checksum` out")


def locate(config: DatasetConfig, workspace: Workspace) -> Path:
    """Path of a local source, after a check of its declared checksum.

    Raises:
        DropnasError: it is missing or has another checksum.
    """
    path = workspace.location or config.path
    if not path:
        raise DropnasError(f"dataset {config.name!r} needs a `path` to its source")
    found = Path(os.path.realpath(path))  # `resolve` raises on a circle of links
    require_source(found)
    require_checksum(config, found)
    return found


def require_checksum(config: DatasetConfig, path: Path) -> None:
    """Raise a DropnasError unless a source has the checksum that the configuration declares, if it declares one."""
    if not config.checksum:
        return
    found = source_checksum(path)
    if found != config.checksum:
        raise DropnasError(
            f"checksum is {found}, but {config.checksum} is declared",
            where=path,
            remedy="get the declared data, or declare the checksum of these",
        )
