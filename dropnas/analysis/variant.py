"""The variant stage: a genotype with a different operation on one edge of its normal cell (Section 5.5, Figure 5).

Design choices: the genotype may lack the edge, because a node keeps only two of its edges. In that case, the variant
replaces the weaker of these two, which is listed second. The seven variants of Figure 5 all replace the same edge, so
they differ only in the operation on it.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from dropnas.analysis.config import VariantConfig
from dropnas.artifacts.variant_file import VariantFile
from dropnas.errors import DropnasError
from dropnas.space.genotype import EDGES_PER_NODE, Genotype
from dropnas.space.names import INPUTS
from dropnas.workspace import Workspace


def run(config: VariantConfig, inputs: Sequence[Path], out: Path, workspace: Workspace) -> dict[str, float]:
    """Write the variant's genotype.json, and variant.json, which records whether the genotype had the edge before.

    Raises a DropnasError if the input has no genotype, or its normal cell has no such node.
    """
    genotype = Genotype.read(inputs[0])
    made, was_there = with_operation(genotype, config.node, config.predecessor, config.operation)
    made.write(out)
    VariantFile(inputs[0].name, was_there).write(out)
    return {}


def with_operation(genotype: Genotype, node: int, predecessor: int, operation: str) -> tuple[Genotype, bool]:
    """Put `operation` on the edge (predecessor, node) of the normal cell.

    Returns:
        the new genotype, and whether the original one had the edge.

    Raises a DropnasError if the normal cell has no such node, or the predecessor does not come before it.
    """
    first = EDGES_PER_NODE * (node - INPUTS)
    if not 0 <= first < len(genotype.normal):
        raise DropnasError(f"the normal cell has no node {node}", where="variant", remedy="nodes count from 2")
    edges = list(genotype.normal)
    matches = [index for index in range(first, first + EDGES_PER_NODE) if edges[index][1] == predecessor]
    index = matches[0] if matches else first + EDGES_PER_NODE - 1
    edges[index] = (operation, predecessor)
    return replace(genotype, normal=tuple(edges)), bool(matches)
