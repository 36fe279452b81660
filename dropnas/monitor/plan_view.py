"""What the verb `plan` prints: each table and figure with its runs, their states, what it shares, and its hours."""

import gc
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from dropnas.config import read_parameters
from dropnas.monitor import screen
from dropnas.monitor.costs import Cost, authors_days, basis_lines, target_costs, total_cost
from dropnas.monitor.estimate import Known, read_known
from dropnas.monitor.timings import add_measured, trusted
from dropnas.pipeline.disk import needed
from dropnas.pipeline.freeze import plan_content
from dropnas.pipeline.plan import Plan, make_plan
from dropnas.runs.store import Store

STAGES_SHOWN = ("search", "retrain", "transfer")
STATES = ("done", "running", "missing")
AUTHORS = (
    "At the authors' speed the total takes {:,.0f} V100-days: 0.6 or 0.7 a search (Tables 1, 2) and, as users of such "
    "networks report, one a retraining of 600 epochs. The paper does not say what ImageNet cost."
)
COLLECTED = (100_000, 20, 20)  # syntax trees and plans are kept: rarer garbage collections save a fifth of the time
Runs = Sequence[dict[str, Any]]
LEAST = ("added", "shared", "running")  # columns that a narrow terminal does without
Row = dict[str, str]  # a line of the table by its headings
Show = Callable[[RenderableType], None]


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


def answer(asked: Question, show: Show | None = None) -> None:
    """Print the answer to standard output; with --json nothing else is printed there.

    Args:
        show: prints a part of it; by default on the terminal.

    Raises:
        DropnasError: wrong parameters, a damaged manifest, an unknown run, a measurement that cannot be
            trusted, or a budget that nothing fits into.
    """
    show = show or screen.show
    gc.set_threshold(*COLLECTED)
    for part in _parts(asked, show):
        if isinstance(part, str) and (asked.as_json or asked.each):
            print(part)  # for a program to read: never wrapped
        else:
            show(part)


def _parts(asked: Question, show: Show) -> Iterator[RenderableType]:
    settings = read_parameters(asked.file)
    if asked.ladder or asked.budget is not None:
        yield from _ladder_or_budget(asked, read_known(asked.root, settings.machine))
        return
    plan = make_plan(settings)
    if asked.why:
        from dropnas.monitor.why import why_missing

        yield from why_missing(plan, asked.why, asked.root)
        return
    runs, known = described(plan, asked.root), read_known(asked.root, settings.machine)
    if asked.measure:
        _measure(known, runs, plan, partial(print, file=sys.stderr) if asked.as_json else show)
        known = read_known(asked.root, settings.machine)
    shown = runs if asked.everything else _by_default(runs, plan)
    if asked.as_json:
        estimates = known.estimates(runs)
        yield json.dumps([{**run, "hours": estimates[run["id"]].hours} for run in shown], indent=1)
    elif asked.each:
        yield from (f"{run['state']:8} {run['folder']}  ({', '.join(run['used_by'])})" for run in shown)
    else:
        yield from _plan(plan, runs, known, requested=asked.everything)
        if settings.looks and not settings.look:
            yield from _looks(plan, known)


def _ladder_or_budget(asked: Question, known: Known) -> Iterator[RenderableType]:
    # They import statistics, which most plans do not need.
    from dropnas.monitor.budget import fit
    from dropnas.monitor.ladder_view import fitting_lines, has_ladder, ladder_lines

    settings = read_parameters(asked.file)
    if asked.budget is None:
        yield from ladder_lines(asked.file, known)
    elif asked.ladder or settings.looks or has_ladder(asked.file):
        yield from fitting_lines(asked.file, known, asked.budget, asked.out)
    else:
        yield from fit(known, settings, asked.file, asked.budget, asked.out)


def _looks(plan: Plan, known: Known) -> Iterator[RenderableType]:
    from dropnas.monitor.ladder_view import Measure, looks_lines, priced_alike
    from dropnas.report.looked import read_looked, text

    measure = Measure.of([plan], known)
    (own,) = priced_alike([plan], measure)
    yield from looks_lines(own)
    yield f"Hours: {measure.unit}."
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
    return screen.text(grid)


def _by_default(runs: Runs, plan: Plan) -> Runs:
    return [run for run in runs if set(run["used_by"]) - plan.on_request]


def _measure(known: Known, runs: Runs, plan: Plan, show: Show) -> None:
    """Time each kind of work on this machine and keep what can be trusted."""
    from dropnas.monitor.speed_probe import measure  # imports torch, which planning does not need

    found = measure(known.work_to_measure(runs), plan.parameters.machine, show)
    kept, refused = trusted(found)
    add_measured(known.root, kept)
    if refused:
        show(refused)


def _plan(plan: Plan, runs: Runs, known: Known, *, requested: bool) -> Iterator[RenderableType]:
    """Each target in a line; those on request, with `requested`, in a section of their own."""
    default, estimates = _by_default(runs, plan), known.estimates(runs)
    costs, total = target_costs(runs, estimates, plan.targets), total_cost(default, estimates)
    usual = [target for target in plan.targets if target not in plan.on_request]
    more = [target for target in plan.targets if target in plan.on_request]
    rows = [_line(target, default, costs[target], usual) for target in usual]
    rows.append({"": "total", **_counts(default), **_hours(total)})
    rows += [_line(target, runs, costs[target], list(plan.targets)) for target in more if requested]
    yield Text.assemble((plan.parameters.profile, "bold"), f": {plan.parameters.description}")
    yield _table(rows, len(usual), screen.console().width)
    if more and not requested:
        yield f"On request (--all): {', '.join(f'{name} {costs[name].hours} h' for name in more)}."
    yield from basis_lines(known, default, estimates)
    disk = needed(plan.by_default().runs.values(), known.root)
    if disk.files:
        yield f"Disk: about {disk.size / 1e9:,.1f} GB in {disk.files:,} files and folders."
    if plan.parameters.reproduction:
        yield AUTHORS.format(sum(authors_days(default).values()))


def _table(rows: Sequence[Row], total: int, width: int) -> Table:
    """The rows, with a line before and after the total, the row of this number; in full, or what fits the width."""
    brief = [{**row, "shared": row.get("shared", "").partition(":")[0]} for row in rows]
    for kept, without in ((rows, ()), (brief, ()), (brief, ("added",)), (brief, LEAST)):
        table = _of_columns(kept, total, without)
        if screen.width_of(table) <= width:
            break
    return table


def _of_columns(rows: Sequence[Row], total: int, without: tuple[str, ...]) -> Table:
    """A column that is empty is left out, too."""
    always = ("", "done", "hours")
    filled = [name for name in rows[0] if name in always or any(row.get(name, "") not in ("", "-") for row in rows)]
    heads = [name for name in filled if name not in without]
    table = screen.table(*heads, left=("shared",))
    for at, row in enumerate(rows):
        if at in (total, total + 1):
            table.add_section()
        table.add_row(*(row.get(name, "") for name in heads), style="bold" if at == total else "")
    return table


def _line(target: str, runs: Runs, cost: Cost, others: Sequence[str]) -> Row:
    own = [run for run in runs if target in run["used_by"]]
    sharing = _sharing(own, set(others) - {target})
    return {"": target, **_counts(own), **_hours(cost), "shared": sharing}


def _counts(runs: Runs) -> Row:
    stages, states = Counter(run["stage"] for run in runs), Counter(run["state"] for run in runs)
    counts = {stage: stages[stage] for stage in STAGES_SHOWN} | {one: states[one] for one in STATES}
    return {name: str(count or "-") for name, count in counts.items()}


def _hours(cost: Cost) -> Row:
    """Hours; those left only if something is done, since otherwise they are the same."""
    return {"hours": str(cost.hours), "added": str(cost.added), "left": str(cost.left) * (cost.left != cost.hours)}


def _sharing(runs: Runs, others: set[str]) -> str:
    """How many trainings others use as well, and the most closely related of these others."""
    users = [sorted(others & set(run["used_by"])) for run in runs if run["stage"] in STAGES_SHOWN]
    found = [name for name, _ in Counter(name for sharing in users for name in sharing).most_common()]
    more = f" +{len(found) - 1}" if len(found) > 1 else ""
    return f"{sum(map(bool, users))} of {len(users)}: {found[0]}{more}" if found else ""
