"""Which operations of an edge do alike, by inner products of their features (Figures 1 and 4, Sections 2.2 and 5.2).

Design choices: coordinates come from the inner products of the features and keep all distances, so that K-means, PCA
and silhouette are those of the full features. PCA leaves the sign of an axis open; here the point farthest out on it is
positive.
"""

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA

from dropnas.errors import DropnasError

STARTS = 10  # of K-means
AXES = 2
DIGITS = 9  # to which points are distinguished: equal operations differ by rounding
Gram = NDArray[np.float64]
Points = NDArray[np.float64]


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


def plane(points: Points) -> tuple[Points, tuple[float, float]]:
    """The points on the two axes of greatest variance (PCA), and what share of the variance each axis explains."""
    pca = PCA(AXES, svd_solver="full")
    flat: Points = pca.fit_transform(points)
    farthest = flat[np.abs(flat).argmax(axis=0), range(AXES)]
    first, second = pca.explained_variance_ratio_.tolist()
    return flat * np.where(farthest < 0, -1, 1), (first, second)


def distinct_points(gram: Gram, where: str) -> Points:
    """The coordinates of features that can be clustered.

    Raises:
        DropnasError: features that are not finite or all alike.
    """
    if not np.isfinite(gram).all():
        raise DropnasError("features are not finite", where=where, remedy="the search went astray; see its metrics.csv")
    points = coordinates(gram)
    if np.square(points).max() <= 10.0**-DIGITS * gram.trace():
        raise DropnasError("all operations give the same features", where=where)
    return points
