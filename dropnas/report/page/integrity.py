"""Whether a run folder is what its manifest says, as far as the page reads it.

Design choices: the page must open half-way through months of work, so it reads no weights: the sha256 of each file
below a megabyte is compared, of larger ones that they are there and of the length that their own header promises;
`verify` reads the rest. What a lightly pulled run lacks on purpose is not lost. The first fault of a folder is enough
to keep it out of every number.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy
from safetensors import SafetensorError, safe_open

from dropnas.analysis.finished_runs import read_run, read_training
from dropnas.artifacts.manifest_file import MANIFEST, ManifestFile
from dropnas.artifacts.receipt_file import RECEIPT
from dropnas.errors import DropnasError
from dropnas.report.page.planned import Planned
from dropnas.runs.authenticity import identity_faults
from dropnas.runs.files import read_json, sha256
from dropnas.runs.parts import MARK, left_out
from dropnas.runs.store import receipt_of

LIGHT = 2**20  # bytes; what is smaller is hashed
TRAININGS = ("retrain", "transfer")


def first_fault(run: Planned, folder: Path, inputs: Mapping[str, str]) -> str:
    """Why a finished run must not enter a number; empty if nothing speaks against it.

    Args:
        run: the run as it was planned.
        folder: its folder.
        inputs: the sha256 of the manifest of each input that is there, by the name of its folder.
    """
    try:
        manifest = ManifestFile.read(folder)
        return next(_faults(run, folder, manifest, inputs), "")
    except DropnasError as error:
        return str(error).replace(f"{folder}/", "")
    except OSError as error:
        return f"{Path(str(error.filename)).name}: {error.strerror}"


def _faults(run: Planned, folder: Path, manifest: ManifestFile, inputs: Mapping[str, str]) -> Iterator[str]:
    record = manifest.run
    yield from identity_faults(folder, record)
    yield from _receipt(folder)
    yield from _files(folder, manifest.files)
    yield from _inputs(record, inputs)
    if run.stage in TRAININGS:
        read_training(read_run(folder))  # a number that is none is found here, and named


def _receipt(folder: Path) -> Iterator[str]:
    if not (folder / RECEIPT).is_file():
        yield f"{RECEIPT} is missing; the next start writes it again"
        return
    if read_json(folder / RECEIPT) != receipt_of(folder):
        yield f"{RECEIPT} does not belong to the manifest beside it"


def _files(folder: Path, expected: dict[str, str]) -> Iterator[str]:
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if not path.is_dir()}
    absent = left_out(folder, expected)
    yield from (f"{name} is missing" for name in expected if name not in found and name not in absent)
    yield from (f"{name} is a link" for name, file in found.items() if file.is_symlink())
    yield from (f"{name} is not in the manifest" for name in found if name not in (*expected, MANIFEST, RECEIPT, MARK))
    for name, checksum in expected.items():
        if name in absent:
            continue
        file = found[name]
        if file.stat().st_size >= LIGHT:
            yield from _length(file, name)
        elif sha256(file) != checksum:
            yield f"{name} was changed since it was published"


def _length(file: Path, name: str) -> Iterator[str]:
    """Whether a large file is cut short; its content is not read."""
    try:
        if file.suffix == ".safetensors":
            with safe_open(file, framework="numpy"):
                return
        if file.suffix == ".npy":
            numpy.load(file, mmap_mode="r", allow_pickle=False)
    except (SafetensorError, ValueError) as error:
        yield f"{name} is cut short or damaged ({error})"


def _inputs(record: dict[str, Any], inputs: Mapping[str, str]) -> Iterator[str]:
    """The inputs that are there now must be those that the run read."""
    read = record.get("input_manifests", {})
    for name, checksum in inputs.items():
        if read.get(name) != checksum:
            yield f"it read another {name} than the one that is there now"
