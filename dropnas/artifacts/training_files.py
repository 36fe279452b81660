"""network.json and result.json of a retraining or transfer."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from dropnas.artifacts.json_file import JsonFile
from dropnas.errors import DropnasError


@dataclass(frozen=True)
class NetworkFile(JsonFile):
    """The shape of an evaluation network. With the genotype, it is enough to rebuild the network.

    Raises a DropnasError if a value is invalid.
    """

    FILE: ClassVar[str] = "network.json"

    network: Literal["cifar", "imagenet"]
    cells: int  # depth
    channels: int  # initial width C
    classes: int
    auxiliary: bool  # whether there is an auxiliary tower
    # pool_norm, squeeze_excitation: whether batch norm follows pooling, and whether squeeze-and-excitation follows each
    # cell (ImageNet only)
    pool_norm: bool
    squeeze_excitation: bool
    image_size: tuple[int, int]  # height and width of the images on which the network was trained

    def __post_init__(self) -> None:
        if self.network == "cifar" and self.squeeze_excitation:
            raise DropnasError("the CIFAR network has no squeeze-and-excitation", remedy="it is for imagenet")
        least_channels = 2 if self.network == "imagenet" else 1  # the ImageNet stem starts with half the channels
        for name, value, least in (
            ("cells", self.cells, 1),
            ("channels", self.channels, least_channels),
            ("classes", self.classes, 1),
            ("image_size", min(self.image_size), 1),
        ):
            if value < least:
                raise DropnasError(f"{name} is {value}, but must be at least {least}", where=f"{self.network} network")


@dataclass(frozen=True)
class Errors:
    """Test errors in percent."""

    final: float  # after the last epoch
    best: float  # the lowest of any epoch
    best_epoch: int  # the first epoch with the lowest error


@dataclass(frozen=True)
class HeldOut:
    """The epoch chosen without the test split: the first one with the lowest error on held-out training images."""

    epoch: int
    held_out_error: float  # error on the held-out images in that epoch, in percent
    test_error: float  # test error in that epoch, in percent


@dataclass(frozen=True)
class TrainingResultFile(JsonFile):
    FILE: ClassVar[str] = "result.json"

    # top1_error, top5_error: test errors; top5_error is None if the data set has too few classes
    top1_error: Errors
    top5_error: Errors | None
    epochs: int
    classes: int
    parameters: int  # number of weights without the auxiliary tower
    parameters_with_auxiliary: int  # number of weights with the tower
    multiply_adds: int  # for one image
    test_images: int
    held_out: HeldOut | None = None  # the epoch chosen on held-out training images; None if no images were held out
