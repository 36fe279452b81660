"""The source of a data set: whether it is known, and its path.

`dropnas.data.config` registers the sources of each data set and their readers.
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
        DropnasError: the dataset is not available, or a checksum is declared for digits, which come with a package.
    """
    if config.name not in DATASETS:
        raise DropnasError(f"unknown dataset {config.name!r}", remedy=f"known: {', '.join(DATASETS)}")
    sources = DATASETS[config.name].sources
    if config.source not in sources:
        raise DropnasError(
            f"dataset {config.name!r} has no source {config.source!r}", remedy=f"its sources: {', '.join(sources)}"
        )
    if config.source == "bundled" and config.checksum:
        raise DropnasError(f"dataset {config.name!r} is bundled and has no checksum", remedy="leave `checksum` out")


def locate(config: DatasetConfig, workspace: Workspace) -> Path:
    """Return the path of a local source, after checking its declared checksum.

    Raises:
        DropnasError: the source is missing or has another checksum.
    """
    path = workspace.location or config.path
    if not path:
        raise DropnasError(f"dataset {config.name!r} needs a `path` to its source")
    found = Path(os.path.realpath(path))  # `resolve` would raise for a cycle of links
    require_source(found)
    require_checksum(config, found)
    return found


def require_checksum(config: DatasetConfig, path: Path) -> None:
    """Raise a DropnasError if the configuration declares a checksum and the source has another one."""
    if not config.checksum:
        return
    found = source_checksum(path)
    if found != config.checksum:
        raise DropnasError(
            f"checksum is {found}, but {config.checksum} is declared",
            where=path,
            remedy="get the declared data, or declare the checksum of this source",
        )
