"""What a search starts from: the weights and the alphas that its seed names.

Design: both are drawn on the CPU, so that every device and every company starts from the same ones.
"""

from typing import TypeVar

from dropnas.search.architecture import Alphas, initial_alphas
from dropnas.search.config import SearchConfig
from dropnas.search.supernet import Supernet
from dropnas.space.spaces import SearchSpace
from dropnas.training.initialisation import initialise
from dropnas.training.seeding import generator

S = TypeVar("S", bound=Supernet)


def first_supernet(kind: type[S], config: SearchConfig, space: SearchSpace, classes: int) -> S:
    """The supernet with its first weights, on the CPU."""
    supernet = kind(space, config.channels, config.cells, classes)
    initialise(supernet, generator(config.seed, "weights"))
    return supernet


def first_alphas(config: SearchConfig, space: SearchSpace) -> Alphas:
    """The first alphas, on the CPU."""
    return initial_alphas(space, config.alpha_scale, generator(config.seed, "alphas"))
