"""The clusters stage: which operations of an edge do alike (Figures 1 and 4, Sections 2.2 and 5.2).

Design choices: coordinates come from the inner products of the features and keep all distances, so that K-means, PCA
and silhouette are those of the full features. Beside the picture stand two numbers that the paper lacks: the
silhouette of each operation within its group, O_p or O_np, and which operations are alone in a cluster. PCA leaves the
sign of an axis open; here the point farthest out on it is positive.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import silhouette_samples

from dropnas.analysis.config import ClustersConfig
from dropnas.search.features import Gram, TrainedSupernet, choose_images, grams, load_supernet
from dropnas.analysis.naming import numbered
from dropnas.data import arrays
from dropnas.errors import DropnasError
from dropnas.search.supernet import REDUCE
from dropnas.space.spaces import edges
from dropnas.training import determinism, precision
from dropnas.training.metrics import write_json
from dropnas.workspace import Workspace

STARTS = 10  # of K-means
AXES = 2
DIGITS = 9  # to which points are told apart: equal operations differ by rounding
FEWEST = 3  # operations: fewer have no silhouette
Points = NDArray[np.float64]


def run(config: ClustersConfig, inputs: Sequence[Path], out: Path, workspace: Workspace) -> dict[str, float]:
    """Cluster the operations of an edge in the first and the last cell of a search's supernet.

    Args:
        config: the edge, the number of images and of clusters, the seed.
        inputs: the prepared dataset and the published search.
        out: gets clusters.json.
        workspace: the device.

    Raises:
        DropnasError: the search is damaged; no such edge; a space with fewer than three operations but zero or with
            nothing but zero in a group; features that are not finite or all alike.
    """
    determinism.apply(config.seed, workspace.device, workspace.threads)
    precision.apply("fp32")
    images = arrays.load(inputs[0], "train", device=workspace.device)
    supernet = load_supernet(inputs[1], images.classes, workspace.device)
    _require_groups(supernet, inputs[1])
    last = len(supernet.network.kinds) - 1
    chosen = choose_images(len(images), config.images, config.seed)
    found = grams(supernet, images, chosen, (0, last), _edge(config))
    cells = {place: _cell(config, supernet, cell, found[cell]) for place, cell in (("first", 0), ("last", last))}
    content = {"edge": [config.predecessor, config.node], "images": len(chosen), "cells": cells}
    write_json(out / "clusters.json", content)
    return {}


def coordinates(gram: Gram) -> Points:
    """Points with the distances that a matrix of inner products stands for, their mean at the origin.

    Args:
        gram: (n, n).

    Returns:
        (n, n - 1), the directions by falling variance.
    """
    centring = np.eye(len(gram)) - 1 / len(gram)
    values, vectors = np.linalg.eigh(centring @ gram @ centring)
    scaled = vectors * np.sqrt(np.clip(values, 0, None))  # rounding leaves the zero among them a little below
    falling: Points = scaled[:, :0:-1]  # without the first, the zero
    return falling


def clusters(points: Points, count: int, seed: int) -> list[int]:
    """The cluster of each point by K-means; clusters are numbered as they first appear."""
    distinct = np.unique((points / np.abs(points).max()).round(DIGITS), axis=0)
    count = min(count, len(distinct))
    found = KMeans(count, n_init=STARTS, random_state=seed).fit_predict(points)
    number = {label: index for index, label in enumerate(dict.fromkeys(found.tolist()))}
    return [number[label] for label in found.tolist()]


def plane(points: Points) -> tuple[Points, list[float]]:
    """The points on the two axes of greatest variance (PCA), and what share of the variance each axis explains."""
    pca = PCA(AXES, svd_solver="full")
    flat: Points = pca.fit_transform(points)
    farthest = flat[np.abs(flat).argmax(axis=0), range(AXES)]
    return flat * np.where(farthest < 0, -1, 1), pca.explained_variance_ratio_.tolist()


def _cell(config: ClustersConfig, supernet: TrainedSupernet, cell: int, gram: Gram) -> dict[str, Any]:
    """What clusters.json holds of one cell."""
    kept = supernet.operations()
    every = numbered(supernet.space.operations)
    names = [every[index] for index in kept]
    parameterised = [index in supernet.space.groups[0] for index in kept]
    points = _points(gram, f"cell {cell}")
    flat, explained = plane(points)
    labels = clusters(points, config.clusters, config.seed)
    sizes = Counter(labels)
    return {
        "cell": cell,
        "kind": "reduction" if supernet.network.kinds[cell] == REDUCE else "normal",
        "operations": names,
        "parameterised": [name for name, inside in zip(names, parameterised, strict=True) if inside],
        "points": flat.tolist(),
        "labels": labels,
        "explained": explained,
        "silhouette": dict(zip(names, silhouette_samples(points, parameterised).tolist(), strict=True)),
        "single_member": [name for name, label in zip(names, labels, strict=True) if sizes[label] == 1],
    }


def _points(gram: Gram, where: str) -> Points:
    if not np.isfinite(gram).all():
        raise DropnasError("features are not finite", where=where, remedy="the search went astray; see its metrics.csv")
    points = coordinates(gram)
    if np.square(points).max() <= 10.0**-DIGITS * gram.trace():
        raise DropnasError("all operations give the same features", where=where)
    return points


def _edge(config: ClustersConfig) -> int:
    edge = (config.node, config.predecessor)
    if edge not in edges():
        raise DropnasError(f"no edge from {config.predecessor} to node {config.node}", remedy="nodes count from 2 to 5")
    return edges().index(edge)


def _require_groups(supernet: TrainedSupernet, where: Path) -> None:
    kept = supernet.operations()
    sizes = [len(set(group) & set(kept)) for group in supernet.space.groups]
    if min(sizes) < 1 or sum(sizes) < FEWEST:
        raise DropnasError(
            "its space has too few operations to cluster",
            where=where,
            remedy="three beside zero are needed, and one in each group",
        )
