"""Manifests of image folders and tars."""

import hashlib
import os
import tarfile
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from dropnas.data import manifest
from dropnas.data.image_layout import list_images
from dropnas.data.manifest import BytesAt
from dropnas.errors import DropnasError
from dropnas.workspace import silent
from tests.unit.data.small_sources import encode, image_files, noise, write_folder, write_tar


def table(location: Path, split: str = "train", limit: int = 0) -> np.ndarray:
    listing = list_images(location)
    return manifest.manifest(getattr(listing, split), location, limit, split, silent)


@pytest.mark.parametrize("prefix", ["", "data/ILSVRC/"])
def test_folder_and_tar_agree(tmp_path: Path, prefix: str) -> None:
    files = {prefix + name: data for name, data in image_files().items()}
    folder, tar = write_folder(tmp_path / "in", files), write_tar(tmp_path / "in.tar", files)
    for split, names in (
        ("train", ["n01/a.JPEG", "n02/x.JPEG", "n01/b.JPEG", "n02/y.jpg", "n01/c.png"]),
        ("test", ["n01/v.JPEG", "n02/w.JPEG"]),
    ):
        expected = [prefix + ("train/" if split == "train" else "val/") + name for name in names]
        for location in (folder, tar):
            rows = table(location, split)
            assert [path.decode() for path in rows["path"]] == expected
            assert rows["label"].tolist() == [int("n02" in name) for name in names]
            for row, name in zip(rows, expected, strict=True):
                assert row["sha256"].tobytes() == hashlib.sha256(files[name]).digest()
                with closing(BytesAt(location)) as source:
                    assert source.read(name, int(row["offset"]), int(row["length"])) == files[name]
        assert not table(folder, split)["offset"].any()
    assert (table(tar)["height"][0], table(tar)["width"][0]) == (64, 48)


def test_one_split_serves_for_both(tmp_path: Path) -> None:
    files = {f"sample/{name}": encode(noise(0, 8, 8)) for name in ("n02/b.png", "n01/a.png")}
    listing = list_images(write_tar(tmp_path / "in.tar", files))
    assert listing.test_is_train and listing.train == listing.test and listing.classes == ("n01", "n02")
    assert not list_images(write_folder(tmp_path / "in", image_files())).test_is_train


def test_limit_takes_a_balanced_prefix(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "in", image_files())
    assert table(folder, limit=4)["label"].tolist() == [0, 1, 0, 1]
    with pytest.raises(DropnasError, match="train: has 5 images, but 6 are needed"):
        table(folder, limit=6)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["notes.txt"], "holds no .JPEG"),
        (["a.png"], "a.png is not in a class folder"),
        (["train/n01/a.png", "val/a.png"], "val/a.png is not in a class folder"),
        (["train/a.png", "val/a.png"], "is not in a class folder"),
        (["train/n01/a.png"], "has only one of train/ and val/"),
        (["train/n01/a.png", "val/n02/a.png"], "class n02 of val/ is not in train/"),
        (["x/n01/a.png", "y/n01/a.png"], r"more than one folder of classes \(x, y\)"),
        (["x/train/n01/a.png", "y/val/n01/a.png"], "more than one folder of classes"),
    ],
)
def test_other_layouts_are_one_line(tmp_path: Path, names: list[str], message: str) -> None:
    files = {name: encode(noise(0, 8, 8)) for name in names}
    for location in (write_folder(tmp_path / "in", files), write_tar(tmp_path / "in.tar", files)):
        with pytest.raises(DropnasError, match=message):
            list_images(location)


def test_files_next_to_the_splits_are_left_alone(tmp_path: Path) -> None:
    files = {**image_files(), "test/1.JPEG": b"", "cover.png": b"", "extra/n09/a.png": b"", ".thumbs/x/n/a.png": b""}
    assert len(list_images(write_folder(tmp_path / "in", files)).train) == 5


@pytest.mark.parametrize("name", ["/etc/n01/a.png", "../n01/a.png", "x/../../n01/a.png"])
def test_unsafe_paths_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DropnasError, match="unsafe path"):
        list_images(write_tar(tmp_path / "in.tar", {name: b""}))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_refused(tmp_path: Path, kind: bytes) -> None:
    with tarfile.open(tmp_path / "in.tar", "w") as tar:
        member = tarfile.TarInfo("n01/a.png")
        member.type, member.linkname = kind, "/etc/passwd"
        tar.addfile(member)
    with pytest.raises(DropnasError, match="link or device"):
        list_images(tmp_path / "in.tar")


def test_compressed_tar_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DropnasError, match="not an uncompressed tar"):
        list_images(write_tar(tmp_path / "in.tar.gz", image_files(), "w:gz"))


def test_tar_cut_anywhere_is_noticed(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "in.tar", image_files())
    whole = path.read_bytes()
    with tarfile.open(path) as tar:
        last = tar.getmembers()[-1]
        content = last.offset_data + (last.size + 511) // 512 * 512
        headers = [member.offset for member in tar.getmembers()]
    for cut in [*headers, *(place + 300 for place in headers), last.offset_data + 5, content, content + 100]:
        path.write_bytes(whole[:cut])
        with pytest.raises(DropnasError, match="tar"):
            list_images(path)


def test_damaged_header_does_not_hide_the_rest(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "in.tar", image_files())
    with tarfile.open(path) as tar:
        offset = tar.getmembers()[3].offset
    data = bytearray(path.read_bytes())
    data[offset : offset + 40] = b"\xff" * 40
    path.write_bytes(data)
    with pytest.raises(DropnasError, match="damaged or truncated"):
        list_images(path)


def test_files_that_are_no_images_are_one_line(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "in", {**image_files(), "train/n01/b.JPEG": b"not at all"})
    with pytest.raises(DropnasError, match=r"b.JPEG: not an image"):
        table(folder)


def test_vanished_and_shortened_images_are_one_line(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "in", image_files())
    rows = list_images(folder).train
    (folder / rows[0][0].path).unlink()
    with pytest.raises(DropnasError, match=r"a.JPEG: cannot be read"):
        manifest.manifest(rows, folder, 0, "train", silent)
    write_folder(folder, {rows[0][0].path: b"short"})
    with pytest.raises(DropnasError, match=r"a.JPEG: has 5 bytes"):
        manifest.manifest(rows, folder, 0, "train", silent)


def test_moved_source_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(DropnasError, match="cannot be reached"):
        BytesAt(tmp_path / "gone")


def test_reading_leaves_no_tar_open(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "in.tar", image_files())
    before = len(os.listdir("/proc/self/fd"))
    table(path)
    assert len(os.listdir("/proc/self/fd")) == before


def test_imagenet_sample(shared_data: Path) -> None:
    listing = list_images(shared_data / "imagenet-sample.tar")
    assert len(listing.classes) == len(listing.train) == 1000 and listing.test_is_train
    assert [label for _, label in listing.train] == list(range(1000))
    rows = manifest.manifest(listing.train, shared_data / "imagenet-sample.tar", 50, "train", silent)
    assert np.minimum(rows["height"], rows["width"]).tolist() == [256] * 50
