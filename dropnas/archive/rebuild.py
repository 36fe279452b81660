"""Rebuilds the tables, figures and page of an archive, and reports whether they equal the published ones."""

from collections.abc import Callable, Sequence
from pathlib import Path

from dropnas.archive.archive_file import PARAMETERS, RESULTS_FOLDER, Archive, opened
from dropnas.archive.unpack import Unpacked, unpack
from dropnas.artifacts.looks_file import LooksFile
from dropnas.config import read_parameters
from dropnas.errors import DropnasError
from dropnas.pipeline.execute import execute
from dropnas.pipeline.looks import judge_again
from dropnas.pipeline.publish_results import publish
from dropnas.report.looked import write_looked
from dropnas.report.page.progress import CostOf
from dropnas.report.page.write import PAGE_FILE
from dropnas.runs.files import sha256

MOST_NAMED = 5  # at most this many differing files are listed by name


def rebuild(
    file: Path, root: Path, cost_of: CostOf, progress: Callable[[str], None], targets: Sequence[str] = ()
) -> str:
    """Unpack an archive into the store at `root`, compute its tables and figures, and write its results and page.

    Args:
        cost_of: computes the device-hours of a plan, for the page.
        progress: receives a line for each table or figure.
        targets: tables and figures to summarise; empty means all.

    Returns:
        A report: the summary from `publish`, and whether the results equal those of the archive.

    Raises:
        DropnasError: the archive was edited, or a table cannot be computed.
    """
    with opened(file) as archive:
        unpacked = unpack(archive, root)
        if execute(unpacked.specs, root, progress):
            raise DropnasError("not all tables and figures could be rebuilt", where=file, remedy="see the lines above")
        looks = _looks(archive, unpacked, root)
        published = publish(root / unpacked.plan, root, cost_of, targets)
    lines = [
        published,
        f"From the archive: {unpacked.runs} runs, checked. Rebuilt: {len(unpacked.specs)} tables and figures.",
        f"Not rebuilt, because another version of the code made them: {', '.join(unpacked.kept)}."
        if unpacked.kept
        else "",
        _difference(archive, root),
        looks,
    ]
    return "\n".join(filter(None, lines))


def _looks(archive: Archive, unpacked: Unpacked, root: Path) -> str:
    """Judge the looks of a sequential plan again; if the result differs, keep the archive's record."""
    folder = f"{RESULTS_FOLDER}/{unpacked.profile}"
    name = f"{folder}/{LooksFile.FILE}"
    if name not in archive.sums:
        return ""
    looks = LooksFile.of_text(archive.read(name).decode(), f"{archive.file}: {name}")
    if judge_again(read_parameters(root / unpacked.plan / PARAMETERS), root) == looks:
        return f"Looks: {looks.judged}, judged again with the same result."
    write_looked(looks, root / folder)
    return f"Looks: {looks.judged}, copied from the archive; this code cannot judge them again."


def _difference(archive: Archive, root: Path) -> str:
    """Name the results that differ from the archive's, except the page, which contains the time and the machine."""
    differ = [
        name
        for name, checksum in archive.sums.items()
        if name.startswith(f"{RESULTS_FOLDER}/") and not name.endswith(f"/{PAGE_FILE}")
        if not (root / name).is_file() or sha256(root / name) != checksum
    ]
    named = ", ".join(differ[:MOST_NAMED]) + (
        f" and {len(differ) - MOST_NAMED} more" if len(differ) > MOST_NAMED else ""
    )
    return f"Different from the archive: {named}." if differ else "The results equal the archive's, byte for byte."
