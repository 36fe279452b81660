"""The plan as a person or a program reads it: each run with its state, each table and figure with its runs and cost.

Design choices: a line for each target, whatever it shares; what is only made on request has a section of its own, so
that nobody takes its cost for the paper's. A column that is empty everywhere is left out.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dropnas.monitor.totals import Cost
from dropnas.pipeline.plan import Plan
from dropnas.runs.identity import resolved
from dropnas.runs.store import Store

STAGES_SHOWN = {"search": "searches", "retrain": "retrainings", "transfer": "transfers"}
STATES = ("done", "running", "missing")
SHARED = "shared with others"
SHARERS = ((136, 3), (112, 1), (0, 0))  # from which width on so many names of others fit
WIDTH = 120  # columns, where the output is no terminal


WHOLE, ON_REQUEST = "the whole", "on request"
STYLES = {WHOLE: "bold", ON_REQUEST: "italic"}
Row = dict[str, Any]  # a line of the table by its headings


@dataclass(frozen=True)
class Sharing:
    """How many of all trainings of a target others use as well, and these others, the most closely related first."""

    shared: int
    all: int
    others: list[str]


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
            "state": store.state(run.id, root / run.folder),
            "config": resolved(run.config),
        }
        for run in plan.runs.values()
    ]


def print_plan(
    plan: Plan,
    runs: Sequence[dict[str, Any]],
    costs: Mapping[str, Cost],
    whole: Cost,
    notes: Sequence[str],
    *,
    requested: bool,
) -> None:
    """Show each table and figure in a line: its runs by stage, how far it is, what it costs, and what it shares.

    Args:
        runs: of the whole plan, on request or not.
        costs: of each target, those on request last.
        whole: of all that is not on request.
        notes: lines that stand under it.
        requested: whether what is made on request gets lines, too, and not only its names.
    """
    console = Console()
    console = console if console.is_terminal else Console(width=WIDTH)
    default = [run for run in runs if set(run["used_by"]) - plan.on_request]
    usual = [target for target in plan.targets if target not in plan.on_request]
    rows = [_line(target, default, costs[target], usual) for target in usual]
    rows.append({"": WHOLE, **_counts(default), **_hours(whole)})
    asked = sorted(plan.on_request, key=list(plan.targets).index)
    if requested and asked:
        rows += [{"": ON_REQUEST}, *(_line(target, runs, costs[target], list(plan.targets)) for target in asked)]
    console.print(_table(plan, rows, console.width))
    if asked and not requested:
        names = ", ".join(f"{name} {costs[name].hours} h" for name in asked)
        notes = [f"On request (--all shows them): {names}.", *notes]
    for line in notes:
        console.print(line, highlight=False)


def print_runs(runs: list[dict[str, Any]]) -> None:
    """Show every run in a line: state, folder, and the tables and figures that use it."""
    for run in runs:
        print(f"{run['state']:8} {run['folder']}  ({', '.join(run['used_by'])})")


def _table(plan: Plan, rows: Sequence[Row], width: int) -> Table:
    """The rows, with a rule before that of the whole and before those on request."""
    title = Text.assemble((plan.parameters.profile, "bold"), f": {plan.parameters.description}")
    table = Table(title=title, title_justify="left", title_style="", box=box.SIMPLE_HEAD, pad_edge=False)
    headings = [name for name in rows[0] if name in ("", "done", "hours") or any(row.get(name) for row in rows)]
    names = next(count for least, count in SHARERS if width >= least)
    for heading in headings:
        table.add_column(heading, justify="left" if heading in ("", SHARED) else "right", no_wrap=True)
    for row in rows:
        if row[""] in STYLES:
            table.add_section()
        table.add_row(*(_text(row.get(name), names) for name in headings), style=STYLES.get(row[""], ""))
    return table


def _text(value: Any, names: int) -> str:
    if isinstance(value, Sharing):
        more = f" +{len(value.others) - names}" if len(value.others) > names else ""
        return f"{value.shared} of {value.all}" + (f": {', '.join(value.others[:names])}{more}" if names else "")
    return "" if value is None else str(value) if value != 0 else "-"


def _line(target: str, runs: Sequence[dict[str, Any]], cost: Cost, others: Sequence[str]) -> Row:
    """A target's; what it shares with targets that are not among the others is not told."""
    own = [run for run in runs if target in run["used_by"]]
    return {"": target, **_counts(own), **_hours(cost), SHARED: _sharing(own, set(others) - {target})}


def _hours(cost: Cost) -> Row:
    """Hours; those to go only where something is done, since otherwise they are the same."""
    return {
        "hours": str(cost.hours),
        "added": str(cost.added),
        "to go": "" if cost.left == cost.hours else str(cost.left),
    }


def _sharing(runs: Sequence[dict[str, Any]], others: set[str]) -> Sharing | None:
    users = [others & set(run["used_by"]) for run in runs if run["stage"] in STAGES_SHOWN]
    shared = sum(bool(sharing) for sharing in users)
    names = Counter(name for sharing in users for name in sorted(sharing))
    return Sharing(shared, len(users), [name for name, _ in names.most_common()]) if shared else None


def _counts(runs: Sequence[dict[str, Any]]) -> Row:
    stages, states = Counter(run["stage"] for run in runs), Counter(run["state"] for run in runs)
    by_stage = {heading: stages[stage] for stage, heading in STAGES_SHOWN.items()}
    return {**by_stage, **{name: states[name] for name in STATES}}
