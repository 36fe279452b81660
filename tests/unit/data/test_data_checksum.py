"""Checksums of files and folders, against their definition."""

import hashlib
from pathlib import Path

import pytest

from dropnas.data.sources import file_digest, source_checksum
from dropnas.errors import DropnasError


def test_file_is_plain_sha256(tmp_path: Path) -> None:
    data = bytes(range(256)) * 10_000  # more than a chunk
    (tmp_path / "x").write_bytes(data)
    assert source_checksum(tmp_path / "x") == hashlib.sha256(data).hexdigest()
    assert file_digest(tmp_path / "x", "md5") == hashlib.md5(data).hexdigest()


def test_folder_is_the_sha256_of_its_sorted_lines(tmp_path: Path) -> None:
    files = {"b/a.txt": b"1", "B": b"2", "b.txt": b"3", "b/c/d": b""}
    for name, data in {**files, ".hidden": b"4", ".git/x": b"5"}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    lines = [f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in ("B", "b.txt", "b/a.txt", "b/c/d")]
    assert source_checksum(tmp_path) == hashlib.sha256("".join(lines).encode()).hexdigest()


def test_folder_depends_on_names_and_contents_only(tmp_path: Path) -> None:
    for parent, order in (("one", "ab"), ("two", "ba")):
        (tmp_path / parent).mkdir()
        for name in order:
            (tmp_path / parent / name).write_text(name)
    assert source_checksum(tmp_path / "one") == source_checksum(tmp_path / "two")
    (tmp_path / "two" / "a").rename(tmp_path / "two" / "c")
    assert source_checksum(tmp_path / "one") != source_checksum(tmp_path / "two")


def test_missing_source_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(DropnasError, match="no such file or folder"):
        source_checksum(tmp_path / "nothing")
