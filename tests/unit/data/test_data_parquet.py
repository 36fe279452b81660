"""CIFAR from a Hugging Face folder."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dropnas.data import parquet
from dropnas.errors import DropnasError
from tests.unit.data.small_sources import encode, noise

pyarrow = pytest.importorskip("pyarrow", reason="reading parquet needs pyarrow")
pyarrow_parquet = pytest.importorskip("pyarrow.parquet")

IMAGES = [noise(seed, 32, 32) for seed in range(9)]


def rows(start: int, end: int, label: str = "label") -> dict[str, list[Any]]:
    images = [{"bytes": encode(IMAGES[index]), "path": f"{index}.png"} for index in range(start, end)]
    return {"img": images, label: [index % 10 for index in range(start, end)], "extra": [0] * (end - start)}


def write(folder: Path, shards: dict[str, dict[str, list[Any]]]) -> Path:
    folder.mkdir(exist_ok=True)
    for name, columns in shards.items():
        pyarrow_parquet.write_table(pyarrow.table(columns), folder / f"{name}.parquet")
    return folder


def good(folder: Path, **changes: dict[str, list[Any]]) -> Path:
    names = {"train_0": "train-00000-of-00002", "train_1": "train-00001-of-00002", "test": "test-00000-of-00001"}
    shards = {"train_0": rows(0, 3), "train_1": rows(3, 6), "test": rows(6, 9), **changes}
    return write(folder, {names[key]: columns for key, columns in shards.items()})


def test_reads_shards_in_order(tmp_path: Path) -> None:
    arrays = parquet.read("label", 10, good(tmp_path / "in"), 0, 0)
    assert np.array_equal(arrays.train.images, np.stack(IMAGES[:6]))
    assert arrays.train.labels.tolist() == list(range(6)) and arrays.test.labels.tolist() == [6, 7, 8]


def test_limits_cross_shards_and_stop_early(tmp_path: Path) -> None:
    broken = {**rows(3, 6), "img": [rows(3, 4)["img"][0], {"bytes": b"broken", "path": ""}, None]}
    folder = good(tmp_path / "in", train_1=broken)
    assert np.array_equal(parquet.read("label", 10, folder, 4, 2).train.images, np.stack(IMAGES[:4]))
    with pytest.raises(DropnasError, match="row 1: not an image"):
        parquet.read("label", 10, folder, 0, 2)


def test_cifar100_takes_the_fine_labels(tmp_path: Path) -> None:
    columns = {name: rows(0, 3, "fine_label") for name in ("train-a", "test-a")}
    assert parquet.read("fine_label", 100, write(tmp_path / "in", columns), 0, 0).train.labels.tolist() == [0, 1, 2]
    with pytest.raises(DropnasError, match="no column label; it has img, fine_label, extra"):
        parquet.read("label", 10, tmp_path / "in", 0, 0)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"img": [None, None], "label": [1, 2]}, "row 0: `img` is not an encoded image"),
        ({"img": [{"bytes": encode(noise(0, 28, 32))}] * 2, "label": [1, 2]}, "image is 32x28, not 32x32"),
        ({"img": rows(0, 2)["img"], "label": [1, None]}, "row 1: label None is not an integer"),
        ({"img": rows(0, 2)["img"], "label": ["cat", "dog"]}, "label 'cat' is not an integer"),
        ({"img": rows(0, 1)["img"], "label": [0]}, "has 1 images, but 2 are needed"),
    ],
)
def test_bad_rows_are_one_line(tmp_path: Path, columns: dict[str, list[Any]], message: str) -> None:
    with pytest.raises(DropnasError, match=message):
        parquet.read("label", 10, good(tmp_path / "in", test=columns), 0, 0)


def test_too_few_images_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DropnasError, match="train: has 6 images, but 7 are needed"):
        parquet.read("label", 10, good(tmp_path / "in"), 7, 0)


def test_missing_and_truncated_shards_are_one_line(tmp_path: Path) -> None:
    folder = good(tmp_path / "in")
    shard = folder / "train-00001-of-00002.parquet"
    shard.write_bytes(shard.read_bytes()[:-100])
    with pytest.raises(DropnasError, match=r"train-00001-of-00002.parquet: damaged parquet file"):
        parquet.read("label", 10, folder, 0, 0)
    shard.unlink()
    with pytest.raises(DropnasError, match="1 shards of train, but their names say 2"):
        parquet.read("label", 10, folder, 0, 0)
    with pytest.raises(DropnasError, match=r"no train-\*.parquet"):
        parquet.read("label", 10, tmp_path / "absent", 0, 0)


def test_damage_inside_a_shard_is_one_line(tmp_path: Path) -> None:
    folder = good(tmp_path / "in")
    shard = folder / "train-00000-of-00002.parquet"
    data = bytearray(shard.read_bytes())
    data[20:2000] = bytes(1980)
    shard.write_bytes(data)
    with pytest.raises(DropnasError, match=r"train-00000-of-00002.parquet"):
        parquet.read("label", 10, folder, 0, 0)


def test_absence_of_pyarrow_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "pyarrow", None)
    with pytest.raises(DropnasError, match="needs pyarrow"):
        parquet.read("label", 10, tmp_path, 0, 0)
