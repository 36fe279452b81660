"""Writes the report page of a plan (one HTML file) and its verdicts as files, only if their content has changed.

Design choices: the page is a view of the store and not a run. It can be made at any moment, so it has no identity and
no table waits for it. The page contains the fingerprint of its sources: a check takes a fraction of a second, making
the page a few.
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
from dropnas.report.page.planned import parse_content
from dropnas.report.page.progress import CostOf
from dropnas.report.page.survey import fingerprint
from dropnas.runs.files import write_text

if TYPE_CHECKING:
    from dropnas.report.compare_results import Other

PAGE = "report.html"
REMEDY = "make setup, or pip install 'dropnas[report]'"
MARK = '<meta name="dropnas-fingerprint" content="{}">'
HEAD = 4096  # characters at the start that contain the fingerprint
VERDICTS = ("verdicts.md", "verdicts.csv", VerdictsFile.FILE)
CODE = (".py", ".yaml", ".j2", ".css", ".js")


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
        out: the file to write, or the folder for it; None is `results/<profile>/report.html`. `verdicts.md`, `.csv` and
            `.json` are written next to it.
        where: name of the plan in errors.
        cost_of: computes the device-hours of a plan.
        other: another store whose numbers are compared with ours.

    Returns:
        The path of the page, and whether it was written.

    Raises:
        DropnasError: the page cannot read the plan, or a package that it needs is missing.
    """
    plan = parse_content(content, where)
    looked = looked_of(plan.profile, plan.looks, root)
    beside_it = [asdict(one) if one else None for one in (looked, other)]
    mark = fingerprint([content, *beside_it, _code()], plan, root)
    file = (out / PAGE if out and out.is_dir() else out) or root / "results" / plan.profile / PAGE
    beside = [] if out else [file.with_name(name) for name in VERDICTS]
    if _shows(file, mark) and all(one.is_file() for one in beside):
        return file, False
    if find_spec("jinja2") is None:
        raise DropnasError("jinja2 is not installed", remedy=REMEDY)
    from dropnas.report.page.contents import gather  # imports statistics and templates, needed only when a page is made
    from dropnas.report.page.render import render
    from dropnas.report.verdict_files import verdict_texts

    contents = gather(plan, root, cost_of, other)
    texts = verdict_texts(contents.verdicts)
    for one in beside:  # written before the page, whose fingerprint implies that they exist
        write_text(one, texts[one.suffix])
    write_text(file, render(contents, mark))
    return file, True


def _shows(file: Path, mark: str) -> bool:
    return file.is_file() and MARK.format(mark) in file.read_text(encoding="utf-8", errors="replace")[:HEAD]


def _code() -> str:
    """Hash of the code that makes the page and its numbers."""
    package = Path(__file__).parent.parent
    files = [path for folder in (package, package.with_name("analysis")) for path in sorted(folder.rglob("*"))]
    digest = hashlib.sha256()
    for file in files:
        if file.suffix in CODE:
            digest.update(f"{file.name} ".encode() + file.read_bytes())
    return digest.hexdigest()
