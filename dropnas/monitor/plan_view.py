"""The output of the verb `plan`: each table and figure with its runs, their states, and the hours."""

import gc
import json
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from pandas import DataFrame
from rich.console import Console, RenderableType
from rich.text import Text

from dropnas.config import read_parameters
from dropnas.monitor import screen
from dropnas.monitor.costs import TOTAL, basis_lines, costs
from dropnas.monitor.estimate import Known, add_measured, read_known
from dropnas.pipeline.disk import needed
from dropnas.pipeline.freeze import descriptions
from dropnas.pipeline.plan import Plan, make_plan
from dropnas.runs.store import Store

AUTHORS_TIME = (
    "At the authors' speed the total takes {:,.0f} V100-days without ImageNet: 0.6 or 0.7 for each search (Tables 1, "
    "2) and, as users of such networks report, 1 for each retraining of 600 epochs."
)
COLLECTED = (100_000, 20, 20)  # saves a fifth of the time by collecting garbage less often; few objects are freed
WIDE_ONLY = ("added", "shared", "running")  # columns left out on a narrow terminal, in this order
JSON = ["id", "stage", "name", "folder", "inputs", "used_by", "config", "state"]


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
    """Yield the parts of the output of the verb `plan` for these options."""
    gc.set_threshold(*COLLECTED)
    settings = read_parameters(file)
    known = read_known(root, settings.machine)
    if budget is not None or ladder:
        from dropnas.monitor import ladder_view  # imports statistical code, which most plans do not need

        if budget is None:
            yield from ladder_view.ladder_lines(file, known)
        else:
            yield from ladder_view.fitting_lines(file, known, budget, out, requested=ladder)
        return
    plan = make_plan(settings)
    if why:
        from dropnas.monitor.why import why_missing

        yield from why_missing(plan, why, root)
        return
    if measure:
        known = _measured(known, plan, partial(print, file=sys.stderr) if as_json else screen.show)
    frame = described(plan, known)
    default = frame[[bool({*used} - plan.on_request) for used in frame.used_by]]
    shown = frame if everything else default
    if as_json:
        hours = shown.hours.astype(object).where(shown.hours.notna(), None)
        yield json.dumps(shown[JSON].assign(hours=hours).to_dict("records"), indent=1)
    elif each:
        rows = zip(shown.state, shown.folder, shown.used_by, strict=True)
        yield from (f"{state:8} {folder}  ({', '.join(users)})" for state, folder, users in rows)
    else:
        yield Text.assemble((settings.profile, "bold"), f": {settings.description}")
        yield from _plan(plan, frame, everything=everything)
        yield from basis_lines(known, default)
        yield from _further(plan, default, known)


def described(plan: Plan, known: Known) -> DataFrame:
    """Return `Known.frame` for the runs of a plan, with an additional column `state`."""
    frame, store = known.frame([*descriptions(plan)]), Store(known.root)
    folders = zip(frame.id, frame.folder, strict=True)
    return frame.assign(state=[store.state(id_, known.root / folder) for id_, folder in folders])


def targets(file: Path, root: Path) -> Iterator[str]:
    """Yield a line for each target of a parameter file: how many runs are done, and whether it is built on request."""
    settings = read_parameters(file)
    plan = make_plan(settings)
    found = costs(described(plan, read_known(root, settings.machine)), list(plan.targets), ())
    for name, row in found.drop(TOTAL).iterrows():
        runs = row.done + row.running + row.missing
        yield f"{name:18}{f'{row.done} of {runs} runs done':24}{'on request' * (name in plan.on_request)}".rstrip()


def _measured(known: Known, plan: Plan, show: Callable[[str], None]) -> Known:
    """Time each kind of work on this machine, record the trusted results, and return the updated known times."""
    from dropnas.monitor.speed_probe import measure, trusted  # imports torch, which planning does not need

    machine = plan.parameters.machine
    kept, refused = trusted(measure(known.work_to_measure([*descriptions(plan)]), machine, show))
    add_measured(known.root, kept)
    if refused:
        show(refused)
    return read_known(known.root, machine)


def _plan(plan: Plan, frame: DataFrame, *, everything: bool) -> Iterator[RenderableType]:
    """The table of targets without empty columns. With `everything`, targets on request follow below the total."""
    found = costs(frame, list(plan.targets), plan.on_request)
    usual, more = ([name for name in plan.targets if (name in plan.on_request) == on] for on in (False, True))
    rows = found.loc[[*usual, TOTAL, *(more if everything else ())]]
    rows["left"] = rows.left.where(rows.left != rows.hours, "")
    rows = rows.map(lambda value: "-" if isinstance(value, int) and value == 0 else str(value)).reset_index(names="")
    filled = [name for name in rows.columns if name in ("", "done") or not rows[name].isin(["-", "", "0"]).all()]
    width, columns = screen.console().width, filled
    for omitted in (None, *WIDE_ONLY):
        columns = [name for name in columns if name != omitted]
        made = screen.table(rows[columns], total=TOTAL)
        if Console(width=1000).measure(made).maximum <= width:
            break
    yield made
    if more and not everything:
        yield f"On request (--all): {', '.join(f'{name} {found.hours[name]} h' for name in more)}."


def _further(plan: Plan, default: DataFrame, known: Known) -> Iterator[RenderableType]:
    """The disk space, the hours at the authors' speed, and the cost of looks."""
    disk = needed(plan.by_default().runs.values(), known.root)
    if disk.files:
        yield f"Disk: about {disk.size / 1e9:,.1f} GB in {disk.files:,} files and folders."
    if plan.parameters.reproduction:
        yield AUTHORS_TIME.format(default.authors.sum() / 24)
    if plan.parameters.looks and not plan.parameters.look:
        from dropnas.monitor.ladder_view import looks_lines

        yield from looks_lines(plan, default, known)
