"""A genotype: the two cells that a search finds. All genotypes are stored in this one format.

Design choices: the constructor checks everything, so every Genotype object is valid. A genotype is JSON with a fixed
schema, and nothing in it is ever evaluated. The numbering is that of DARTS: state 0 is the output of the cell before
the previous one, state 1 is the output of the previous cell, nodes start at 2, and each node has two consecutive edges.
The number of nodes is not fixed because NASNet-A has five. The module does not import torch.
"""

from dataclasses import dataclass

from dropnas.artifacts.genotype_file import Edge, GenotypeFile
from dropnas.errors import DropnasError
from dropnas.space.names import INPUTS, check_operation

EDGES_PER_NODE = 2
MOST_NODES = 64  # maximum number of nodes in a cell; published cells have up to five


@dataclass(frozen=True)
class Genotype(GenotypeFile):
    """The normal and the reduction cell (Section 2.1, the derived architecture), with the fields of GenotypeFile.

    Raises:
        DropnasError: an operation is unknown, a predecessor does not come before its node, a node does not have exactly
            two edges, or an output is not a node.
    """

    @classmethod
    def of_cells(cls, normal: tuple[Edge, ...], reduce: tuple[Edge, ...]) -> "Genotype":
        """Make a genotype of two cells that output all of their nodes, as searched cells do (Section 2.1)."""
        return cls(normal, _nodes(normal), reduce, _nodes(reduce))

    def __post_init__(self) -> None:
        _check_cell("normal", self.normal, self.normal_concat)
        _check_cell("reduce", self.reduce, self.reduce_concat)


def _nodes(edges: tuple[Edge, ...]) -> tuple[int, ...]:
    return tuple(range(INPUTS, INPUTS + len(edges) // EDGES_PER_NODE))


def _check_cell(kind: str, edges: tuple[Edge, ...], concat: tuple[int, ...]) -> None:
    where = f"{kind} cell"
    if not edges or len(edges) % EDGES_PER_NODE:
        raise DropnasError(f"{len(edges)} edges", where=where, remedy="each node has exactly two")
    if len(edges) > EDGES_PER_NODE * MOST_NODES:
        raise DropnasError(f"{len(edges)} edges", where=where, remedy=f"a cell has at most {MOST_NODES} nodes")
    for index, (operation, predecessor) in enumerate(edges):
        node = INPUTS + index // EDGES_PER_NODE
        check_operation(operation, where)
        if not 0 <= predecessor < node:
            raise DropnasError(
                f"edge {index} ({operation}) of node {node} comes from {predecessor}, which does not come before it",
                where=where,
                remedy=f"a predecessor of node {node} is 0 to {node - 1}",
            )
    end = INPUTS + len(edges) // EDGES_PER_NODE
    if not concat or len(set(concat)) < len(concat) or not all(INPUTS <= node < end for node in concat):
        raise DropnasError(
            f"output {list(concat)} is not made of the cell's nodes",
            where=f"{kind}_concat",
            remedy=f"name some of the nodes {INPUTS} to {end - 1}, each once",
        )
