"""CIFAR-10 and CIFAR-100 as their authors publish them: a tar.gz of Python pickles, or its unpacked folder.

Design choices: the MD5 of the archive, or of each file in the folder, is compared with torchvision's value before the
file is read. The unpickler accepts only numpy arrays and plain containers, so no archive can run code. A download is
written to a `.part` file, so that it can be continued. The file gets its final name only if its MD5 is correct.
"""

import http.client
import os
import pickle
import tarfile
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from dropnas.data.config import ROLES, DatasetConfig
from dropnas.data.sources import file_digest, require_checksum
from dropnas.data.splits import Arrays, Labelled
from dropnas.errors import DropnasError
from dropnas.workspace import Workspace

BASE_URL = "https://www.cs.toronto.edu/~kriz"
TIMEOUT = 60.0  # seconds without receiving a byte
CHUNK_BYTES = 1 << 20  # bytes written at a time
CIFAR_SIDE, PIXELS = 32, 3 * 32 * 32


@dataclass(frozen=True)
class CifarArchive:
    """A published archive: its file name and MD5, and the MD5 of each of its pickles. Calling it reads both splits."""

    filename: str
    md5: str
    folder: str
    train: dict[str, str]
    test: dict[str, str]
    label_key: str

    def __call__(self, config: DatasetConfig, workspace: Workspace) -> Arrays:
        """Read both splits of the archive. It is downloaded unless `path` names a local archive or folder.

        Raises:
            DropnasError: the archive is missing, cannot be downloaded, is damaged, or has the wrong checksum.
        """
        local, mirror = workspace.location or config.path, config.mirror or BASE_URL
        path = find(Path(local), self) if local else download(self, workspace.scratch, workspace.progress, mirror)
        require_checksum(config, path)
        return read(path, self, ROLES[config.name].classes)


CIFAR10_ARCHIVE = CifarArchive(
    filename="cifar-10-python.tar.gz",
    md5="c58f30108f718f92721af3b95e74349a",
    folder="cifar-10-batches-py",
    train={
        "data_batch_1": "c99cafc152244af753f735de768cd75f",
        "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
        "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
        "data_batch_4": "634d18415352ddfa80567beed471001a",
        "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    },
    test={"test_batch": "40351d587109b95175f43aff81a1287e"},
    label_key="labels",
)
CIFAR100_ARCHIVE = CifarArchive(
    filename="cifar-100-python.tar.gz",
    md5="eb9058c3a382ffc7106e4002c42a8d85",
    folder="cifar-100-python",
    train={"train": "16019d7e3df5f24257cddd939b257f8d"},
    test={"test": "f0ef6b0ae62326f3e7ffdfab6717acfc"},
    label_key="fine_labels",
)

_RECONSTRUCT = np.empty(0).__reduce__()[0]  # type: ignore[index]  # how numpy rebuilds a pickled array
_ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}


class _ArrayUnpickler(pickle.Unpickler):
    """Reads containers, numbers, text and numpy arrays; rejects every other global."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no CIFAR archive needs")
        return _ALLOWED[module, name]


def find(path: Path, archive: CifarArchive) -> Path:
    """Find the archive or its unpacked folder: `path` itself, or the entry in it that has the published name."""
    for found in (path / archive.filename, path / archive.folder, path):
        if found.is_file() or (found / next(iter(archive.test))).is_file():
            return found
    raise DropnasError(
        f"found neither {archive.filename} nor {archive.folder}/",
        where=path,
        remedy="set `path` to one of them, or leave `path` out to download it",
    )


def read(path: Path, archive: CifarArchive, classes: int) -> Arrays:
    """Read both splits of an archive or of its unpacked folder: images uint8 (N, 32, 32, 3), labels int64 (N,).

    Raises:
        DropnasError: wrong MD5, a damaged archive or pickle, or unexpected content.
    """
    if path.is_dir():
        return _read_splits(archive, classes, lambda name: _open_file(path, name, archive))
    require_md5(path, archive.md5, archive.filename)
    try:
        with tarfile.open(path, "r:gz") as tar:
            return _read_splits(archive, classes, lambda name: _open_member(tar, f"{archive.folder}/{name}"))
    except (tarfile.TarError, zlib.error, EOFError, OSError) as error:
        raise DropnasError(f"damaged archive ({error})", where=path, remedy="fetch it again") from error


def _read_splits(archive: CifarArchive, classes: int, open_pickle: Callable[[str], IO[bytes]]) -> Arrays:
    train, test = (
        _join([_batch(open_pickle(name), archive, name) for name in names]) for names in (archive.train, archive.test)
    )
    return Arrays(classes, train, test)


def _open_file(folder: Path, name: str, archive: CifarArchive) -> IO[bytes]:
    if not (folder / name).is_file():
        raise DropnasError("no such file", where=folder / name, remedy="unpack the archive again")
    require_md5(folder / name, (archive.train | archive.test)[name], f"{archive.folder}/{name}")
    return (folder / name).open("rb")


def _open_member(tar: tarfile.TarFile, name: str) -> IO[bytes]:
    try:
        member = tar.getmember(name)
    except KeyError as error:
        raise DropnasError("not in the archive", where=name, remedy="is it the right archive?") from error
    stream = tar.extractfile(member) if member.isfile() else None
    if stream is None:
        raise DropnasError("is not a regular file", where=name, remedy="is it the right archive?")
    return stream


def require_md5(path: Path, md5: str, name: str) -> None:
    """Raise a DropnasError if the MD5 of the file differs from that of the published file."""
    found = file_digest(path, "md5")
    if found != md5:
        raise DropnasError(
            f"md5 is {found}, but that of {name} is {md5}",
            where=path,
            remedy="the file is incomplete or a different one: fetch it again",
        )


def _batch(stream: IO[bytes], archive: CifarArchive, where: str) -> Labelled:
    """Read a pickled dict with the images, `data` (N, 3072), and a list of labels.

    Each row of `data` contains the three colour planes of an image.
    """
    try:
        with stream:
            batch = _ArrayUnpickler(stream, encoding="latin1").load()
        return _labelled(batch["data"], batch[archive.label_key])
    except (pickle.UnpicklingError, EOFError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise DropnasError(f"not a batch of CIFAR ({error})", where=where) from error


def _labelled(data: Any, labels: Any) -> Labelled:
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.shape[1:] != (PIXELS,):
        raise ValueError(f"images are not uint8 (N, {PIXELS})")
    if len(labels) != len(data) or any(type(label) is not int for label in labels):
        raise ValueError(f"{len(data)} images do not have {len(data)} integer labels")
    images: NDArray[np.uint8] = data.reshape(-1, 3, CIFAR_SIDE, CIFAR_SIDE).transpose(0, 2, 3, 1)
    return Labelled(images, np.array(labels, dtype=np.int64))


def _join(parts: list[Labelled]) -> Labelled:
    return Labelled(np.concatenate([part.images for part in parts]), np.concatenate([part.labels for part in parts]))


def download(archive: CifarArchive, folder: Path, progress: Callable[[str], None], base_url: str = BASE_URL) -> Path:
    """Download an archive into a folder, or continue an interrupted download; return its path.

    Raises:
        DropnasError: no connection, a truncated response, or a wrong MD5.
    """
    target = folder / archive.filename
    if target.exists():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    partial, url = target.with_name(target.name + ".part"), f"{base_url.rstrip('/')}/{archive.filename}"
    progress(f"downloading {url}")
    try:
        _fetch(url, partial)
    except (OSError, ValueError, http.client.HTTPException) as error:  # no connection, refused, disk full, or not a URL
        raise DropnasError(
            f"download failed ({error})",
            where=url,
            remedy="try again, set `path` to a local archive, or set `mirror` to the folder of another copy",
        ) from error
    try:
        require_md5(partial, archive.md5, archive.filename)
    except DropnasError:
        partial.unlink()  # a download that turned out to be wrong cannot be continued
        raise
    os.replace(partial, target)
    return target


def _fetch(url: str, partial: Path) -> None:
    """Download a URL to a file. If the file exists and the server supports it, download only the missing bytes."""
    have = partial.stat().st_size if partial.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise
        return  # the file is complete; the MD5 check follows
    with response, partial.open("ab" if response.status == http.HTTPStatus.PARTIAL_CONTENT else "wb") as stream:
        expected, received = response.headers.get("Content-Length"), 0
        while chunk := response.read(CHUNK_BYTES):
            stream.write(chunk)
            received += len(chunk)
        stream.flush()
        os.fsync(stream.fileno())
    if expected is not None and received < int(expected):
        raise DropnasError(
            f"the connection ended after {received} of {expected} bytes",
            where=url,
            remedy="start again to continue from there",
        )
