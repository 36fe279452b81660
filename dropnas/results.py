"""The results of a plan for people: tables, metrics and resolved parameters under `results/<profile>/`.

A copy that is refreshed after each start, never a target: what is up to date is decided by the runs themselves.
"""

from pathlib import Path

from dropnas.provenance.files import read_json, write_text
from dropnas.provenance.store import Store
from dropnas.report.publish import refresh
from dropnas.report.terminal import summary


def publish(plan_folder: Path, root: Path) -> str:
    """Copy the finished tables of a frozen plan to `results/<profile>/`.

    Returns:
        The tables in short, where they are, and which are not finished.

    Raises:
        DropnasError: the folder is no frozen plan, or a table's run is damaged.
    """
    plan, store = read_json(plan_folder / "plan.json"), Store(root)
    folders = {name: root / folder for name, folder in plan["tables"].items()}
    finished = [folder for folder in folders.values() if store.is_published(folder)]
    missing = [name for name, folder in folders.items() if folder not in finished]
    destination = root / "results" / plan["profile"]
    for folder in finished:
        store.require_intact(folder)
    refresh(finished, destination)
    write_text(destination / "parameters.yaml", (plan_folder / "parameters.yaml").read_text(encoding="utf-8"))
    lines = [summary(finished)] if finished else []
    lines += [f"Not finished: {', '.join(missing)}"] if missing else [f"All tables: {destination / 'tables'}"]
    return "\n".join(lines)
