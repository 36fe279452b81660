"""CIFAR's archives: reading, rejecting, and downloading from a local server."""

import functools
import hashlib
import io
import pickle
import struct
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dropnas.data import cifar
from dropnas.data.cifar import CifarArchive
from dropnas.errors import DropnasError
from dropnas.workspace import silent

DATA = np.random.default_rng(0).integers(0, 256, (12, 3072), dtype=np.uint8)
LABELS = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8]


def batch(start: int, end: int, **changes: Any) -> bytes:
    fields = {"data": DATA[start:end], "labels": LABELS[start:end], "filenames": ["x"] * (end - start), **changes}
    return pickle.dumps(fields, protocol=4)


def published(path: Path, files: dict[str, bytes]) -> CifarArchive:
    """Write an archive of two training batches, and register its md5."""
    with tarfile.open(path, "w:gz") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    md5 = hashlib.md5(path.read_bytes()).hexdigest()
    md5s = {name: hashlib.md5(data).hexdigest() for name, data in files.items()}
    train = {name: md5s.get(name, "") for name in ("data_batch_1", "data_batch_2")}
    return replace(cifar.CIFAR10_ARCHIVE, md5=md5, train=train, test={"test_batch": md5s.get("test_batch", "")})


GOOD = {"data_batch_1": batch(0, 5), "data_batch_2": batch(5, 8), "test_batch": batch(8, 12)}


def test_reads_planes_in_order(tmp_path: Path) -> None:
    archive = published(tmp_path / "a.tar.gz", GOOD)
    arrays = cifar.read(tmp_path / "a.tar.gz", archive, 10)
    assert arrays.train.labels.tolist() == LABELS[:8] and arrays.test.labels.tolist() == LABELS[8:]
    assert arrays.train.images.shape == (8, 32, 32, 3)
    for image, row, column, channel in ((0, 0, 0, 0), (6, 31, 2, 1), (7, 5, 17, 2)):
        assert arrays.train.images[image, row, column, channel] == DATA[image, 1024 * channel + 32 * row + column]


def python_2_pickle(data: np.ndarray, labels: list[int]) -> bytes:
    """The opcodes that Python 2 and numpy 1.3 wrote: byte strings, numpy.core.multiarray, protocol 2."""

    def text(value: bytes) -> bytes:
        return b"U" + bytes([len(value)]) + value

    dtype = b"cnumpy\ndtype\n" + text(b"u1") + b"K\x00K\x01\x87R"
    dtype += b"(K\x03" + text(b"|") + b"NNN" + 2 * b"J\xff\xff\xff\xff" + b"K\x00tb"
    shape = b"K" + bytes([len(data)]) + b"M" + struct.pack("<H", data.shape[1]) + b"\x86"
    raw = b"T" + struct.pack("<i", data.nbytes) + data.tobytes()
    array = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + text(b"b") + b"\x87R"
    array += b"(K\x01" + shape + dtype + b"\x89" + raw + b"tb"
    numbers = b"](" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"
    return b"\x80\x02}(" + text(b"data") + array + text(b"labels") + numbers + b"u."


def test_reads_what_was_written_in_2009(tmp_path: Path) -> None:
    archive = published(tmp_path / "a.tar.gz", {**GOOD, "data_batch_1": python_2_pickle(DATA[:5], LABELS[:5])})
    arrays = cifar.read(tmp_path / "a.tar.gz", archive, 10)
    assert arrays.train.labels.tolist() == LABELS[:8]
    assert np.array_equal(arrays.train.images, DATA[:8].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))


def test_cifar100_takes_the_fine_labels(tmp_path: Path) -> None:
    fields = {"data": DATA[:2], "fine_labels": [99, 0], "coarse_labels": [1, 1]}
    archive = published(tmp_path / "a.tar.gz", {"train": pickle.dumps(fields), "test": pickle.dumps(fields)})
    hundred = replace(cifar.CIFAR100_ARCHIVE, md5=archive.md5, folder=archive.folder)
    arrays = cifar.read(tmp_path / "a.tar.gz", hundred, 100)
    assert arrays.train.labels.tolist() == [99, 0]


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("/tmp/dropnas-was-run"),))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"data_batch_2": pickle.dumps(Evil())}, "asks for pathlib"),
        ({"data_batch_2": pickle.dumps(functools.partial(print))}, "asks for functools"),
        ({"data_batch_2": b"\x80\x02"}, "not a batch of CIFAR"),
        ({"data_batch_2": batch(5, 8)[:-900]}, "not a batch of CIFAR"),
        ({"data_batch_2": batch(5, 8, labels=[1, 2])}, "integer labels"),
        ({"data_batch_2": batch(5, 8, labels=[1, 2, "3"])}, "integer labels"),
        ({"data_batch_2": batch(5, 8, data=DATA[5:8, :100])}, "not uint8"),
        ({"data_batch_2": batch(5, 8, data=DATA[5:8].astype(float))}, "not uint8"),
        ({"data_batch_2": pickle.dumps([1, 2])}, "not a batch of CIFAR"),
        ({"data_batch_2": pickle.dumps({"labels": []})}, "not a batch of CIFAR"),
    ],
)
def test_bad_pickles_are_one_line(tmp_path: Path, changed: dict[str, bytes], message: str) -> None:
    archive = published(tmp_path / "a.tar.gz", {**GOOD, **changed})
    with pytest.raises(DropnasError, match=message) as caught:
        cifar.read(tmp_path / "a.tar.gz", archive, 10)
    assert "data_batch_2" in str(caught.value) and "\n" not in str(caught.value)
    assert not Path("/tmp/dropnas-was-run").exists()


def test_missing_batch_and_link_are_refused(tmp_path: Path) -> None:
    archive = published(tmp_path / "a.tar.gz", {"data_batch_1": GOOD["data_batch_1"]})
    with pytest.raises(DropnasError, match="data_batch_2: not in the archive"):
        cifar.read(tmp_path / "a.tar.gz", archive, 10)
    with tarfile.open(tmp_path / "b.tar.gz", "w:gz") as tar:
        member = tarfile.TarInfo("cifar-10-batches-py/data_batch_1")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/hostname"
        tar.addfile(member)
    linked = replace(archive, md5=hashlib.md5((tmp_path / "b.tar.gz").read_bytes()).hexdigest())
    with pytest.raises(DropnasError, match="is not a regular file"):
        cifar.read(tmp_path / "b.tar.gz", linked, 10)


def test_truncated_archive_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.tar.gz"
    archive = published(path, GOOD)
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(DropnasError, match="md5 is"):
        cifar.read(path, archive, 10)
    same_md5 = replace(archive, md5=hashlib.md5(path.read_bytes()).hexdigest())
    with pytest.raises(DropnasError, match=r"damaged archive|not a batch"):
        cifar.read(path, same_md5, 10)


def test_archive_is_found_in_a_folder(tmp_path: Path) -> None:
    archive = cifar.CIFAR10_ARCHIVE
    with pytest.raises(DropnasError, match=f"neither {archive.filename} nor {archive.folder}/"):
        cifar.find(tmp_path, archive)
    (tmp_path / archive.filename).touch()
    assert cifar.find(tmp_path, archive) == tmp_path / archive.filename
    assert cifar.find(tmp_path / archive.filename, archive) == tmp_path / archive.filename


class Server(ThreadingHTTPServer):
    """Serves one body; can break off, ignore ranges, or reject requests."""

    body: bytes = b""
    sent_at_most: int | None = None
    ranges = True
    requests: list[str | None]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        self.server.requests.append(asked)
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and self.server.ranges else 0
        if not self.path.endswith("cifar-10-python.tar.gz"):
            self.send_error(404)
            return
        if start >= len(self.server.body):
            self.send_error(416)
            return
        rest = self.server.body[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        self.wfile.write(rest[: self.server.sent_at_most])

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as running:
        running.requests = []
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def archive(tmp_path: Path, server: Server) -> CifarArchive:
    made = published(tmp_path / "served.tar.gz", GOOD)
    server.body = (tmp_path / "served.tar.gz").read_bytes()
    return made


def test_download_gets_its_name_when_it_is_whole(tmp_path: Path, server: Server, archive: CifarArchive) -> None:
    folder = tmp_path / "scratch"
    path = cifar.download(archive, folder, silent, server.url)
    assert path.read_bytes() == server.body and [file.name for file in folder.iterdir()] == [archive.filename]
    assert len(cifar.read(path, archive, 10).train.labels) == 8
    cifar.download(archive, folder, silent, server.url)
    assert server.requests == [None]  # no byte is downloaded twice


@pytest.mark.parametrize("ranges", [True, False])
def test_truncated_download_is_continued(tmp_path: Path, server: Server, archive: CifarArchive, ranges: bool) -> None:
    server.sent_at_most, server.ranges = 7000, ranges
    with pytest.raises(DropnasError, match=f"ended after 7000 of {len(server.body)} bytes"):
        cifar.download(archive, tmp_path / "scratch", silent, server.url)
    assert not (tmp_path / "scratch" / archive.filename).exists()
    server.sent_at_most = None
    path = cifar.download(archive, tmp_path / "scratch", silent, server.url)
    assert path.read_bytes() == server.body and server.requests == [None, "bytes=7000-"]


def test_finished_part_of_a_killed_download_is_used(tmp_path: Path, server: Server, archive: CifarArchive) -> None:
    (tmp_path / f"{archive.filename}.part").write_bytes(server.body)
    assert cifar.download(archive, tmp_path, silent, server.url).read_bytes() == server.body


def test_wrong_md5_leaves_nothing(tmp_path: Path, server: Server, archive: CifarArchive) -> None:
    server.body = server.body[:-1] + b"x"
    with pytest.raises(DropnasError, match="md5 is"):
        cifar.download(archive, tmp_path / "scratch", silent, server.url)
    assert list((tmp_path / "scratch").iterdir()) == []


def test_absent_file_and_server_are_one_line(tmp_path: Path, server: Server, archive: CifarArchive) -> None:
    with pytest.raises(DropnasError, match="404"):
        cifar.download(replace(archive, filename="other"), tmp_path, silent, server.url)
    with pytest.raises(DropnasError, match="download failed"):
        cifar.download(archive, tmp_path, silent, "http://127.0.0.1:9")
