"""Draws random architectures as masks, and scores them with the shared weights of a supernet.

Design choices: a mask is bool (2, edges, operations). For each node, it marks two incoming edges and one
operation on each of them. Scoring uses the plain supernet and computes only the operations of the mask. It runs on the
host, between the steps of a search.
"""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from dropnas.artifacts.genotype_file import Edge
from dropnas.search.architecture import Mixture
from dropnas.search.state import SeedRun, Tensors
from dropnas.search.step import batch_of
from dropnas.space.genotype import EDGES_PER_NODE, Genotype
from dropnas.space.names import INPUTS, ZERO
from dropnas.space.spaces import EDGES, NODES, SearchSpace, edges
from dropnas.training.precision import autocast


def draw_architecture(drawable: Sequence[int], operations: int, generator: torch.Generator) -> Tensor:
    """Draw a random architecture: a bool mask (2, edges, operations).

    For both kinds of cells, each node gets two different predecessors, and each of the two edges gets one operation.
    All choices are uniform.

    Args:
        drawable: indices of the operations that can be drawn.
        operations: number of operations of the space.
    """
    drawn, edge_indices = torch.zeros(2, EDGES, operations, dtype=torch.bool), {e: i for i, e in enumerate(edges())}
    for kind in drawn:
        for node in range(INPUTS, INPUTS + NODES):
            predecessors = torch.randperm(node, generator=generator)[:EDGES_PER_NODE].tolist()
            choices = torch.randint(len(drawable), (EDGES_PER_NODE,), generator=generator).tolist()
            for predecessor, choice in zip(predecessors, choices, strict=True):
                kind[edge_indices[node, predecessor], drawable[choice]] = True
    return drawn


def genotype_of(space: SearchSpace, architecture: Tensor) -> Genotype:
    """Convert a mask to a genotype; the two edges of a node are in the order of their predecessors."""
    normal, reduce = (_cell(space, kind) for kind in architecture.tolist())
    return Genotype.of_cells(normal, reduce)


def _cell(space: SearchSpace, rows: Sequence[Sequence[bool]]) -> tuple[Edge, ...]:
    chosen = [(row, predecessor) for row, (_, predecessor) in zip(rows, edges(), strict=True) if any(row)]
    return tuple((space.operations[row.index(True)], predecessor) for row, predecessor in chosen)


@torch.no_grad()
def error_of(run: SeedRun, architecture: Tensor, drawn: Iterable[Tensors]) -> float:
    """Return the fraction of images that the shared weights misclassify; batch norms use their running statistics.

    Args:
        drawn: for each batch, the tensors `order`, `corners` and `flips` that `batch_of` expects, for one seed and on
            the CPU.
    """
    device, mixtures = run.alphas.normal.device, _mixtures(run, architecture)
    wrong, images = 0, 0
    run.supernet.eval()
    for batch in drawn:
        on_device = {name: values[None].to(device) for name, values in batch.items()}
        inputs, labels = batch_of(run.images, run.config, on_device)
        with autocast(run.config.precision, device.type):
            logits = run.supernet(inputs[0], mixtures)
        wrong += int((logits.argmax(dim=1) != labels[0]).sum())
        images += labels.numel()
    run.supernet.train()
    return wrong / images


def _mixtures(run: SeedRun, architecture: Tensor) -> list[Mixture]:
    """Give drawn operations weight 1. Any other edge gets one operation with weight 0: zero, if the space has it."""
    one, names = run.alphas.normal.new_ones(()), run.space.operations
    spare = [(names.index(ZERO) if ZERO in names else 0, 0 * one)]
    kinds = [[[(row.index(True), one)] if any(row) else spare for row in kind] for kind in architecture.tolist()]
    return [kinds[kind] for kind in run.supernet.kinds]
