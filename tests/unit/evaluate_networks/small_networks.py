"""Evaluation networks of a given size."""

from dropnas.artifacts.training_files import NetworkFile
from dropnas.evaluate.networks import build
from dropnas.evaluate.stack import EvaluationNetwork
from dropnas.space.genotype import Genotype


def cifar(
    genotype: Genotype, channels: int, cells: int, classes: int, auxiliary: bool, pool_norm: bool = True
) -> EvaluationNetwork:
    shape = NetworkFile("cifar", cells, channels, classes, auxiliary, pool_norm, False, (32, 32))
    return build(shape, genotype)


def imagenet(genotype: Genotype, channels: int, cells: int, classes: int, excitation: bool) -> EvaluationNetwork:
    shape = NetworkFile("imagenet", cells, channels, classes, True, True, excitation, (224, 224))
    return build(shape, genotype)
