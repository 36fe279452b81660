"""Packs a reproduction into one file for publication: its runs without weights, results, frozen plan and metadata.

Design choices: every run is checked against its manifest and its name. One damaged run ends the packing, because
published data should be intact. Receipts are made from the manifests. The same store gives the same bytes.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dropnas.archive.agreement import require_agreement
from dropnas.archive.archive_file import write_archive
from dropnas.archive.crate import CRATE, crate_text
from dropnas.archive.deposit import README, ZENODO, readme_text, zenodo_text
from dropnas.archive.reproduction import Citation, Reproduction
from dropnas.artifacts.manifest_file import MANIFEST, ManifestFile
from dropnas.artifacts.receipt_file import RECEIPT
from dropnas.errors import DropnasError
from dropnas.pipeline.freeze import PLAN, freeze
from dropnas.pipeline.jobs import DONE
from dropnas.pipeline.publish_results import publish, verdict
from dropnas.pipeline.starts import current
from dropnas.report.page.progress import CostOf
from dropnas.runs.files import read_json
from dropnas.runs.fingerprint import PACKAGE, module_file
from dropnas.runs.store import Store, receipt_of
from dropnas.sharing.shared_run import SharedRun, read_run

CITATION, LICENSE = "CITATION.cff", "LICENSE"


@dataclass(frozen=True)
class Packed:
    """The archive that was written, its size in bytes, the number of runs in it, and of runs in the plan."""

    file: Path
    size: int
    runs: int
    planned: int


def pack(source: Path, root: Path, out: Path | None, cost_of: CostOf) -> Packed:
    """Refresh the results of a plan and write its archive.

    Args:
        source: a parameter file, which stands for its newest look, or a frozen plan (`plans/<id>` below the root).
        root: root folder of the store.
        out: the file to write; None means `<profile>.crate.zip` in the root.
        cost_of: computes the device-hours of a plan, for the page.

    Raises:
        DropnasError: no run of the plan is finished, one is damaged, or `CITATION.cff` is missing.
    """
    folder = root / (freeze(current(source, root), root) if source.is_file() else source)
    publish(folder, root, cost_of)
    plan = read_json(folder / PLAN)
    finished = [run["folder"] for run in plan["runs"] if Store(root).is_published(root / run["folder"])]
    if not finished:
        raise DropnasError("no run of this plan is finished", where=source, remedy=f"start it with: run {source}")
    made = _reproduction(plan, f"plans/{folder.name}", finished, root)
    content = dict(_runs(finished, root)) | dict(_copies(made, folder, root))
    file = out or root / f"{made.profile}.crate.zip"
    write_archive(file, content | _metadata(made, sorted(content)))
    return Packed(file, file.stat().st_size, len(finished), made.planned)


def _reproduction(plan: dict[str, Any], folder: str, finished: list[str], root: Path) -> Reproduction:
    return Reproduction(
        profile=plan["profile"],
        plan=folder,
        planned=sum(not set(run["used_by"]) <= set(plan["on_request"]) for run in plan["runs"]),
        records={name: ManifestFile.read(root / name).run for name in finished},
        verdict=verdict(root / "results" / plan["profile"]),
        citation=Citation.read(project() / CITATION),
    )


def _copies(made: Reproduction, folder: Path, root: Path) -> Iterator[tuple[str, bytes]]:
    """The files of the frozen plan and of the results."""
    results = f"results/{made.profile}"
    yield from ((f"{made.plan}/{name}", data) for name, data in _files(folder) if not name.startswith(f"{DONE}/"))
    yield from ((f"{results}/{name}", data) for name, data in _files(root / results))


def project() -> Path:
    """The checkout that holds the package."""
    package = module_file(PACKAGE)
    assert package is not None  # this package is installed
    return package.parent.parent


def _runs(folders: list[str], root: Path) -> Iterator[tuple[str, bytes]]:
    """The light files of finished runs, each checked."""
    runs = [_checked(root, folder) for folder in folders]
    require_agreement(runs, root, "run verify, which names such runs")
    for run in runs:
        for name in (*run.part(heavy=False), MANIFEST):
            yield f"{run.folder}/{name}", (root / run.folder / name).read_bytes()
        receipt = json.dumps(receipt_of(root / run.folder), indent=2, sort_keys=True) + "\n"
        yield f"{run.folder}/{RECEIPT}", receipt.encode()


def _checked(root: Path, folder: str) -> SharedRun:
    Store(root).require_intact(root / folder)
    try:
        return read_run(root, folder)
    except DropnasError as error:
        raise DropnasError(str(error), where=root / folder, remedy="run verify, which names such runs") from error


def _files(folder: Path) -> Iterator[tuple[str, bytes]]:
    """The files in a folder, except hidden ones and those that Python leaves behind."""
    for file in sorted(folder.rglob("*")):
        name = file.relative_to(folder)
        if file.is_file() and not any(part.startswith(".") or part == "__pycache__" for part in name.parts):
            yield name.as_posix(), file.read_bytes()


def _metadata(made: Reproduction, names: list[str]) -> dict[str, bytes]:
    """The metadata files of an archive: for readers, for a data repository, and for programs."""
    texts = {name: (project() / name).read_bytes() for name in (CITATION, LICENSE) if (project() / name).is_file()}
    texts |= {README: readme_text(made).encode(), ZENODO: zenodo_text(made).encode()}
    return texts | {CRATE: crate_text(made, [*names, *texts]).encode()}
