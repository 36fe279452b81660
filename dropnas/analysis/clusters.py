"""Clusters the operations of an edge by the inner products of their features (Figures 1, 4; Sections 2.2, 5.2).

Design choices: the coordinates are computed from the inner products and preserve all distances. K-means, PCA and
silhouette therefore give the same results as on the full features. PCA does not fix the sign of an axis, so the sign is
chosen to make the coordinate of the farthest point positive.
"""

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA

from dropnas.errors import DropnasError

STARTS = 10  # restarts of K-means
AXES = 2
DIGITS = 9  # points that agree to this many decimals are treated as equal, because of rounding errors
Gram = NDArray[np.float64]
Points = NDArray[np.float64]


def coordinates(gram: Gram) -> Points:
    """Compute points whose distances match a matrix of inner products, with their mean at the origin.

    Args:
        gram: inner products, shape (n, n).

    Returns:
        The coordinates, shape (n, n - 1), with the columns in order of decreasing variance.
    """
    centring = np.eye(len(gram)) - 1 / len(gram)
    values, vectors = np.linalg.eigh(centring @ gram @ centring)
    scaled = vectors * np.sqrt(np.clip(values, 0, None))  # rounding may make the zero eigenvalue negative
    falling: Points = scaled[:, :0:-1]  # without the first eigenvalue, which is zero
    return falling


def clusters(points: Points, count: int, seed: int) -> list[int]:
    """Assign each point to a cluster by K-means; clusters are numbered in the order of their first points."""
    distinct = np.unique((points / np.abs(points).max()).round(DIGITS), axis=0)
    count = min(count, len(distinct))
    found = KMeans(count, n_init=STARTS, random_state=seed).fit_predict(points)
    number = {label: index for index, label in enumerate(dict.fromkeys(found.tolist()))}
    return [number[label] for label in found.tolist()]


def plane(points: Points) -> tuple[Points, tuple[float, float]]:
    """Project the points onto the two axes of greatest variance (PCA), and give each axis's share of the variance."""
    pca = PCA(AXES, svd_solver="full")
    flat: Points = pca.fit_transform(points)
    farthest = flat[np.abs(flat).argmax(axis=0), range(AXES)]
    first, second = pca.explained_variance_ratio_.tolist()
    return flat * np.where(farthest < 0, -1, 1), (first, second)


def distinct_points(gram: Gram, where: str) -> Points:
    """Compute the coordinates of the features, and check that they can be clustered.

    Raises a DropnasError if the features are not finite, or all equal.
    """
    if not np.isfinite(gram).all():
        raise DropnasError("features are not finite", where=where, remedy="the search diverged; see its metrics.csv")
    points = coordinates(gram)
    if np.square(points).max() <= 10.0**-DIGITS * gram.trace():
        raise DropnasError("all operations give the same features", where=where)
    return points
