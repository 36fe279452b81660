"""The plan as a person or a program reads it: each run with its state, each table with its runs."""

from collections import Counter
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from dropnas.plan import Plan
from dropnas.provenance.identity import resolved
from dropnas.provenance.lease import holder
from dropnas.provenance.store import Store

STAGES_SHOWN = ("search", "retrain", "transfer")
WIDTH = 140  # columns, where the output is no terminal


def describe_runs(plan: Plan, root: Path) -> list[dict[str, Any]]:
    """Every run of a plan as JSON values: id, stage, name, folder, inputs, used_by, state and config."""
    store, users = Store(root), plan.used_by()
    return [
        {
            "id": run.id,
            "stage": run.stage,
            "name": run.name,
            "folder": str(run.folder),
            "inputs": [source.id for source in run.inputs],
            "used_by": users[run.id],
            "state": state(store, run.id, root / run.folder),
            "config": resolved(run.config),
        }
        for run in plan.runs.values()
    ]


def state(store: Store, identity: str, folder: Path) -> str:
    """`done`, `running` or `missing`."""
    if store.is_published(folder):
        return "done"
    return "running" if holder(store.scratch(identity)) else "missing"


def print_plan(plan: Plan, runs: list[dict[str, Any]]) -> None:
    """Show each table and figure in a line: its runs by stage, what it shares, and how far it is."""
    table = Table(title=f"{plan.parameters.profile}: {plan.parameters.description}", title_justify="left")
    table.add_column("", no_wrap=True)
    for heading in ("searches", "retrainings", "transfers", "runs", "done", "running", "missing"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("shares searches and trainings with")
    for target in plan.targets:
        own = [run for run in runs if target in run["used_by"]]
        table.add_row(target, *_counts(own), _shared(target, own))
    table.add_section()
    table.add_row("together", *_counts(runs), "")
    console = Console()
    Console(width=max(console.width, WIDTH)).print(table)


def print_runs(runs: list[dict[str, Any]]) -> None:
    """Show every run in a line: state, folder, and the tables and figures that use it."""
    for run in runs:
        print(f"{run['state']:8} {run['folder']}  ({', '.join(run['used_by'])})")


def _shared(target: str, runs: list[dict[str, Any]]) -> str:
    """How many searches and trainings a table shares with each other one."""
    trained = [run for run in runs if run["stage"] in STAGES_SHOWN]
    others = Counter(user for run in trained for user in run["used_by"] if user != target)
    return ", ".join(f"{name} {others[name]}" for name in sorted(others))


def _counts(runs: list[dict[str, Any]]) -> list[str]:
    stages, states = Counter(run["stage"] for run in runs), Counter(run["state"] for run in runs)
    counts = [stages[stage] for stage in STAGES_SHOWN]
    return [str(count) for count in (*counts, len(runs), *(states[s] for s in ("done", "running", "missing")))]
