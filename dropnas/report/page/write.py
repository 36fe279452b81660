"""Writes the report page of a plan (one HTML file) and the files with its verdicts, unless they are up to date.

Design choices: the page is only a view of the store. It is not a run with an identity, so it can be made at any time.
It contains the fingerprint of its sources. Checking this fingerprint is much faster than making the page.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dropnas.artifacts.verdicts_file import VerdictsFile
from dropnas.errors import DropnasError
from dropnas.report.looked import looked_of
from dropnas.report.page.planned import Content, parse_content
from dropnas.report.page.progress import CostOf
from dropnas.runs.files import write_text
from dropnas.runs.identity import canonical_json
from dropnas.runs.store import Store

if TYPE_CHECKING:
    from dropnas.report.compare_results import Other

PAGE_FILE = "report.html"
FINGERPRINT_TAG = '<meta name="dropnas-fingerprint" content="{}">'
HEAD_CHARACTERS = 4096  # number of characters at the start of the page that are searched for the fingerprint
VERDICT_FILES = ("verdicts.md", "verdicts.csv", VerdictsFile.FILE)


def write_page(
    content: Mapping[str, Any],
    root: Path,
    out: Path | None,
    where: object,
    cost_of: CostOf,
    other: "Other | None" = None,
) -> tuple[Path, bool]:
    """Make the page of a plan, unless the existing one is up to date.

    Args:
        content: the content of plan.json.
        root: root folder of the store.
        out: the file to write, or the folder for it. None means `results/<profile>/report.html`, with `verdicts.md`,
            `.csv` and `.json` next to it.
        where: name of the plan in error messages.
        cost_of: computes the device-hours of a plan.
        other: another store whose numbers are compared with ours.

    Returns:
        The path of the page, and whether it was written.

    Raises:
        DropnasError: the page cannot read the plan, or a package that it needs is missing.
    """
    plan = parse_content(content, where)
    looked = looked_of(plan.profile, plan.looks, root)
    mark = _fingerprint([content, *(asdict(one) if one else None for one in (looked, other))], plan, root)
    file = (out / PAGE_FILE if out and out.is_dir() else out) or root / "results" / plan.profile / PAGE_FILE
    beside = [] if out else [file.with_name(name) for name in VERDICT_FILES]
    if _shows(file, mark) and all(one.is_file() for one in beside):
        return file, False
    for package in ("jinja2", "itables"):
        if find_spec(package) is None:
            raise DropnasError(f"{package} is not installed", remedy="make setup, or pip install 'dropnas[report]'")
    from dropnas.report.page.contents import gather  # imported late, because only a new page needs statistics
    from dropnas.report.page.render import render
    from dropnas.report.verdict_files import verdict_texts

    contents = gather(plan, root, cost_of, other)
    texts = verdict_texts(contents.verdicts)
    for one in beside:  # written first, because the fingerprint in the page implies that they exist
        write_text(one, texts[one.suffix])
    write_text(file, render(contents, mark))
    return file, True


def _shows(file: Path, mark: str) -> bool:
    return (
        file.is_file()
        and FINGERPRINT_TAG.format(mark) in file.read_text(encoding="utf-8", errors="replace")[:HEAD_CHARACTERS]
    )


def _fingerprint(raw: object, plan: Content, root: Path) -> str:
    """Hash `raw`, the states of the runs, and the stamps of their files and of the code in `report` and `analysis`."""
    code = Path(__file__).parent.parent
    store, folders = Store(root), [root / run.folder for run in plan.runs.values()]
    states = [store.state(run.id, folder) for run, folder in zip(plan.runs.values(), folders, strict=True)]
    stamps = [_stamps(folder) for folder in (code, code.with_name("analysis"), *folders)]
    return hashlib.sha256(canonical_json([raw, states, stamps]).encode()).hexdigest()


def _stamps(folder: Path) -> list[tuple[str, int, int]]:
    """Name, size and modification time of each file in a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc")
    return [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files]
