"""Publishes a plan's results for readers: tables, figures, metrics and resolved parameters in `results/<profile>/`.

The folder is a copy that is refreshed after each start. It is not a target of the workflow, so its age does not affect
which runs are computed.
"""

from collections import Counter
from collections.abc import Sequence, Set
from pathlib import Path
from typing import Any

from dropnas.artifacts.verdicts_file import VerdictsFile
from dropnas.pipeline.freeze import PLAN, check
from dropnas.report.checklist import CHECKLIST, checklist_text
from dropnas.report.claims import BEYOND
from dropnas.report.config import ARCHITECTURES, names
from dropnas.report.page.planned import parse_content
from dropnas.report.page.progress import CostOf
from dropnas.report.page.survey import survey
from dropnas.report.page.write import write_page
from dropnas.report.publish import refresh, refresh_figures
from dropnas.report.terminal import summary
from dropnas.runs.authenticity import require_whole
from dropnas.runs.files import read_json, write_text
from dropnas.runs.store import Store

SAID = {"holds": "hold", "too few runs": "with too few runs"}  # plural forms, where they differ


def publish(plan_folder: Path, root: Path, cost_of: CostOf, targets: Sequence[str] = ()) -> str:
    """Copy a frozen plan's finished tables and figures to `results/<profile>/`; write the page and the checklist.

    Args:
        plan_folder: `plans/<id>`.
        targets: tables and figures to report; empty means all tables and figures of the plan.

    Returns:
        A summary: the tables in short form, their location or the unfinished targets, the path of the page, and the
            outcome of the claims.

    Raises a DropnasError if the folder is not a frozen plan, if it was changed after it was frozen, or if the run of a
    table or figure is damaged. In the last case, the page is still made and reports the damage.
    """
    check(plan_folder)
    plan = read_json(plan_folder / PLAN)
    try:
        summary_text = copy_finished(plan, plan_folder, Store(root), set(targets) & plan["folders"].keys())
    finally:
        page, written = write_page(plan, root, None, plan_folder, cost_of)
        if written or not page.with_name(CHECKLIST).is_file():
            content = parse_content(plan, plan_folder)
            write_text(page.with_name(CHECKLIST), checklist_text(content, survey(content, root)))
    return f"{summary_text}\nThe page: {page}\n{verdict(page.parent)}"


def verdict(folder: Path) -> str:
    """The outcome of the paper's claims in one sentence, from the results of a profile."""
    found = VerdictsFile.read(folder)
    claims = [claim for claim in found.claims if BEYOND not in claim.where]
    counts = Counter(claim.outcome for claim in claims)
    outcomes = ", ".join(f"{count} {SAID.get(outcome, outcome)}" for outcome, count in counts.most_common())
    warning = "" if found.reproduction else " These runs are not a reproduction of the paper."
    return f"The paper's {len(claims)} claims: {outcomes}.{warning}"


def copy_finished(plan: dict[str, Any], plan_folder: Path, store: Store, targets: Set[str] = frozenset()) -> str:
    """Copy tables, figures and parameters; return their part of the summary."""
    root, figures = store.root, names("figure")
    folders = {name: root / folder for name, folder in plan["folders"].items()}
    finished = {name: folder for name, folder in folders.items() if store.is_published(folder)}
    for folder in finished.values():
        require_whole(folder)
    destination = root / "results" / plan["profile"]
    refresh([folder for name, folder in finished.items() if name not in figures], destination)
    refresh_figures([folder for name, folder in finished.items() if name in figures], destination)
    write_text(destination / "parameters.yaml", (plan_folder / "parameters.yaml").read_text(encoding="utf-8"))
    missing = [name for name in targets or set(folders) - set(plan["on_request"]) if name not in finished]
    not_shown = {*figures, ARCHITECTURES, *(set(folders) - targets if targets else ())}
    shown = [folder for name, folder in finished.items() if name not in not_shown]
    lines = [summary(shown)] if shown else []
    lines += [f"Not finished: {', '.join(sorted(missing))}"] if missing else [f"All tables: {destination / 'tables'}"]
    return "\n".join(lines)
