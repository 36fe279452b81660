"""What the verb `plan` prints: each table and figure with its runs, their states, what it shares, and its hours."""

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dropnas.config import Parameters, read_parameters
from dropnas.errors import DropnasError
from dropnas.monitor.costs import Cost, authors_days, basis_lines, target_costs, total_cost
from dropnas.monitor.estimate import Known, read_known
from dropnas.monitor.timings import add_measured, trusted
from dropnas.pipeline.disk import needed
from dropnas.pipeline.freeze import plan_content
from dropnas.pipeline.plan import Plan, make_plan
from dropnas.runs.store import Store

STAGES_SHOWN = {"search": "searches", "retrain": "retrainings", "transfer": "transfers"}
STATES = ("done", "running", "missing")
SHARED = "shared with others"
SHARERS = ((136, 3), (112, 1), (0, 0))  # the width from which so many names of others fit
WIDTH = 120  # columns, if the output is no terminal
TOTAL, ON_REQUEST = "total", "on request"
STYLES = {TOTAL: "bold", ON_REQUEST: "italic"}
AUTHORS = (
    "At the authors' speed the total takes {:,.0f} V100-days: 0.6 or 0.7 a search (Tables 1, 2) and, as users of such "
    "networks report, one a retraining of 600 epochs. The paper does not say what ImageNet cost."
)
Row = dict[str, str]  # a line of the table by its headings
Runs = Sequence[dict[str, Any]]


@dataclass(frozen=True)
class Question:
    """The options of the verb `plan`."""

    file: Path
    root: Path
    as_json: bool = False
    each: bool = False
    everything: bool = False
    measure: bool = False
    budget: float | None = None
    out: Path | None = None
    why: str = ""
    ladder: bool = False


def answer(asked: Question, show: Callable[[str], None]) -> None:
    """Print the answer to standard output; with --json nothing else is printed there.

    Raises:
        DropnasError: wrong parameters, a damaged manifest, an unknown run, a measurement that cannot be
            trusted, or a budget that nothing fits into.
    """
    settings = read_parameters(asked.file)
    plan = make_plan(settings)
    if asked.why:
        from dropnas.monitor.why import why_missing

        for line in why_missing(plan, asked.why, asked.root):
            show(line)
        return
    runs = described(plan, asked.root)
    known = read_known(asked.root, settings.machine)
    if asked.measure:
        _measure(known, runs, plan, partial(print, file=sys.stderr) if asked.as_json else show)
        known = read_known(asked.root, settings.machine)
    shown = runs if asked.everything else _by_default(runs, plan)
    if asked.as_json:
        estimates = known.estimates(runs)
        show(json.dumps([{**run, "hours": estimates[run["id"]].hours} for run in shown], indent=1))
    elif asked.each:
        for run in shown:
            show(f"{run['state']:8} {run['folder']}  ({', '.join(run['used_by'])})")
    elif asked.ladder or asked.budget is not None:
        for line in _ladder_or_budget(asked, settings, known):
            show(line)
    else:
        _print_plan(plan, runs, known, requested=asked.everything)
        if settings.looks and not settings.look:
            for line in _looks(plan, known):
                show(line)


def _ladder_or_budget(asked: Question, settings: Parameters, known: Known) -> Iterator[str]:
    # They import statistics, which most plans do not need.
    from dropnas.monitor.budget import fit
    from dropnas.monitor.ladder_view import fitting_lines, has_ladder, ladder_lines

    if asked.budget is None:
        yield from ladder_lines(asked.file, known)
        return
    by_steps = asked.ladder or bool(settings.looks) or has_ladder(asked.file)
    if by_steps:
        yield from fitting_lines(asked.file, known, asked.budget)
    if asked.ladder or settings.looks:
        return
    try:
        yield from fit(known, settings, asked.file, asked.budget, asked.out)
    except DropnasError as error:
        if asked.out or not by_steps:
            raise
        yield f"This file with fewer seeds: {error}."


def _looks(plan: Plan, known: Known) -> Iterator[str]:
    from dropnas.monitor.ladder_view import looks_lines, priced_alike
    from dropnas.report.looked import read_looked, text

    (own,), unit = priced_alike([plan], known)
    yield from looks_lines(own)
    yield f"Hours: {unit}."
    looked = read_looked(known.root / "results" / own.profile)
    if looked and looked.judged:
        yield text(looked)


def described(plan: Plan, root: Path) -> list[dict[str, Any]]:
    """Every run of a plan as plan.json describes it, with its state."""
    store, runs = Store(root), plan_content(plan)["runs"]
    return [{**run, "state": store.state(run["id"], root / run["folder"])} for run in runs]


def targets_text(file: Path, root: Path) -> str:
    """The targets of a parameter file, a line each: how many of its runs are done, and if it is built by default."""
    plan = make_plan(read_parameters(file))
    runs, grid = described(plan, root), Table.grid(padding=(0, 2))
    for target in plan.targets:
        own = [run["state"] for run in runs if target in run["used_by"]]
        grid.add_row(target, f"{own.count('done')} of {len(own)} runs done", "on request" * (target in plan.on_request))
    console = Console(width=WIDTH)
    with console.capture() as captured:
        console.print(grid)
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


def _by_default(runs: Runs, plan: Plan) -> Runs:
    return [run for run in runs if set(run["used_by"]) - plan.on_request]


def _measure(known: Known, runs: Runs, plan: Plan, show: Callable[[str], None]) -> None:
    """Time each kind of work on this machine and keep what can be trusted."""
    from dropnas.monitor.speed_probe import measure  # imports torch, which planning does not need

    found = measure(known.work_to_measure(runs), plan.parameters.machine, show)
    kept, refused = trusted(found)
    add_measured(known.root, kept)
    if refused:
        show(refused)


def _print_plan(plan: Plan, runs: Runs, known: Known, *, requested: bool) -> None:
    """Show each target in a line; those on request, with `requested`, in a section of their own."""
    console = Console()
    console = console if console.is_terminal else Console(width=WIDTH)
    default, estimates = _by_default(runs, plan), known.estimates(runs)
    costs, total = target_costs(runs, estimates, plan.targets), total_cost(default, estimates)
    usual = [target for target in plan.targets if target not in plan.on_request]
    asked = [target for target in plan.targets if target in plan.on_request]
    names = next(count for least, count in SHARERS if console.width >= least)
    rows = [_line(target, default, costs[target], usual, names) for target in usual]
    rows.append({"": TOTAL, **_counts(default), **_hours(total)})
    if requested and asked:
        rows += [{"": ON_REQUEST}, *(_line(one, runs, costs[one], list(plan.targets), names) for one in asked)]
    console.print(_table(plan, rows))
    lines = [*basis_lines(known, default, estimates), *_disk_lines(plan, known.root)]
    if asked and not requested:
        hours = ", ".join(f"{name} {costs[name].hours} h" for name in asked)
        lines.insert(0, f"On request (--all shows them): {hours}.")
    if plan.parameters.reproduction:
        lines.append(AUTHORS.format(sum(authors_days(default).values())))
    for line in lines:
        console.print(line, highlight=False)


def _disk_lines(plan: Plan, root: Path) -> list[str]:
    disk = needed(plan.by_default().runs.values(), root)
    return [f"Disk: about {disk.size / 1e9:,.1f} GB in {disk.files:,} files and folders."] if disk.files else []


def _table(plan: Plan, rows: Sequence[Row]) -> Table:
    """The rows, with a line before the total and before those on request. A column that is empty is left out."""
    title = Text.assemble((plan.parameters.profile, "bold"), f": {plan.parameters.description}")
    table = Table(title=title, title_justify="left", title_style="", box=box.SIMPLE_HEAD, pad_edge=False)
    always = ("", "done", "hours")
    headings = [name for name in rows[0] if name in always or any(row.get(name, "") not in ("", "-") for row in rows)]
    for heading in headings:
        table.add_column(heading, justify="left" if heading in ("", SHARED) else "right", no_wrap=True)
    for row in rows:
        if row[""] in STYLES:
            table.add_section()
        table.add_row(*(row.get(name, "") for name in headings), style=STYLES.get(row[""], ""))
    return table


def _line(target: str, runs: Runs, cost: Cost, others: Sequence[str], names: int) -> Row:
    own = [run for run in runs if target in run["used_by"]]
    return {"": target, **_counts(own), **_hours(cost), SHARED: _sharing(own, set(others) - {target}, names)}


def _counts(runs: Runs) -> Row:
    stages, states = Counter(run["stage"] for run in runs), Counter(run["state"] for run in runs)
    counts = {heading: stages[stage] for stage, heading in STAGES_SHOWN.items()} | {one: states[one] for one in STATES}
    return {name: str(count or "-") for name, count in counts.items()}


def _hours(cost: Cost) -> Row:
    """Hours; those left only if something is done, since otherwise they are the same."""
    return {"hours": str(cost.hours), "added": str(cost.added), "left": str(cost.left) * (cost.left != cost.hours)}


def _sharing(runs: Runs, others: set[str], names: int) -> str:
    """How many trainings others use as well, and these others, the most closely related first."""
    users = [sorted(others & set(run["used_by"])) for run in runs if run["stage"] in STAGES_SHOWN]
    found = [name for name, _ in Counter(name for sharing in users for name in sharing).most_common()]
    if not found:
        return ""
    more = f" +{len(found) - names}" if len(found) > names else ""
    return f"{sum(map(bool, users))} of {len(users)}" + (f": {', '.join(found[:names])}{more}" if names else "")
