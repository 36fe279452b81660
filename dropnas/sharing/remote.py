"""A DVC remote as storage for runs: plain copies of their folders, and a marker for each complete copy.

    URL/runs/files/runs/search/NAME.VERSION/…    the files of a run, as in the store
    URL/runs/index/runs/search/NAME.VERSION      an empty file, written after these files

Design choices:
- DVC opens the remote: URL, options and credentials come from DVC's configuration, read by the functions that its own
  commands use. Everything else uses fsspec, which works for any file system.
- VERSION is the sha256 of the manifest. If two computations of one run are pushed at the same moment, both are stored.
- A marker is empty, so it cannot be half-written. Its name contains all that a push needs, so listing one folder for
  each stage shows what the remote has.
- Nothing is stored where DVC keeps its own objects, so `dvc gc` does not remove the runs.
"""

import re
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dropnas.artifacts.manifest_file import MANIFEST
from dropnas.errors import DropnasError
from dropnas.sharing.shared_run import FOLDER_WITH_ID, SharedRun

INDEX_FOLDER, FILES_FOLDER = "runs/index", "runs/files"
VERSION_MARKER = re.compile(r"(?P<folder>.+)\.(?P<version>[0-9a-f]{64})")
EXTRAS = ("s3", "ssh")  # extras of pyproject.toml; each installs DVC's plugin of that name
DVC_HINT = "make setup, or pip install 'dropnas[workflow]'"
REMOTE_HINT = "name a remote with `dvc remote add --default NAME URL` (a folder, ssh://… or s3://…)"


@dataclass(frozen=True)
class Remote:
    """An opened DVC remote."""

    url: str
    files: Any  # its fsspec file system
    path: str  # its path in this file system

    def index(self) -> dict[str, list[str]]:
        """Map the folder of each complete run to its versions; two versions of the same run are a conflict.

        Raises:
            DropnasError: the remote cannot be reached.
        """
        runs: dict[str, list[str]] = {}
        with _one_line("cannot be listed", self.url):
            stages = [
                f"{top}/{stage}" for top in self._names(INDEX_FOLDER) for stage in self._names(f"{INDEX_FOLDER}/{top}")
            ]
            found = [f"{stage}/{name}" for stage in stages for name in self._names(f"{INDEX_FOLDER}/{stage}")]
        for marker in filter(None, map(VERSION_MARKER.fullmatch, found)):
            if FOLDER_WITH_ID.fullmatch(marker["folder"]):
                runs.setdefault(marker["folder"], []).append(marker["version"])
        return runs

    def fetch(self, parts: Mapping[str, Sequence[str]], destination: Path) -> None:
        """Copy files of runs to their folders below `destination`; files that the remote lacks are skipped.

        Args:
            parts: maps the key of each run to the names of the files to copy.

        Raises:
            DropnasError: the remote cannot be read.
        """
        files = [(key, name) for key, names in parts.items() for name in names]
        sources = [f"{self.path}/{FILES_FOLDER}/{key}/{name}" for key, name in files]
        targets = [str(destination / key.rpartition(".")[0] / name) for key, name in files]
        for parent in {Path(path).parent for path in targets}:
            parent.mkdir(parents=True, exist_ok=True)
        with _one_line("cannot be read", self.url):
            try:
                self.files.get(sources, targets)
            except FileNotFoundError:  # copy the existing files one by one
                for source, target in zip(sources, targets, strict=True):
                    with suppress(FileNotFoundError):
                        self.files.get_file(source, target)

    def create(self) -> None:
        """Create the remote's folder if it is missing, but not its parent.

        If the parent is missing too, a disk may not be mounted.

        Raises:
            DropnasError: the parent is missing, or the remote cannot be reached.
        """
        with _one_line("cannot be created", self.url):
            if not self.files.isdir(self.path):
                self.files.mkdir(self.path, create_parents=False)

    def send(self, root: Path, runs: Sequence[SharedRun]) -> None:
        """Copy runs to the remote, then mark them as complete. Files left by a killed push are overwritten.

        Raises:
            DropnasError: the remote cannot be written.
        """
        files = [(one, name) for one in runs for name in (MANIFEST, *one.files)]
        with _one_line("cannot be written", self.url), tempfile.NamedTemporaryFile() as empty:
            sources = [str(root / one.folder / name) for one, name in files]
            self.files.put(sources, [f"{self.path}/{FILES_FOLDER}/{one.key}/{name}" for one, name in files])
            self.files.put([empty.name] * len(runs), [f"{self.path}/{INDEX_FOLDER}/{one.key}" for one in runs])

    def _names(self, folder: str) -> list[str]:
        """List the names in a folder of the remote; the list is empty if the folder does not exist."""
        try:
            found = self.files.ls(f"{self.path}/{folder}", detail=False)
        except FileNotFoundError:
            return []
        return [path.rstrip("/").rpartition("/")[2] for path in found]


def open_remote(root: Path, name: str = "") -> Remote:
    """Open a remote of the DVC repository that contains the store or, failing that, the working directory.

    An empty name means the default remote.

    Raises:
        DropnasError: DVC or its plugin for this kind of remote is not installed, or no such remote is configured.
    """
    try:
        from dvc.config import Config
        from dvc.fs import LocalFileSystem, get_cloud_fs
    except ImportError as error:
        raise DropnasError("DVC is not installed", remedy=DVC_HINT) from error
    # If a copy fails, fsspec raises an error and also warns.
    warnings.filterwarnings("ignore", "coroutine .* was never awaited")
    repository = _repository(root)
    with _one_line("the DVC remote cannot be used", repository, REMOTE_HINT):
        config = Config(str(repository / ".dvc"))
        chosen = name or config["core"].get("remote")
        if not chosen:
            raise DropnasError("no DVC remote is set", where=repository, remedy=REMOTE_HINT)
        kind, settings, path = get_cloud_fs(config, name=chosen)
        url = config["remote"][chosen.lower()]["url"]
        if "://" in path and kind is LocalFileSystem:  # DVC treats an unknown scheme as a local path
            raise ValueError(f"no such kind of remote: {url}")
        return Remote(url, kind(**settings), path.rstrip("/"))


def _repository(root: Path) -> Path:
    """The nearest DVC repository at or above the store or, failing that, the working directory."""
    for start in (root.resolve(), Path.cwd()):
        for folder in (start, *start.parents):
            if (folder / ".dvc").is_dir():
                return folder
    remedy = "run this in the checkout, or use `dvc init`"
    raise DropnasError("is not in a DVC repository", where=root.resolve(), remedy=remedy)


@contextmanager
def _one_line(what: str, where: object, remedy: str = "check the DVC remote and try again") -> Iterator[None]:
    """Report any error of DVC or of the storage in one line."""
    try:
        yield
    except DropnasError:
        raise
    except ImportError as error:
        plugin = "".join(re.findall(r"dvc-(\w+)", str(error))[:1])
        package = f"'dropnas[{plugin}]'" if plugin in EXTRAS else f"dvc-{plugin}"
        raise DropnasError(f"{what} ({error})", where=where, remedy=f"pip install {package}") from error
    except NotImplementedError as error:
        raise DropnasError(f"{what}: this kind of remote has no folders", where=where, remedy=REMOTE_HINT) from error
    except Exception as error:
        text = str(error) or type(error).__name__
        raise DropnasError(f"{what} ({text})", where=where, remedy=remedy) from error
