"""Builds the network that a network.json describes. A training imports only the network of its stage."""

from dropnas.artifacts.training_files import NetworkFile
from dropnas.evaluate.cifar_network import CifarNetwork
from dropnas.evaluate.imagenet_network import ImageNetNetwork
from dropnas.evaluate.stack import EvaluationNetwork
from dropnas.space.genotype import Genotype


def build(shape: NetworkFile, genotype: Genotype) -> EvaluationNetwork:
    """Build the network, with PyTorch's default initial weights."""
    return (CifarNetwork if shape.network == "cifar" else ImageNetNetwork)(shape, genotype)
