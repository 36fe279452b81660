"""The DVC remote as a place for runs: its objects, and an index of which runs it has.

Design choices:
- Storage, authentication and transfer are DVC's own (a folder, ssh, S3 and whatever else a DVC remote can be), used
  through its API in one process: a `dvc` command for each of 700 runs would take many minutes.
- A run's name is its identity, so the index lies on the remote, one small file a run:
  `runs/index/<folder>/<sha256 of the manifest>.json`. A fresh clone knows by the plan which names to ask for, and
  nothing has to be committed to git while a workflow goes on.
- Objects lie under `runs/files/md5`, apart from DVC's own, so that `dvc gc` removes none of them.
- An entry is written after all objects that it names, so a killed push leaves nothing that looks complete.
"""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from dropnas.errors import DropnasError
from dropnas.sharing.entry import Entry, read_entry

INDEX = ("runs", "index")
OBJECTS = ("runs", "files", "md5")
DVC_HINT = "make setup, or pip install 'dropnas[workflow]'"
EXTRAS = ("ssh", "s3")  # kinds of remotes for which this package has an extra
REMOTE_HINT = "name a remote with `dvc remote add --default NAME URL` (a folder, ssh://… or s3://…)"


@dataclass(frozen=True)
class Remote:
    """An opened DVC remote: its file system, where runs lie on it, and its store of objects."""

    files: Any
    path: str
    objects: Any

    def index(self) -> dict[str, list[str]]:
        """For each run on the remote, by its folder, the sha256 of its manifests; more than one is a conflict."""
        root = self.files.join(self.path, *INDEX)
        with _told("cannot be listed", root):
            found = list(self.files.find(root)) if self._is_there(root) else []
        runs: dict[str, list[str]] = {}
        for path in found:
            folder, _, name = self.files.relpath(path, root).replace("\\", "/").rpartition("/")
            if name.endswith(".json"):
                runs.setdefault(folder, []).append(name.removesuffix(".json"))
        return runs

    def _is_there(self, path: str) -> bool:
        """Whether there is such a folder. (`exists` of DVC's file systems also says no where nobody answers.)"""
        try:
            self.files.info(path)
        except FileNotFoundError:
            return False
        return True

    def read(self, runs: Mapping[str, str]) -> dict[str, Entry]:
        """The entries of runs, by folder.

        Args:
            runs: the sha256 of each run's manifest, by its folder.

        Raises:
            DropnasError: an entry is gone or is none.
        """
        with tempfile.TemporaryDirectory() as temporary:
            places = {folder: Path(temporary, f"{at}.json") for at, folder in enumerate(runs)}
            self._fetch({str(place): self._entry(folder, runs[folder]) for folder, place in places.items()})
            return {folder: read_entry(place, folder, runs[folder]) for folder, place in places.items()}

    def fetch(self, objects: Mapping[Path, str]) -> None:
        """Bring objects, by their md5, to where they shall lie. One that the remote lacks is left out.

        Raises:
            DropnasError: the remote cannot be read.
        """
        self._fetch({str(place): self.objects.oid_to_path(md5) for place, md5 in objects.items()})

    def send(self, objects: Mapping[str, Path], entries: Sequence[Entry]) -> None:
        """Send files by their md5, then the entries of the runs that they make up.

        What is there already under the same md5 is sent again: a push that was killed may have left it cut short.
        """
        from dvc_objects.fs import generic
        from dvc_objects.fs.local import localfs

        errors: list[BaseException] = []
        with _told("cannot be written", self.path):
            names, paths = list(objects), [str(path) for path in objects.values()]
            self.objects.add(
                paths, localfs, names, check_exists=False, on_error=lambda name, error: errors.append(error)
            )
            if errors:
                raise errors[0]
            with tempfile.TemporaryDirectory() as temporary:
                written = {
                    self._entry(one.folder, one.manifest): Path(temporary, f"{at}.json")
                    for at, one in enumerate(entries)
                }
                for entry, place in zip(entries, written.values(), strict=True):
                    place.write_text(entry.text(), encoding="utf-8")
                for parent in {self.files.parent(path) for path in written}:
                    self.files.makedirs(parent, exist_ok=True)
                generic.copy(localfs, [str(place) for place in written.values()], self.files, list(written))

    def _entry(self, folder: str, manifest: str) -> str:
        return str(self.files.join(self.path, *INDEX, *folder.split("/"), f"{manifest}.json"))

    def _fetch(self, places: Mapping[str, str]) -> None:
        """Bring files of the remote to where they shall lie."""
        from dvc_objects.fs import generic
        from dvc_objects.fs.local import localfs

        def note(source: str, place: str, error: BaseException) -> None:
            if not isinstance(error, FileNotFoundError):
                errors.append(error)

        errors: list[BaseException] = []
        with _told("cannot be fetched", self.path):
            generic.copy(self.files, list(places.values()), localfs, list(places), on_error=note)
            if errors:
                raise errors[0]


def open_remote(root: Path, name: str = "") -> Remote:
    """The remote of the DVC repository that holds the store, or else of that in which the command was typed.

    Args:
        root: of the store.
        name: of the remote; empty for the default one.

    Raises:
        DropnasError: DVC or its part for this kind of remote is not installed, or no such remote is set.
    """
    try:
        from dvc.exceptions import DvcException
        from dvc.fs import get_cloud_fs
        from dvc_data.hashfile.db import get_odb
    except ImportError as error:
        raise DropnasError("DVC is not installed", remedy=DVC_HINT) from error
    try:
        config, where = _configuration(root)
    except DvcException as error:
        raise DropnasError(f"DVC's configuration cannot be read ({error})", where=root, remedy=REMOTE_HINT) from error
    chosen = name or config["core"].get("remote")
    if not chosen:
        raise DropnasError("no DVC remote is set", where=where, remedy=REMOTE_HINT)
    try:
        kind, settings, path = get_cloud_fs(config, name=chosen)
        files = kind(**settings)
        files.fs  # noqa: B018  # only now DVC imports what it needs for this kind of remote
    except DvcException as error:
        what = f"the DVC remote {chosen!r} cannot be used ({error})"
        raise DropnasError(what, where=where, remedy=REMOTE_HINT) from error
    except ImportError as error:
        scheme = urlsplit(str(config["remote"][chosen].get("url"))).scheme
        package = f"'dropnas[{scheme}]'" if scheme in EXTRAS else f"dvc-{scheme}"
        what = f"the DVC remote {chosen!r} needs what is not installed"
        raise DropnasError(what, where=where, remedy=f"pip install {package}") from error
    return Remote(
        files,
        path,
        get_odb(  # type: ignore[no-untyped-call]
            files, files.join(path, *OBJECTS), hash_name="md5", **settings
        ),
    )


def _configuration(root: Path) -> tuple[Any, Path]:
    """The configuration of the nearest DVC repository above the store or, without one, above the working directory."""
    from dvc.config import Config

    for start in (root.resolve(), Path.cwd()):
        for folder in (start, *start.parents):
            if (folder / ".dvc").is_dir():
                return Config(str(folder / ".dvc")), folder
    raise DropnasError("lies in no DVC repository", where=root.resolve(), remedy="start in the checkout, or `dvc init`")


@contextmanager
def _told(what: str, where: str) -> Iterator[None]:
    """Turn what storage may raise, each kind in its own way, into one line."""
    try:
        yield
    except DropnasError:
        raise
    except Exception as error:
        text = str(error) or type(error).__name__
        raise DropnasError(f"{what} ({text})", where=where, remedy="check the DVC remote and try again") from error
