"""The configurations of the diagnostics behind Figures 1, 4 and 5. No torch here: the plan reads it."""

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class ClustersConfig:
    """Feature clusters of the operations on one edge (Figures 1 and 4).

    Attributes:
        node, predecessor: the edge; the paper's is E(0,2), from state 0 to node 2.
        images: how many random training images are fed through the trained supernet.
        features: what is clustered: the feature maps of all images end to end, or their means over the images.
        clusters: K of K-means.
        seed: of the choice of images and of K-means. Set by `seeds`.
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
    """The genotype of another run with another operation on one edge of its normal cell (Figure 5).

    Attributes:
        node, predecessor: the edge.
        operation: what stands there.
    """

    __pydantic_config__ = {"extra": "forbid", "strict": True}

    node: int = field(metadata={"ge": 2})
    predecessor: int = field(metadata={"ge": 0})
    operation: str


@dataclass(frozen=True)
class CorrelationConfig:
    """Stand-alone accuracy against p of the operations on one edge of the normal cell (Figure 5).

    The inputs are the select run, then the search behind each of its candidates in their order, then a retraining for
    each operation in the order of `operations`.

    Attributes:
        node, predecessor: the edge.
        operations: all operations of the space but zero.
    """

    __pydantic_config__ = {"extra": "forbid", "strict": True}

    node: int = field(metadata={"ge": 2})
    predecessor: int = field(metadata={"ge": 0})
    operations: tuple[str, ...]
