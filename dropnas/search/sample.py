"""The sample stage: random search, the simplest baseline (Li and Talwalkar, 2019).

Design choices: a random architecture has the same form as a derived one. Each node gets two different predecessors, and
each edge gets an operation other than zero. All are drawn uniformly; several operations of the same name (3-skip) are
drawn separately, as in the search. As many architectures are drawn as a search method has seeds. The stage trains
nothing, so the module does not import torch.
"""

import random
from collections.abc import Sequence
from pathlib import Path

from dropnas.artifacts.genotype_file import Edge
from dropnas.search.config import SampleConfig
from dropnas.space.genotype import EDGES_PER_NODE, Genotype
from dropnas.space.names import INPUTS, ZERO
from dropnas.space.spaces import NODES, SearchSpace, find_space
from dropnas.workspace import Workspace


def run(config: SampleConfig, inputs: Sequence[Path], out: Path, workspace: Workspace) -> dict[str, float]:
    """Draw an architecture at random and write its genotype.json.

    Raises:
        DropnasError: the space is unknown.
    """
    drawn = draw(find_space(config.space), random.Random(config.seed))
    drawn.write(out)
    return {}


def draw(space: SearchSpace, generator: random.Random) -> Genotype:
    """Draw a genotype of the space, uniformly over predecessors and operations."""
    normal, reduce = (_draw_cell(space, generator) for _ in range(2))
    return Genotype.of_cells(normal, reduce)


def _draw_cell(space: SearchSpace, generator: random.Random) -> tuple[Edge, ...]:
    operations = [name for name in space.operations if name != ZERO]
    return tuple(
        (generator.choice(operations), predecessor)
        for node in range(INPUTS, INPUTS + NODES)
        for predecessor in sorted(generator.sample(range(node), EDGES_PER_NODE))
    )
