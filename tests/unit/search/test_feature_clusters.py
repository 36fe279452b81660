"""The clusters stage, compared with features held in memory and scikit-learn; unusual spaces and damage."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays as matrices
from safetensors.torch import save_file
from scipy.spatial.distance import pdist
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import silhouette_samples

from dropnas.analysis.clusters import clusters, coordinates, plane
from dropnas.analysis.config import ClustersConfig
from dropnas.artifacts.receipt_file import ReceiptFile
from dropnas.errors import DropnasError
from dropnas.search import features
from dropnas.search.feature_clusters import run
from dropnas.search.supernet import Supernet
from dropnas.space.names import ZERO
from dropnas.space.spaces import SearchSpace, edges, find_space
from dropnas.workspace import Workspace

IMAGES, CLASSES, CHANNELS = 23, 4, 3
POOR = SearchSpace("poor", ("sep_conv_3x3",), ("skip_connect", "none"))
Make = Callable[..., Path]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dataset")
    draws = np.random.default_rng(0)
    for split, count in (("train", IMAGES), ("test", 4)):
        np.save(folder / f"{split}_images.npy", draws.integers(0, 256, (count, 8, 8, 3), dtype=np.uint8))
        np.save(folder / f"{split}_labels.npy", np.arange(count, dtype=np.int64) % CLASSES)
    content = {"name": "noise", "kind": "arrays", "classes": CLASSES, "channels": 3, "height": 8, "width": 8}
    content |= {"mean": [0.5] * 3, "std": [0.3] * 3, "train": IMAGES, "test": 4}
    (folder / "dataset.json").write_text(json.dumps(content))
    return folder


@pytest.fixture
def search(tmp_path: Path) -> Make:
    """Write the files of a search that the stage reads, with made-up weights, batch-norm statistics and alphas."""

    def make(space: str = "original", cells: int = 3) -> Path:
        folder = tmp_path / f"search-{cells}"
        folder.mkdir()
        config = {"space": space, "cells": cells, "channels": CHANNELS, "seed": 0}
        ReceiptFile("search", "CPU", 1.0, (), config).write(folder)
        operations = find_space(space).operations
        draws = np.random.default_rng(1)
        alphas = {kind: draws.normal(size=(14, len(operations))).tolist() for kind in ("normal", "reduce")}
        (folder / "alphas.json").write_text(json.dumps({"operations": operations, **alphas}))
        save_file(state(find_space(space), cells), folder / "supernet.safetensors")
        return folder

    return make


def state(space: SearchSpace, cells: int) -> dict[str, torch.Tensor]:
    made = torch.Generator().manual_seed(5)
    return {
        name: torch.rand(value.shape, generator=made) + 0.5
        if "running_var" in name
        else torch.randn(value.shape, generator=made) / 3
        if value.is_floating_point()
        else value
        for name, value in Supernet(space, CHANNELS, cells, CLASSES).state_dict().items()
    }


def found(config: ClustersConfig, dataset: Path, search: Path, out: Path) -> dict[str, Any]:
    out.mkdir()
    run(config, [dataset, search], out, Workspace(out, "identity"))
    content: dict[str, Any] = json.loads((out / "clusters.json").read_text())
    return content


@torch.no_grad()
def all_features(dataset: Path, search: Path, cells: int, wanted: int, edge: int) -> np.ndarray:
    """The features of all images, computed by hand: (operations except zero, images * C * H * W)."""
    space = find_space("original")
    network = Supernet(space, CHANNELS, cells, CLASSES)
    network.load_state_dict(state(space, cells))
    network.eval()
    alphas = json.loads((search / "alphas.json").read_text())
    pixels = torch.from_numpy(np.load(dataset / "train_images.npy")).permute(0, 3, 1, 2).float()
    before = last = network.stem((pixels / 255 - 0.5) / 0.3)
    for index, cell in enumerate(network.cells):
        p = torch.tensor(alphas["reduce" if network.kinds[index] else "normal"]).softmax(dim=-1)
        states = [cell.preprocess0(before), cell.preprocess1(last)]
        row = 0
        for node in range(2, 6):
            total: Any = 0
            for predecessor in range(node):
                outputs = [operation(states[predecessor]) for operation in cell.edges[row]]
                total = total + sum(weight * output for weight, output in zip(p[row], outputs, strict=True))
                if index == wanted and row == edge:
                    kept = [o for o, name in zip(outputs, space.operations, strict=True) if name != ZERO]
                    return torch.stack(kept).flatten(1).double().numpy()
                row += 1
            states.append(total)
        before, last = last, torch.cat(states[2:], dim=1)
    raise AssertionError("no such cell")


@pytest.mark.parametrize("edge", [(2, 0), (5, 4)])
def test_clusters_are_those_of_the_full_features(
    dataset: Path, search: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, edge: tuple[int, int]
) -> None:
    monkeypatch.setattr(features, "IMAGES_AT_ONCE", 5)  # several batches, the last of three images
    folder = search()
    content = found(ClustersConfig(node=edge[0], predecessor=edge[1]), dataset, folder, tmp_path / "out")
    assert content["edge"] == [edge[1], edge[0]] and content["images"] == IMAGES  # fewer than the requested 1,000
    for place, cell in (("first", 0), ("last", 2)):
        points = all_features(dataset, folder, 3, cell, edges().index(edge))
        ours = content["cells"][place]
        assert ours["cell"] == cell and ours["kind"] == ("reduction" if cell else "normal")
        labels = KMeans(3, n_init=10, random_state=0).fit_predict(points)
        assert same_partition(ours["labels"], labels.tolist())
        pca = PCA(2).fit(points)
        assert np.allclose(ours["explained"], pca.explained_variance_ratio_, rtol=1e-4)
        assert np.allclose(np.abs(ours["points"]), np.abs(pca.transform(points)), rtol=1e-3, atol=1e-3)
        silhouettes = silhouette_samples(points, [0, 0, 0, 0, 1, 1, 1])
        assert np.allclose(list(map(ours["silhouette"].get, ours["operations"])), silhouettes, atol=1e-4)
        alone = [o for o, label in zip(ours["operations"], labels, strict=True) if (labels == label).sum() == 1]
        assert ours["single_member"] == alone


def test_means_over_the_images(dataset: Path, search: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "IMAGES_AT_ONCE", 5)
    folder = search()
    ours = found(ClustersConfig(features="means"), dataset, folder, tmp_path / "out")["cells"]["last"]
    every = all_features(dataset, folder, 3, 2, edges().index((2, 0)))
    means = every.reshape(len(every), IMAGES, -1).mean(axis=1)
    assert np.allclose(np.abs(ours["points"]), np.abs(PCA(2).fit_transform(means)), rtol=1e-3, atol=1e-4)


def test_means_of_normalised_maps_cannot_reach_the_axes_of_figure_1(dataset: Path, search: Make) -> None:
    """Normalised over the images, the mean map of C channels and H x W pixels is at most (C H W)^(1/2) long: 128 in
    the first cell of the paper's supernet, whose printed axes reach 800. End to end it is N^(1/2) times as long."""
    draws = torch.randn(100, 16, 32, 32, generator=torch.Generator().manual_seed(0)) * 3 + 1
    normalised = torch.nn.BatchNorm2d(16, affine=False)(draws)
    assert float(normalised.mean(dim=0).norm()) < (16 * 32 * 32) ** 0.5 == 128
    assert float(normalised.norm()) == pytest.approx(128 * 100**0.5, rel=1e-3)


def same_partition(first: list[int], second: list[int]) -> bool:
    return len(set(zip(first, second, strict=True))) == len(set(first)) == len(set(second))


def test_equal_runs_give_equal_bytes_and_seeds_choose_images(dataset: Path, search: Make, tmp_path: Path) -> None:
    folder, config = search(), ClustersConfig(images=10)
    texts = [found(config, dataset, folder, tmp_path / name) for name in ("a", "b")]
    assert texts[0] == texts[1]
    assert found(ClustersConfig(images=10, seed=1), dataset, folder, tmp_path / "c") != texts[0]


def test_images_are_chosen_without_repetition() -> None:
    chosen = features.choose_images(50, 20, seed=3)
    assert len(set(chosen.tolist())) == 20 and int(chosen.max()) < 50
    assert chosen.tolist() == features.choose_images(50, 20, seed=3).tolist()
    assert chosen.tolist() != features.choose_images(50, 20, seed=4).tolist()


def test_equal_operations_are_numbered_and_lie_on_one_point(dataset: Path, search: Make, tmp_path: Path) -> None:
    cell = found(ClustersConfig(), dataset, search("3-skip"), tmp_path / "out")["cells"]["first"]
    skips = ["skip_connect 1", "skip_connect 2", "skip_connect 3"]
    assert cell["operations"][4:] == skips and set(cell["silhouette"]) == set(cell["operations"])
    points = np.array(cell["points"][4:])
    assert np.allclose(points, points[0], atol=1e-5)
    assert len(set(cell["labels"][4:])) == 1


def test_a_single_skip_connect_and_a_single_cell(dataset: Path, search: Make, tmp_path: Path) -> None:
    content = found(ClustersConfig(), dataset, search("1-skip", cells=1), tmp_path / "out")
    assert content["cells"]["first"] == content["cells"]["last"]
    assert content["cells"]["first"]["silhouette"]["skip_connect"] == 0  # by definition, for a group of one


def test_a_space_of_too_few_operations_is_refused(dataset: Path, search: Make, tmp_path: Path) -> None:
    with pytest.raises(DropnasError, match="too few operations"):
        found(ClustersConfig(), dataset, search(f"{__name__}:POOR"), tmp_path / "out")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("run.json", "{}", "stage: field required"),
        ("run.json", ReceiptFile("search", "CPU", 1.0, (), {"depth": 3}).json(), "not the receipt of a search"),
        ("alphas.json", '{"operations": ["skip_connect"]}', "normal: field required"),
        ("supernet.safetensors", "damaged", "is damaged"),
    ],
)
def test_damage_is_named(dataset: Path, search: Make, tmp_path: Path, name: str, content: str, message: str) -> None:
    folder = search()
    (folder / name).write_text(content)
    with pytest.raises(DropnasError, match=message) as error:
        found(ClustersConfig(), dataset, folder, tmp_path / "out")
    assert name in str(error.value)


def test_weights_of_another_supernet_are_named(dataset: Path, search: Make, tmp_path: Path) -> None:
    folder, other = search(), search(cells=1)
    shutil.copy(other / "supernet.safetensors", folder)
    with pytest.raises(DropnasError, match="does not fit"):
        found(ClustersConfig(), dataset, folder, tmp_path / "out")


def test_features_that_are_not_finite_end_it(dataset: Path, search: Make, tmp_path: Path) -> None:
    folder = search()
    weights = state(find_space("original"), 3)
    weights["stem.0.weight"].fill_(float("nan"))
    save_file(weights, folder / "supernet.safetensors")
    with pytest.raises(DropnasError, match="not finite"):
        found(ClustersConfig(), dataset, folder, tmp_path / "out")


@settings(deadline=None, max_examples=40)
@given(matrices(np.float64, (5, 9), elements=st.floats(-10, 10)))
def test_coordinates_keep_all_distances(points: np.ndarray) -> None:
    assert np.allclose(pdist(coordinates(points @ points.T)), pdist(points), atol=1e-5)


def test_the_sign_of_an_axis_is_fixed() -> None:
    points = np.random.default_rng(2).normal(size=(7, 6))
    flat, _ = plane(points)
    mirrored, _ = plane(-points)
    assert np.allclose(np.abs(flat), np.abs(mirrored))
    for one in (flat, mirrored):
        assert (one[np.abs(one).argmax(axis=0), [0, 1]] > 0).all()


def test_clusters_are_numbered_as_they_appear_and_no_more_than_there_are_points() -> None:
    apart = np.array([[0.0, 0], [9, 0], [0.1, 0], [0, 9], [9, 0.1]])
    assert clusters(apart, 3, seed=0) == [0, 1, 0, 2, 1]
    assert clusters(apart[[0, 0, 1]], 3, seed=0) == [0, 0, 1]
