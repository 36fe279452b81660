"""Builds the network that a network.json describes."""

from dropnas.artifacts.training_files import NetworkFile
from dropnas.evaluate.cifar_network import CifarNetwork
from dropnas.evaluate.imagenet_network import ImageNetNetwork
from dropnas.space.genotype import Genotype

Network = CifarNetwork | ImageNetNetwork


def build(shape: NetworkFile, genotype: Genotype) -> Network:
    """Build the network, with PyTorch's default initial weights."""
    sizes = (genotype, shape.channels, shape.cells, shape.classes, shape.auxiliary, shape.pool_norm)
    if shape.network == "cifar":
        return CifarNetwork(*sizes)
    return ImageNetNetwork(*sizes, shape.squeeze_excitation)
