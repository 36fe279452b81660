"""Counts the runs and device-hours of each table and figure, and says how the hours were determined.

The `hours` of a target are the hours of all its runs. Its `added` hours leave out the runs that it shares with the
targets above it in the table, so that the added hours of all targets sum to the total.
"""

from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import Any

from pandas import DataFrame, concat, crosstab

from dropnas.config import Machine
from dropnas.errors import DropnasError
from dropnas.monitor.estimate import Hours, Known, read_known
from dropnas.parsing import parse
from dropnas.report.page.planned import Content
from dropnas.report.page.progress import PageCost
from dropnas.runs.stage_groups import TRAINING_STAGES

COST_STATES = ("done", "running", "missing")
TOTAL = "total"
NOT_INCLUDED = "Queueing, start-up and runs without training are not included"
READY_IMAGES = "; the probe's transfers do not include decoding and augmenting images"


def costs(frame: DataFrame, targets: Collection[str], on_request: Collection[str]) -> DataFrame:
    """Return a table with a row for each target, and a row for the total of the targets that are built by default.

    `frame` is a `Known.frame` with an additional column `state`. The result has a column with the number of runs for
    each stage and for each state. `shared` is the number of trainings that other targets need too. The columns
    `hours`, `added` and `left` are sums of type `Hours`.
    """
    each = frame.join(frame.used_by.explode().rename("target"))
    each = each[each.target.isin(targets)].sort_values("target", key=lambda of: of.map([*targets].index), kind="stable")
    each["added"] = each.hours.where(~each.index.duplicated(), 0.0)
    each["shared"] = each.index.duplicated(keep=False) & each.stage.isin(TRAINING_STAGES)
    usual = each[~each.target.isin(on_request)]
    total = usual[~usual.index.duplicated()].assign(target=TOTAL, shared=False)
    every = concat([each, total])
    groups = every.groupby("target")
    sums = DataFrame({name: groups[name].apply(Hours.of) for name in ("hours", "added", "left")})
    counts = [crosstab(every.target, every[name]) for name in ("stage", "state")]
    found = concat([*counts, groups.shared.sum(), sums], axis="columns").reindex([*targets, TOTAL])
    return found.reindex(columns=[*TRAINING_STAGES, *COST_STATES, "shared", *sums.columns], fill_value=0)


def page_cost(content: Content, root: Path) -> PageCost:
    """The cost of a plan for the report page. If a record is damaged, the result is only a note that names it."""
    try:
        known = read_known(root, parse(Machine, content.machine, "machine"))
        frame = known.frame([vars(run) for run in content.runs.values()])
    except DropnasError as error:
        return PageCost({}, None, f"No hours, since a record cannot be read: {error}.")
    found = costs(frame.assign(state=""), content.folders, content.on_request)
    rows: dict[Any, Any] = {row.Index: row for row in found.itertuples()}
    default = frame[[content.by_default(run) for run in content.runs.values()]]
    return PageCost(rows, rows.pop(TOTAL), " ".join(basis_lines(known, default)), known.unit)


def basis_lines(known: Known, frame: DataFrame) -> list[str]:
    """Say in a few sentences how the hours of the runs were determined."""
    counts, lines = Counter(frame.basis), []
    words = {
        "took": "runs measured",
        "equal runs": "estimated from equal runs",
        "same kind": "estimated from runs of the same kind",
    }
    if counts["probe"]:
        last, spread = known.measured[-1], max(one.spread for one in known.measured)
        how = f"(spread up to {spread:.0%}, load {last.load:.1f} on {last.cpus} CPUs)"
        words["probe"] = f"estimated from the probe of {last.date[:10]} {how}"
    if known.device and (used := [f"{counts[basis]} {text}" for basis, text in words.items() if counts[basis]]):
        left_out = NOT_INCLUDED + READY_IMAGES * bool(counts["probe"])
        lines.append(f"{known.unit} on {known.device.label}: {', '.join(used)}. {left_out}.")
    if counts["unknown"]:
        lines.append(f"The hours of {counts['unknown']} trainings are unknown; run plan --measure (about a minute).")
    return lines
