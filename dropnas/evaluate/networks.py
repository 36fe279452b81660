"""The shape of an evaluation network as data: the content of network.json, and the network that it describes.

Design choice: the stages write network.json, and code that reloads or inspects a network reads it here. Every type is
checked, since a user can edit the file.
"""

from dataclasses import asdict, dataclass
from typing import Any, get_type_hints

from dropnas.errors import DropnasError
from dropnas.evaluate.cifar_network import CifarNetwork
from dropnas.evaluate.imagenet_network import ImageNetNetwork
from dropnas.space.genotype import Genotype

Network = CifarNetwork | ImageNetNetwork


@dataclass(frozen=True)
class NetworkShape:
    """The description of a network, apart from its genotype and weights.

    Attributes:
        network: `cifar` or `imagenet`.
        cells, channels, classes: depth, initial width C, classes.
        auxiliary: whether there is an auxiliary tower.
        pool_norm, squeeze_excitation: whether batch norm follows pooling, and squeeze-and-excitation (ImageNet only)
            each cell.
        image_size: height and width of the images that it was trained for.

    Raises:
        DropnasError: a value that does not describe a network.
    """

    network: str
    cells: int
    channels: int
    classes: int
    auxiliary: bool
    pool_norm: bool
    squeeze_excitation: bool
    image_size: tuple[int, int]

    def __post_init__(self) -> None:
        if self.network not in ("cifar", "imagenet"):
            raise DropnasError(f"unknown network {self.network!r}", remedy="known: cifar, imagenet")
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
                raise DropnasError(f"{name} is {value}, the least is {least}", where=f"{self.network} network")

    def build(self, genotype: Genotype) -> Network:
        """Build the network, with PyTorch's default initial weights."""
        sizes = (genotype, self.channels, self.cells, self.classes, self.auxiliary, self.pool_norm)
        if self.network == "cifar":
            return CifarNetwork(*sizes)
        return ImageNetNetwork(*sizes, self.squeeze_excitation)

    def to_json(self) -> dict[str, Any]:
        """The content of network.json."""
        return {**asdict(self), "image_size": list(self.image_size)}

    @classmethod
    def from_json(cls, value: object) -> "NetworkShape":
        """The inverse of `to_json`.

        Raises:
            DropnasError: a missing or unknown key, a value of the wrong type, or no valid network.
        """
        types = get_type_hints(cls)
        if not isinstance(value, dict) or set(value) != set(types):
            raise DropnasError(f"is not an object with exactly {', '.join(types)}")
        for name, kind in types.items():
            if name != "image_size" and type(value[name]) is not kind:
                raise DropnasError(f"{name} is no {kind.__name__}: {value[name]!r}")
        size = value["image_size"]
        if not (isinstance(size, list) and len(size) == 2 and all(type(side) is int for side in size)):
            raise DropnasError(f"image_size is not [height, width]: {size!r}")
        return cls(**{**value, "image_size": (size[0], size[1])})
