"""genotype.json: the two cells that a search finds.

`GenotypeFile` checks only the form; `dropnas.space.genotype.Genotype` checks that the cells are valid.
"""

from dataclasses import dataclass
from typing import ClassVar

from dropnas.artifacts.json_file import JsonFile

Edge = tuple[str, int]


@dataclass(frozen=True)
class GenotypeFile(JsonFile):
    """The normal and the reduction cell."""

    FILE: ClassVar[str] = "genotype.json"

    # normal, reduce: edges (operation, predecessor), two for each node, in the order of the nodes
    normal: tuple[Edge, ...]
    # normal_concat, reduce_concat: the nodes whose outputs are concatenated to form the cell's output
    normal_concat: tuple[int, ...]
    reduce: tuple[Edge, ...]
    reduce_concat: tuple[int, ...]
