"""What the verb `plan` prints: each table and figure with its runs, their states, what it shares, and its hours."""

import gc
import itertools
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from dropnas.config import read_parameters
from dropnas.monitor import screen
from dropnas.monitor.costs import Cost, Runs, authors_days, basis_lines, target_costs, total_cost
from dropnas.monitor.estimate import Known, add_measured, read_known, trusted
from dropnas.monitor.work import COSTLY
from dropnas.pipeline.disk import needed
from dropnas.pipeline.freeze import plan_content
from dropnas.pipeline.plan import Plan, make_plan
from dropnas.runs.store import Store

STATES = ("done", "running", "missing")
AUTHORS = (
    "At the authors' speed the total takes {:,.0f} V100-days: 0.6 or 0.7 a search (Tables 1, 2) and, as users of such "
    "networks report, one a retraining of 600 epochs. The paper does not say what ImageNet cost."
)
COLLECTED = (100_000, 20, 20)  # syntax trees and plans are kept: rarer garbage collections save a fifth of the time
ALWAYS = ("", "done", "hours")  # columns that are shown even if they are empty
NARROW = ((), ("added",), ("added", "shared", "running"))  # what a terminal does without, the narrower the more
Row = dict[str, str]  # a line of the table by its headings


def answer(
    file: Path,
    root: Path,
    *,
    as_json: bool = False,
    each: bool = False,
    everything: bool = False,
    measure: bool = False,
    budget: float | None = None,
    out: Path | None = None,
    why: str = "",
    ladder: bool = False,
) -> Iterator[RenderableType]:
    """What the verb `plan` says to its options, part by part."""
    gc.set_threshold(*COLLECTED)
    settings = read_parameters(file)
    known = read_known(root, settings.machine)
    if ladder or budget is not None:  # these import statistics, which most plans do not need
        from dropnas.monitor import budget as reduction
        from dropnas.monitor import ladder_view

        if budget is None:
            yield from ladder_view.ladder_lines(file, known)
        elif ladder or settings.looks or ladder_view.has_ladder(file):
            yield from ladder_view.fitting_lines(file, known, budget, out)
        else:
            yield from reduction.fit(known, settings, file, budget, out)
    elif why:
        from dropnas.monitor.why import why_missing

        yield from why_missing(make_plan(settings), why, root)
    else:
        plan = make_plan(settings)
        if measure:
            known = _measured(known, plan, partial(print, file=sys.stderr) if as_json else screen.show)
        runs = described(plan, root)
        shown = runs if everything else _by_default(runs, plan)
        if as_json:
            hours = {id_: one.hours for id_, one in known.estimates(runs).items()}
            yield json.dumps([{**run, "hours": hours[run["id"]]} for run in shown], indent=1)
        elif each:
            yield from (f"{run['state']:8} {run['folder']}  ({', '.join(run['used_by'])})" for run in shown)
        else:
            yield from _plan(plan, runs, known, requested=everything)


def described(plan: Plan, root: Path) -> list[dict[str, Any]]:
    """Every run of a plan as plan.json describes it, with its state."""
    store, runs = Store(root), plan_content(plan)["runs"]
    return [{**run, "state": store.state(run["id"], root / run["folder"])} for run in runs]


def targets(file: Path, root: Path) -> Table:
    """The targets of a parameter file, a line each: how many of its runs are done, and if it is built by default."""
    plan, grid = make_plan(read_parameters(file)), Table.grid(padding=(0, 2))
    runs = described(plan, root)
    for name in plan.targets:
        own = [run["state"] for run in _of(name, runs)]
        grid.add_row(name, f"{own.count('done')} of {len(own)} runs done", "on request" * (name in plan.on_request))
    return grid


def _of(target: str, runs: Runs) -> Runs:
    return [run for run in runs if target in run["used_by"]]


def _by_default(runs: Runs, plan: Plan) -> Runs:
    return [run for run in runs if set(run["used_by"]) - plan.on_request]


def _measured(known: Known, plan: Plan, show: Callable[[str], None]) -> Known:
    """What is known after each kind of work was timed on this machine; what can be trusted is kept."""
    from dropnas.monitor.speed_probe import measure  # imports torch, which planning does not need

    machine = plan.parameters.machine
    kept, refused = trusted(measure(known.work_to_measure(plan_content(plan)["runs"]), machine, show))
    add_measured(known.root, kept)
    if refused:
        show(refused)
    return read_known(known.root, machine)


def _plan(plan: Plan, runs: Runs, known: Known, *, requested: bool) -> Iterator[RenderableType]:
    """Each target in a line; those on request, with `requested`, below the total."""
    default, estimates, settings = _by_default(runs, plan), known.estimates(runs), plan.parameters
    costs, own = target_costs(runs, estimates, plan.targets), {name: _of(name, runs) for name in plan.targets}
    usual = [name for name in plan.targets if name not in plan.on_request]
    rows = [_row(name, own[name], costs[name], usual) for name in usual]
    rows.append(_row("total", default, total_cost(default, estimates), ()))
    more = [name for name in plan.targets if name in plan.on_request]
    rows += [_row(name, own[name], costs[name], plan.targets) for name in more if requested]
    yield Text.assemble((settings.profile, "bold"), f": {settings.description}")
    yield _table(rows, len(usual), screen.console().width)
    if more and not requested:
        yield f"On request (--all): {', '.join(f'{name} {costs[name].hours} h' for name in more)}."
    yield from basis_lines(known, default, estimates)
    disk = needed(plan.by_default().runs.values(), known.root)
    if disk.files:
        yield f"Disk: about {disk.size / 1e9:,.1f} GB in {disk.files:,} files and folders."
    if settings.reproduction:
        yield AUTHORS.format(sum(authors_days(default).values()))
    if settings.looks and not settings.look:
        from dropnas.monitor.ladder_view import looks_lines

        yield from looks_lines(plan, known)


def _row(name: str, runs: Runs, cost: Cost, targets: Iterable[str]) -> Row:
    """Counts, hours (those left only if something is done, since otherwise they are the same), and what is shared."""
    counts = Counter(value for run in runs for value in (run["stage"], run["state"]))
    row = {"": name} | {key: str(counts[key] or "-") for key in (*COSTLY, *STATES)}
    row |= {"hours": str(cost.hours), "added": str(cost.added), "left": str(cost.left) * (cost.left != cost.hours)}
    users = [sorted(set(targets) & set(run["used_by"]) - {name}) for run in runs if run["stage"] in COSTLY]
    related = [other for other, _ in Counter(itertools.chain(*users)).most_common()]
    more = f" +{len(related) - 1}" if len(related) > 1 else ""
    return row | {"shared": f"{sum(map(bool, users))} of {len(users)}: {related[0]}{more}" if related else ""}


def _table(rows: Sequence[Row], total: int, width: int) -> Table:
    """The rows, with a line before and after the total, the row of this number; in full, or what fits the width."""
    filled = [name for name in rows[0] if name in ALWAYS or any(row[name] not in ("", "-") for row in rows)]
    brief = [{**row, "shared": row["shared"].partition(":")[0]} for row in rows]
    for kept, without in ((rows, ()), *((brief, names) for names in NARROW)):
        heads = [name for name in filled if name not in without]
        table = screen.table(*heads, left=("shared",))
        for at, row in enumerate(kept):
            cells = (row[name] for name in heads)
            table.add_row(*cells, style="bold" * (at == total), end_section=at in (total - 1, total))
        if Console(width=1000).measure(table).maximum <= width:  # the columns that it takes if nothing is wrapped
            break
    return table
