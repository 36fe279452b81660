"""The validated manifest of a run, as used by push and pull.

Design choices: other people can write to the remote, so nothing in a manifest is trusted. The manifest must belong to
the run named by the folder, and all files that it names must be inside this folder.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from dropnas.artifacts.manifest_file import MANIFEST, ManifestFile
from dropnas.errors import DropnasError
from dropnas.parsing import parse
from dropnas.runs.authenticity import identity_faults
from dropnas.runs.files import sha256
from dropnas.runs.parts import is_heavy, stage_of

FOLDER_WITH_ID = re.compile(r"(data|runs)/[A-Za-z0-9][\w.+-]*/[A-Za-z0-9][\w.+-]*-[0-9a-f]{10}")
FILE_NAME = re.compile(r"[A-Za-z0-9][\w.+-]*(/[A-Za-z0-9][\w.+-]*)*")
Problems = dict[str, str]  # maps the folder of each run left out to the reason
Made = TypeVar("Made")


@dataclass(frozen=True)
class SharedRun:
    """A run with its manifest."""

    folder: str  # relative to the root of a store
    version: str  # sha256 of the manifest; it differs between two computations of one run
    inputs: dict[str, str]  # the version of each input run, by folder name
    files: dict[str, str]  # sha256 of each file by its path in the folder, without manifest and receipt

    @property
    def key(self) -> str:
        """The key of the run on the remote."""
        return f"{self.folder}.{self.version}"

    @property
    def name(self) -> str:
        """The name of the run's folder."""
        return self.folder.rpartition("/")[2]

    def part(self, *, heavy: bool) -> list[str]:
        """The files of one part, light or heavy."""
        return [name for name in self.files if is_heavy(name) == heavy]


def read_run(root: Path, folder: str) -> SharedRun:
    """Read the manifest of a run below a root, which is a store or a staging folder.

    Raises:
        DropnasError: the manifest is missing, belongs to another run, or names a file outside the run's folder.
    """
    try:
        manifest = ManifestFile.read(root / folder)
    except DropnasError as error:
        raise DropnasError(f"its manifest cannot be read ({error.what})") from error
    record, files = manifest.run, manifest.files
    if record.get("stage") != stage_of(folder) or identity_faults(Path(folder), record):
        raise DropnasError("its manifest belongs to another run")
    for name in files:
        if not FILE_NAME.fullmatch(name):
            raise DropnasError(f"its manifest names {name!r}, which is not a valid file of a run")
    content = {"folder": folder, "version": sha256(root / folder / MANIFEST), "files": files}
    run: SharedRun = parse(SharedRun, {**content, "inputs": record.get("input_manifests", {})}, "its manifest")
    return run


def read_runs(root: Path, versions: Mapping[str, str | None]) -> tuple[list[SharedRun], Problems]:
    """Read the manifests of runs; return the valid runs, and the problems of the others.

    `versions` maps each folder to the expected version, or to None if any version is accepted.
    """

    def read(folder: str) -> SharedRun:
        version, manifest = versions[folder], root / folder / MANIFEST
        if version and (not manifest.is_file() or sha256(manifest) != version):
            raise DropnasError(f"its {MANIFEST} is not the one that was pushed")
        return read_run(root, folder)

    return attempt(versions, read)


def attempt(folders: Iterable[str], step: Callable[[str], Made]) -> tuple[list[Made], Problems]:
    """Apply a step to the folder of each run; return the results, and the runs that failed, each with its problem."""
    made, problems = [], {}
    for folder in folders:
        try:
            made.append(step(folder))
        except DropnasError as error:
            problems[folder] = str(error)
    return made, problems
