"""The clusters stage groups similar operations on an edge of a trained supernet (Figures 1 and 4, Section 5.2).

In addition to what the paper shows, the stage reports the silhouette of each operation within its group, O_p or O_np,
and the operations that form a cluster of their own.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from sklearn.metrics import silhouette_samples

from dropnas.analysis.clusters import Gram, clusters, distinct_points, plane
from dropnas.analysis.config import ClustersConfig
from dropnas.analysis.naming import numbered
from dropnas.artifacts.clusters_file import ClustersCell, ClustersCells, ClustersFile
from dropnas.data import arrays
from dropnas.errors import DropnasError
from dropnas.search.features import TrainedSupernet, choose_images, grams, load_supernet
from dropnas.search.supernet import REDUCE
from dropnas.space.spaces import edges
from dropnas.training import determinism, precision
from dropnas.workspace import Workspace

FEWEST_OPERATIONS = 3  # smallest number of operations for which silhouettes can be computed


def run(config: ClustersConfig, inputs: Sequence[Path], out: Path, workspace: Workspace) -> dict[str, float]:
    """Cluster the operations of an edge in the first and the last cell of a search's supernet; write clusters.json.

    The inputs are the prepared dataset and the published search.

    Raises:
        DropnasError: the search is damaged; the edge does not exist; the space, without the operation zero, has fewer
            than three operations or an empty group; or the features are not finite or are all equal.
    """
    determinism.apply(config.seed, workspace.device, workspace.threads)
    precision.apply("fp32")
    images = arrays.load(inputs[0], "train", device=workspace.device)
    supernet = load_supernet(inputs[1], images.classes, workspace.device)
    _require_groups(supernet, inputs[1])
    last = len(supernet.network.kinds) - 1
    chosen = choose_images(len(images), config.images, config.seed)
    found = grams(supernet, images, chosen, (0, last), _edge(config), config.features)
    cells = ClustersCells(*(_cell(config, supernet, cell, found[cell]) for cell in (0, last)))
    ClustersFile((config.predecessor, config.node), len(chosen), cells).write(out)
    return {}


def _cell(config: ClustersConfig, supernet: TrainedSupernet, cell: int, gram: Gram) -> ClustersCell:
    """Cluster the operations of one cell, and return the cell's entry for clusters.json."""
    kept = supernet.operations()
    every = numbered(supernet.space.operations)
    names = [every[index] for index in kept]
    parameterised = [index in supernet.space.groups[0] for index in kept]
    points = distinct_points(gram, f"cell {cell}")
    flat, explained = plane(points)
    labels = clusters(points, config.clusters, config.seed)
    sizes = Counter(labels)
    return ClustersCell(
        cell=cell,
        kind="reduction" if supernet.network.kinds[cell] == REDUCE else "normal",
        operations=tuple(names),
        parameterised=tuple(name for name, inside in zip(names, parameterised, strict=True) if inside),
        points=tuple((x, y) for x, y in flat.tolist()),
        labels=tuple(labels),
        explained=explained,
        silhouette=dict(zip(names, silhouette_samples(points, parameterised).tolist(), strict=True)),
        single_member=tuple(name for name, label in zip(names, labels, strict=True) if sizes[label] == 1),
    )


def _edge(config: ClustersConfig) -> int:
    edge = (config.node, config.predecessor)
    if edge not in edges():
        raise DropnasError(f"no edge from {config.predecessor} to node {config.node}", remedy="nodes count from 2 to 5")
    return edges().index(edge)


def _require_groups(supernet: TrainedSupernet, where: Path) -> None:
    kept = supernet.operations()
    sizes = [len(set(group) & set(kept)) for group in supernet.space.groups]
    if min(sizes) < 1 or sum(sizes) < FEWEST_OPERATIONS:
        raise DropnasError(
            "its space has too few operations to cluster",
            where=where,
            remedy="besides zero, three operations are needed, and one in each group",
        )
