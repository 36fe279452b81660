"""The data stage as a whole."""

import hashlib
import json
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dropnas.artifacts.dataset_file import Dataset
from dropnas.data import cifar, digits, prepare
from dropnas.data.config import DatasetConfig
from dropnas.data.sources import source_checksum
from dropnas.data.splits import Labelled
from dropnas.errors import DropnasError
from dropnas.workspace import Workspace
from tests.unit.data.small_sources import image_files, noise, write_folder, write_tar

Make = Callable[[DatasetConfig], Path]


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.mark.parametrize(
    ("name", "classes", "width", "train", "test"),
    [("digits", 10, 8, 1400, 340), ("digit-pairs", 100, 16, 6000, 2000)],
)
def test_digits_are_prepared_the_same_every_time(
    make: Make, name: str, classes: int, width: int, train: int, test: int
) -> None:
    out = make(DatasetConfig(name, "bundled"))
    images = np.load(out / "train_images.npy")
    assert images.shape == (train, 8, width, 1) and images.dtype == np.uint8
    assert np.load(out / "test_labels.npy").shape == (test,)
    dataset = Dataset.read(out)
    assert (dataset.classes, dataset.channels, dataset.height, dataset.width, dataset.train, dataset.test) == (
        classes,
        1,
        8,
        width,
        train,
        test,
    )
    scaled = images.astype(np.float64) / 255
    assert np.allclose(dataset.mean, [scaled.mean()] * 3) and np.allclose(dataset.std, [scaled.std()] * 3)
    assert bytes_of(out) == bytes_of(make(DatasetConfig(name, "bundled")))


def test_limits_take_the_first(make: Make) -> None:
    out = make(DatasetConfig("digits", "bundled", train_images=130, test_images=20))
    whole = digits.digits()
    assert np.array_equal(np.load(out / "train_images.npy"), whole.train.images[:130])
    assert np.array_equal(np.load(out / "test_labels.npy"), whole.test.labels[:20])
    large = make(DatasetConfig("digits-224", "bundled", train_images=20, test_images=10))
    assert np.load(large / "train_images.npy").shape == (20, 224, 224, 1)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (DatasetConfig("cifar11", "torchvision"), "unknown dataset 'cifar11'; known: cifar10"),
        (DatasetConfig("digits", "parquet"), "'digits' has no source 'parquet'; its sources: bundled"),
        (DatasetConfig("digits", "bundled", checksum="0" * 64), "has no checksum"),
        (DatasetConfig("digits", "bundled", train_images=1401), "digits: train: has 1400 images, but 1401 are needed"),
        (
            DatasetConfig("digits-224", "bundled", train_images=10, test_images=341),
            "digits-224: test: has 340 images, but 341 are needed",
        ),
        (DatasetConfig("cifar10", "parquet"), "needs a `path`"),
        (DatasetConfig("cifar10", "parquet", path="nowhere"), "no such file or folder; set `path`"),
        (DatasetConfig("cifar10", "torchvision", path="nowhere"), "nowhere: found neither cifar-10-python.tar.gz nor"),
        (DatasetConfig("imagenet", "images", path="nowhere"), "no such file or folder"),
    ],
)
def test_bad_configurations_are_one_line(make: Make, config: DatasetConfig, message: str) -> None:
    with pytest.raises(DropnasError, match=message) as caught:
        make(config)
    assert "\n" not in str(caught.value)


def test_declared_checksum_is_checked(make: Make, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "in", image_files())
    make(DatasetConfig("imagenet", "images", source_checksum(folder), path=str(folder)))
    (folder / "train/n01/extra.txt").write_text("")
    with pytest.raises(DropnasError, match="is declared"):
        make(DatasetConfig("imagenet", "images", source_checksum(folder)[::-1], path=str(folder)))


def test_imagenet_becomes_a_manifest(make: Make, tmp_path: Path) -> None:
    tar = write_tar(tmp_path / "in.tar", image_files())
    out = make(DatasetConfig("imagenet", "images", test_images=2, path=str(tar)))
    assert sorted(bytes_of(out)) == ["dataset.json", "test_manifest.npy", "train_manifest.npy"]
    dataset = Dataset.read(out)
    assert (dataset.kind, dataset.classes, dataset.train, dataset.test) == ("files", 2, 5, 2)
    assert dataset.location == str(tar) and not dataset.test_is_train


def test_location_of_the_workspace_comes_first(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "in", image_files())
    workspace = Workspace(tmp_path / "scratch", "test", location=str(folder))
    (tmp_path / "out").mkdir()
    prepare.run(DatasetConfig("imagenet", "images", path="nowhere"), [], tmp_path / "out", workspace)
    assert Dataset.read(tmp_path / "out").location == str(folder)


@pytest.mark.parametrize("label", [-1, 10])
def test_labels_outside_the_classes_are_refused(make: Make, monkeypatch: pytest.MonkeyPatch, label: int) -> None:
    arrays = digits.digits()
    arrays.test.labels[7] = label
    monkeypatch.setattr(digits, "digits", lambda *_: arrays)
    with pytest.raises(DropnasError, match=rf"digits: test: label {label} of image 7 is outside 0\.\.9"):
        make(DatasetConfig("digits", "bundled"))


def test_statistics_are_those_of_numpy() -> None:
    images = np.stack([noise(seed, 9, 7) // (1 + seed % 3) for seed in range(1200)])
    images[..., 1] //= 2
    mean, std = prepare.statistics(Labelled(images, np.zeros(1200, dtype=np.int64)), "here")
    scaled = images.astype(np.float64) / 255
    assert np.allclose(mean, scaled.mean(axis=(0, 1, 2)), rtol=1e-12)
    assert np.allclose(std, scaled.std(axis=(0, 1, 2)), rtol=1e-12)


def test_constant_images_are_refused() -> None:
    with pytest.raises(DropnasError, match="constant"):
        prepare.statistics(Labelled(np.ones((4, 2, 2, 1), dtype=np.uint8), np.zeros(4, dtype=np.int64)), "here")


def test_description_is_checked_field_by_field(make: Make) -> None:
    out = make(DatasetConfig("digits", "bundled", train_images=10, test_images=10))
    good = json.loads((out / "dataset.json").read_text())
    for change in (
        {"classes": "10"},
        {"classes": True},
        {"mean": [0.1]},
        {"std": [0.0, 0.0, 0.0]},
        {"kind": "tar"},
        {"extra": 1},
        {"train": -1},
    ):
        (out / "dataset.json").write_text(json.dumps({**good, **change}))
        with pytest.raises(DropnasError, match=r"dataset\.json: (the file|classes|mean|kind|extra)"):
            Dataset.read(out)
    for text in ("", "[1]", '{"name": "digits"}'):
        (out / "dataset.json").write_text(text)
        with pytest.raises(DropnasError, match=r"dataset.json"):
            Dataset.read(out)
    (out / "dataset.json").unlink()
    with pytest.raises(DropnasError, match="no such file"):
        Dataset.read(out)


def test_real_cifar(make: Make, shared_data: Path) -> None:
    config = DatasetConfig("cifar10", "parquet", train_images=500, test_images=200, path=str(shared_data / "cifar10"))
    out = make(config)
    images, labels = np.load(out / "train_images.npy"), np.load(out / "train_labels.npy")
    assert images.shape == (500, 32, 32, 3) and np.bincount(labels).tolist() == [50] * 10
    assert np.allclose(Dataset.read(out).mean, (0.4914, 0.4822, 0.4465), atol=0.02)  # those of all of CIFAR-10
    assert "location" not in json.loads((out / "dataset.json").read_text())


def test_local_archive_of_cifar(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = np.stack([noise(seed, 32, 96).reshape(-1)[:3072] for seed in range(6)])
    batches = {"train": (data[:4], [99, 0, 5, 7]), "test": (data[4:], [1, 100])}
    files = {
        f"cifar-100-python/{name}": pickle.dumps({"data": images, "fine_labels": labels}, protocol=4)
        for name, (images, labels) in batches.items()
    }
    path = write_tar(tmp_path / "cifar-100-python.tar.gz", files, "w:gz")
    md5 = hashlib.md5(path.read_bytes()).hexdigest()
    config = DatasetConfig("cifar100", "torchvision", train_images=3, path=str(path.parent))
    with pytest.raises(DropnasError, match="the file is incomplete or a different one"):
        make(config)
    monkeypatch.setattr(cifar, "CIFAR100_ARCHIVE", replace(cifar.CIFAR100_ARCHIVE, md5=md5))
    with pytest.raises(DropnasError, match=r"cifar100: test: label 100 of image 1 is outside 0\.\.99"):
        make(config)
