"""The sources of each dataset, and the location of a source.

Design: one table lists the allowed sources of each dataset. Each kind of source is read by a module of its own
(`digits`, `cifar`, `parquet`), all of which return the same two arrays; `manifest` does the corresponding work for
ImageNet.
"""

from pathlib import Path

from dropnas.data import cifar, digits, parquet
from dropnas.data.checksum import require_source, source_checksum
from dropnas.data.config import DatasetConfig
from dropnas.data.splits import Arrays
from dropnas.errors import DropnasError
from dropnas.workspace import Workspace

SOURCES = {
    "cifar10": ("torchvision", "parquet"),
    "cifar100": ("torchvision", "parquet"),
    "imagenet": ("images",),
    "digits": ("bundled",),
    "digit-pairs": ("bundled",),
    "digits-224": ("bundled",),
}


def check_source(config: DatasetConfig) -> None:
    """Check that a dataset is known and available from the source.

    Raises:
        DropnasError: it is not, or a checksum is declared for digits, which come with a package.
    """
    if config.name not in SOURCES:
        raise DropnasError(f"unknown dataset {config.name!r}", remedy=f"there are {', '.join(SOURCES)}")
    if config.source not in SOURCES[config.name]:
        raise DropnasError(
            f"dataset {config.name!r} has no source {config.source!r}",
            remedy=f"its sources: {', '.join(SOURCES[config.name])}",
        )
    if config.source == "bundled" and config.checksum:
        raise DropnasError(f"dataset {config.name!r} is bundled and has no checksum", remedy="leave `checksum` out")


def locate(config: DatasetConfig, workspace: Workspace) -> Path:
    """Path of the source, downloaded if necessary, after a check of its declared checksum.

    Raises:
        DropnasError: it is missing, cannot be downloaded, or has another checksum.
    """
    path = workspace.location or config.path
    if config.source == "torchvision":
        archive = cifar.ARCHIVES[config.name]
        if path:
            found = cifar.find_archive(Path(path), archive)
        else:
            found = cifar.download(archive, workspace.scratch, workspace.progress)
    elif path:
        found = Path(path).resolve()
        require_source(found)
    else:
        raise DropnasError(f"dataset {config.name!r} needs a `path` to its source")
    _require_checksum(config, found)
    return found


def _require_checksum(config: DatasetConfig, path: Path) -> None:
    if not config.checksum:
        return
    found = source_checksum(path)
    if found != config.checksum:
        raise DropnasError(
            f"checksum is {found}, but {config.checksum} is declared",
            where=path,
            remedy="get the declared data, or declare the checksum of these",
        )


def read_arrays(config: DatasetConfig, workspace: Workspace) -> Arrays:
    """Images and labels of a dataset of the `arrays` kind: at least as many as the limits, but possibly more.

    Raises:
        DropnasError: the source is missing, damaged, or has unexpected content.
    """
    match config.name:
        case "digits":
            return digits.digits()
        case "digit-pairs":
            return digits.digit_pairs()
        case "digits-224":
            return digits.digits_224(config.train_images, config.test_images)
    path = locate(config, workspace)
    if config.source == "parquet":
        return parquet.read(config.name, path, config.train_images, config.test_images)
    return cifar.read(path, cifar.ARCHIVES[config.name])
