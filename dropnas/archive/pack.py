"""Packs a reproduction into one file for publication: results, frozen plan, metadata and runs (without weights).

Design choices: every run is checked against its manifest and its name, and a damaged run raises an error. The receipts
of the runs (`run.json`) are made from the manifests. The same store always gives the same bytes.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dropnas.archive.archive_file import RESULTS_FOLDER, write_archive
from dropnas.archive.crate import crate_text
from dropnas.archive.reproduction import CRATE, Citation, Reproduction
from dropnas.artifacts.manifest_file import MANIFEST, ManifestFile
from dropnas.artifacts.receipt_file import RECEIPT
from dropnas.errors import DropnasError
from dropnas.pipeline.freeze import PLAN, freeze
from dropnas.pipeline.jobs import DONE_FOLDER
from dropnas.pipeline.publish_results import publish, verdict
from dropnas.pipeline.starts import current
from dropnas.report.page.planned import parse_content
from dropnas.report.page.progress import CostOf
from dropnas.runs.authenticity import identity_faults, input_faults
from dropnas.runs.files import read_json, sha256
from dropnas.runs.fingerprint import PACKAGE, module_file
from dropnas.runs.parts import is_heavy
from dropnas.runs.store import Store, receipt_of

CITATION, LICENSE = "CITATION.cff", "LICENSE"


@dataclass(frozen=True)
class Packed:
    """An archive that was written."""

    file: Path
    size: int  # in bytes
    runs: int  # number of runs in the archive
    planned: int  # number of runs in the plan


def pack(source: Path, root: Path, out: Path | None, cost_of: CostOf) -> Packed:
    """Refresh the results of a plan and write its archive.

    Args:
        source: a parameter file, or a frozen plan (`plans/<id>` below the root). For the parameter file of a sequential
            plan, the latest look is packed.
        root: root folder of the store.
        out: the file to write; None means `<profile>.crate.zip` in the root.
        cost_of: computes the device-hours of a plan, for the page.

    Raises:
        DropnasError: no run of the plan is finished, a run is damaged, or `CITATION.cff` is missing.
    """
    folder = root / (freeze(current(source, root), root) if source.is_file() else source)
    publish(folder, root, cost_of)
    plan = parse_content(read_json(folder / PLAN), folder)
    finished = [run.folder for run in plan.runs.values() if Store(root).is_published(root / run.folder)]
    if not finished:
        raise DropnasError("no run of this plan is finished", where=source, remedy=f"run {source} first")
    results = f"{RESULTS_FOLDER}/{plan.profile}"
    made = Reproduction(
        profile=plan.profile,
        plan=f"plans/{folder.name}",
        planned=sum(map(plan.by_default, plan.runs.values())),
        records={name: ManifestFile.read(root / name).run for name in finished},
        verdict=verdict(root / results),
        citation=Citation.read(project() / CITATION),
    )
    content = dict(_runs(finished, root)) | dict(_files(folder, made.plan)) | dict(_files(root / results, results))
    file = out or root / f"{made.profile}.crate.zip"
    write_archive(file, content | _metadata(made, sorted(content)))
    return Packed(file, file.stat().st_size, len(finished), made.planned)


def project() -> Path:
    """The checkout that holds the package."""
    package = module_file(PACKAGE)
    assert package is not None  # this package is installed
    return package.parent.parent


def _runs(folders: list[str], root: Path) -> Iterator[tuple[str, bytes]]:
    """Check finished runs, and yield their files except weights and images."""
    versions = {Path(name).name: sha256(root / name / MANIFEST) for name in folders}
    for name in folders:
        folder, manifest = root / name, ManifestFile.read(root / name)
        faults = identity_faults(folder, manifest.run) + input_faults(manifest.run, versions)
        for fault in faults + Store(root).damage(folder):
            raise DropnasError(
                fault.removeprefix(f"{folder}/"), where=folder, remedy="run verify, which lists all damaged runs"
            )
        for file in (MANIFEST, *(one for one in manifest.files if not is_heavy(one))):
            yield f"{name}/{file}", (folder / file).read_bytes()
        yield f"{name}/{RECEIPT}", f"{json.dumps(receipt_of(folder), indent=2, sort_keys=True)}\n".encode()


def _files(folder: Path, name: str) -> Iterator[tuple[str, bytes]]:
    """The files in a folder, except hidden files, the markers of finished jobs, and bytecode."""
    for file in sorted(folder.rglob("*")):
        parts = file.relative_to(folder).parts
        if (
            file.is_file()
            and parts[0] != DONE_FOLDER
            and not any(one[0] == "." or one == "__pycache__" for one in parts)
        ):
            yield "/".join((name, *parts)), file.read_bytes()


def _metadata(made: Reproduction, names: list[str]) -> dict[str, bytes]:
    """The metadata files of an archive, for readers, data repositories and programs."""
    texts = {name: (project() / name).read_bytes() for name in (CITATION, LICENSE) if (project() / name).is_file()}
    texts |= {"README.md": made.readme().encode(), ".zenodo.json": made.zenodo().encode()}
    return texts | {CRATE: crate_text(made, [*names, *texts]).encode()}
