"""The source `images`: a folder or tar of images, which are not copied."""

from dataclasses import dataclass
from pathlib import Path

from dropnas.data.config import DatasetConfig
from dropnas.data.image_layout import Listing, list_images
from dropnas.data.sources import locate
from dropnas.workspace import Workspace


@dataclass(frozen=True)
class ImageFiles:
    """The folder or tar, and the images in it."""

    location: Path
    listing: Listing


def read(config: DatasetConfig, workspace: Workspace) -> ImageFiles:
    """List the images of the source that the configuration names. Raises a DropnasError like `list_images`."""
    location = locate(config, workspace)
    return ImageFiles(location, list_images(location))
