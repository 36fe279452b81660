"""Other layouts of data: ImageNet as it is distributed, the folder that torchvision unpacks, another server."""

import functools
import hashlib
import io
import pickle
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from dropnas.data import cifar
from dropnas.data.config import DatasetConfig
from dropnas.data.image_layout import Listing, list_images
from dropnas.errors import DropnasError
from dropnas.workspace import Workspace, silent
from tests.unit.data.small_sources import encode, noise, write_folder, write_tar

CLASSES = ("n01440764", "n02077923", "n03995372")
VALIDATION = ("n03995372", "n01440764", "n02077923", "n01440764")  # classes of the images in the order of their names
IMAGE = encode(noise(0, 8, 8))
NAMES = [f"ILSVRC2012_val_{number:08d}.JPEG" for number in range(1, 5)]
KAGGLE = "LOC_val_solution.csv"
DEVKIT = "ILSVRC2012_devkit_t12/data/"


def solution() -> dict[str, bytes]:
    """Kaggle's list of labels, which is not in the order of the file names."""
    rows = [f"{name[:-5]},{label} 85 1 499 272 {label} 3 4 5 6 " for name, label in zip(NAMES, VALIDATION, strict=True)]
    return {KAGGLE: "\n".join(["ImageId,PredictionString", *reversed(rows)]).encode()}


def meta() -> bytes:
    """The development kit's table as MATLAB wrote it: a row for each class; the numbers do not follow the names."""
    rows = [
        (number, label, "words", "gloss", 0) for number, label in ((3, CLASSES[0]), (1, CLASSES[1]), (2, CLASSES[2]))
    ]
    kind = [("ILSVRC2012_ID", "O"), ("WNID", "O"), ("words", "O"), ("gloss", "O"), ("num_children", "O")]
    stream = io.BytesIO()
    savemat(stream, {"synsets": np.array(rows, dtype=kind).reshape(-1, 1)})
    return stream.getvalue()


def devkit() -> dict[str, bytes]:
    return {DEVKIT + "ILSVRC2012_validation_ground_truth.txt": b"2\n3\n1\n3\n", DEVKIT + "meta.mat": meta()}


def synsets() -> dict[str, bytes]:
    return {"imagenet_2012_validation_synset_labels.txt": "\n".join(VALIDATION).encode()}


def imagenet(labels: dict[str, bytes], prefix: str = "ILSVRC/Data/CLS-LOC/") -> dict[str, bytes]:
    """ImageNet as distributed: classes in train/, none in val/ and test/."""
    train = {f"{prefix}train/{label}/{label}_{number}.JPEG": IMAGE for label in CLASSES for number in (1, 2)}
    val = {f"{prefix}val/{name}": IMAGE for name in NAMES}
    return {**train, **val, f"{prefix}test/ILSVRC2012_test_00000001.JPEG": IMAGE, **labels}


def labelled(listing: Listing) -> dict[str, str]:
    """The class of each test image, by name."""
    return {Path(entry.path).name: listing.classes[number] for entry, number in listing.test}


@pytest.mark.parametrize("labels", [solution, devkit, synsets])
@pytest.mark.parametrize("write", [write_folder, write_tar])
def test_a_flat_val_takes_its_labels_from_a_list(
    tmp_path: Path, labels: Callable[[], dict[str, bytes]], write: Callable[[Path, dict[str, bytes]], Path]
) -> None:
    listing = list_images(write(tmp_path / "source", imagenet(labels())))
    assert labelled(listing) == dict(zip(NAMES, VALIDATION, strict=True))
    assert listing.classes == CLASSES and len(listing.train) == 6 and not listing.test_is_train


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({}, f"val/{NAMES[0]} is not in a class folder, and there is no list of labels; put one of {KAGGLE}"),
        ({KAGGLE: b"ImageId,PredictionString\n"}, f"{KAGGLE} has no label for .*{NAMES[0]}"),
        ({KAGGLE: b"\xff\xfe"}, f"{KAGGLE} is not a list of labels"),
        ({DEVKIT + "ILSVRC2012_validation_ground_truth.txt": b"2\n3\n1\n3\n"}, "needs meta.mat"),
        ({**devkit(), DEVKIT + "meta.mat": b"no MATLAB"}, "is not a list of labels"),
        ({**devkit(), DEVKIT + "ILSVRC2012_validation_ground_truth.txt": b"2\n3\n"}, "2 labels for 4 images"),
        ({**devkit(), DEVKIT + "ILSVRC2012_validation_ground_truth.txt": b"2\n3\n9\n1\n"}, "is not a list of labels"),
        ({"imagenet_2012_validation_synset_labels.txt": b"n1 n2 n3 n4"}, "class n1 of val/ is not in train/"),
    ],
)
def test_labels_that_do_not_fit_are_one_line(tmp_path: Path, labels: dict[str, bytes], message: str) -> None:
    with pytest.raises(DropnasError, match=message):
        list_images(write_folder(tmp_path / "source", imagenet(labels)))


def layout(*names: str) -> dict[str, bytes]:
    return {f"{name}/{label}/a.png": IMAGE for name in names for label in ("cat", "dog")}


@pytest.mark.parametrize(
    ("names", "test"),
    [
        (("train", "validation"), "validation"),
        (("training", "val"), "val"),
        (("train", "test"), "test"),
        (("train", "val", "test"), "val"),
        (("train", "validation", "test", "extra"), "validation"),
    ],
)
def test_other_names_of_the_splits(tmp_path: Path, names: tuple[str, ...], test: str) -> None:
    listing = list_images(write_folder(tmp_path, layout(*names)))
    assert {Path(entry.path).parts[0] for entry, _ in listing.test} == {test}
    assert listing.classes == ("cat", "dog") and len(listing.train) == 2 and not listing.test_is_train


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (layout("train", "val", "validation"), "has both val and validation"),
        (layout("validation"), "has only one of train/ and val/"),
        (layout("test"), "has test/, but no train/"),
        (layout("test", "validation"), "has only one of train/ and val/"),
        ({"validation/a.png": IMAGE, "test/a.png": IMAGE}, "is not in a class folder"),
        ({"test/a.png": IMAGE, "cat/a.png": IMAGE}, "test/a.png is not in a class folder"),
        ({**layout("train"), "test/1.png": IMAGE}, "has only one of train/ and val/"),
    ],
)
def test_splits_are_never_taken_for_classes(tmp_path: Path, files: dict[str, bytes], message: str) -> None:
    with pytest.raises(DropnasError, match=message):
        list_images(write_folder(tmp_path, files))


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    files = {f"{split}/{label}/a.png": IMAGE for split in ("train", "val") for label in ("bus", "train")}
    assert list_images(write_folder(tmp_path, files)).classes == ("bus", "train")


def batch(number: int) -> bytes:
    data = np.random.default_rng(number).integers(0, 256, (4, 3072), dtype=np.uint8)
    return pickle.dumps({"data": data, "labels": [0, 1, 2, 3]}, protocol=4)


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> cifar.CifarArchive:
    """A small CIFAR-10: an archive in `server/`, and its unpacked folder, as torchvision makes it, in `unpacked/`."""
    files = {
        name: batch(number) for number, name in enumerate([*cifar.CIFAR10_ARCHIVE.train, *cifar.CIFAR10_ARCHIVE.test])
    }
    write_folder(tmp_path / "unpacked" / cifar.CIFAR10_ARCHIVE.folder, {**files, "batches.meta": b"names"})
    (tmp_path / "server").mkdir()
    path = tmp_path / "server" / cifar.CIFAR10_ARCHIVE.filename
    with tarfile.open(path, "w:gz") as tar:
        tar.add(tmp_path / "unpacked" / cifar.CIFAR10_ARCHIVE.folder, cifar.CIFAR10_ARCHIVE.folder)
    md5 = {name: hashlib.md5(data).hexdigest() for name, data in files.items()}
    return replace(
        cifar.CIFAR10_ARCHIVE,
        md5=hashlib.md5(path.read_bytes()).hexdigest(),
        train={name: md5[name] for name in cifar.CIFAR10_ARCHIVE.train},
        test={name: md5[name] for name in cifar.CIFAR10_ARCHIVE.test},
    )


@pytest.fixture
def read(published: cifar.CifarArchive, tmp_path: Path) -> Callable[..., np.ndarray]:
    """Read it like the data stage, with some options; return the training images."""

    def images(**options: str) -> np.ndarray:
        config = DatasetConfig(name="cifar10", source="torchvision", **options)
        return published(config, Workspace(tmp_path / "scratch", "0123456789", progress=silent)).train.images

    return images


def test_the_unpacked_folder_is_the_archive(read: Callable[..., np.ndarray], tmp_path: Path) -> None:
    expected = read(path=str(tmp_path / "server"))
    for path in (tmp_path / "unpacked", tmp_path / "unpacked" / cifar.CIFAR10_ARCHIVE.folder):
        assert np.array_equal(read(path=str(path)), expected)


@pytest.mark.parametrize(("damage", "message"), [(b"other", "md5 is"), (None, "no such file")])
def test_a_damaged_folder_is_one_line(
    read: Callable[..., np.ndarray], tmp_path: Path, damage: bytes | None, message: str
) -> None:
    file = tmp_path / "unpacked" / cifar.CIFAR10_ARCHIVE.folder / "data_batch_3"
    file.unlink()
    if damage is not None:
        file.write_bytes(damage)
    with pytest.raises(DropnasError, match=f"data_batch_3: {message}"):
        read(path=str(tmp_path / "unpacked"))


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_mirror_can_be_named(read: Callable[..., np.ndarray], tmp_path: Path, slash: str) -> None:
    mirror = (tmp_path / "server").as_uri() + slash
    assert np.array_equal(read(mirror=mirror), read(path=str(tmp_path / "server")))


@pytest.mark.parametrize("mirror", ["http://127.0.0.1:9", "nowhere", "http://[", "file:///nowhere"])
def test_a_mirror_that_is_none_is_one_line(read: Callable[..., np.ndarray], mirror: str) -> None:
    with pytest.raises(DropnasError, match=r"download failed .* `mirror`"):
        read(mirror=mirror)


def test_a_mirror_changes_no_identity() -> None:
    from dropnas.runs.identity import hashed

    named = functools.partial(DatasetConfig, name="cifar10", source="torchvision")
    assert hashed(named(mirror="http://mirror")) == hashed(named())
