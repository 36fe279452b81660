"""The configurations of the diagnostics behind Figures 1, 4 and 5.

Planning imports this module, which therefore must not import torch.
"""

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class ClustersConfig:
    """Feature clusters of the operations on one edge (Figures 1 and 4).

    Attributes:
        node, predecessor: the edge from state `predecessor` to node `node`; the paper uses E(0,2).
        images: number of random training images that pass through the trained supernet.
        features: the features to cluster. `maps` concatenates the feature maps of all images; `means` averages
            them over the images.
        clusters: number of K-means clusters.
        seed: seed for the choice of images and for K-means. A plan sets it to the seed of the search.
    """

    __pydantic_config__ = {"extra": "forbid", "strict": True}

    node: int = field(default=2, metadata={"ge": 2})
    predecessor: int = field(default=0, metadata={"ge": 0})
    images: int = field(default=1000, metadata={"ge": 1})
    features: Literal["maps", "means"] = "maps"
    clusters: int = field(default=3, metadata={"ge": 2})
    seed: int = field(default=0, metadata={"ge": 0})


@dataclass(frozen=True)
class VariantConfig:
    """The genotype of another run, with a different operation on one edge of its normal cell (Figure 5).

    Attributes:
        node, predecessor: the edge.
        operation: the operation on the edge.
    """

    __pydantic_config__ = {"extra": "forbid", "strict": True}

    node: int = field(metadata={"ge": 2})
    predecessor: int = field(metadata={"ge": 0})
    operation: str


@dataclass(frozen=True)
class CorrelationConfig:
    """Correlation of p (Eq. 1) with stand-alone accuracy, for the operations on an edge of the normal cell (Figure 5).

    The inputs are the select run, then the search that produced each of its candidates, in the order of the candidates,
    then one retraining for each operation, in the order of `operations`.

    Attributes:
        node, predecessor: the edge.
        operations: all operations of the space except zero.
    """

    __pydantic_config__ = {"extra": "forbid", "strict": True}

    node: int = field(metadata={"ge": 2})
    predecessor: int = field(metadata={"ge": 0})
    operations: tuple[str, ...]
