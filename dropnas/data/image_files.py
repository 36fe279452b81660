"""The source `images`: a folder or tar of images, which stay where they are."""

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
    """The images of the source that the configuration names. Raises a DropnasError as `list_images` does."""
    location = locate(config, workspace)
    return ImageFiles(location, list_images(location))
