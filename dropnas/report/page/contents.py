"""Collects the content of the page from a plan and the store, before any of it is rendered as HTML."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace

import pandas
from pandas import DataFrame

from dropnas.artifacts.verdicts_file import VerdictsFile
from dropnas.parsing import parse
from dropnas.report import looked
from dropnas.report.claims import BEYOND, claims
from dropnas.report.compare_results import Other, compare
from dropnas.report.config import ARCHITECTURES
from dropnas.report.count_texts import frame as counts_frame
from dropnas.report.page import deviations, runs_frame
from dropnas.report.page.answer import answer
from dropnas.report.page.complete import FIGURE, TABLE, complete_tables
from dropnas.report.page.differences import pictures
from dropnas.report.page.evidence import evidence
from dropnas.report.page.figures import page_figures
from dropnas.report.page.planned import Content
from dropnas.report.page.progress import CostOf, progress
from dropnas.report.page.selections import selections
from dropnas.report.page.survey import Found, PlannedState, survey
from dropnas.report.page.tables import PageTable, page_table
from dropnas.report.published_table import read_counts
from dropnas.report.table import Table, data, warning
from dropnas.report.verdicts import verdicts
from dropnas.runs.stage_groups import TRAINING_STAGES

Contents = SimpleNamespace  # the sections of the page, by the names that the templates use


def gather(plan: Content, root: Path, cost_of: CostOf, other: Other | None = None) -> Contents:
    """Collect the content of the page from the store, with a comparison if another store is given.

    Raises:
        DropnasError: this code cannot build the tables of the plan.
    """
    found = survey(plan, root)
    complete = complete_tables(plan, found)
    tables = {name: one.table for name, one in complete.items()}
    looks = looked.looked_of(plan.profile, plan.looks, root)
    judged = {name: verdicts(table) for name, table in tables.items() if plan.target(name).stage == TABLE}
    judged = {name: looked.by_looks(looks, numbers) for name, numbers in judged.items()}
    numbers = [one for own in judged.values() for one in own]
    known = looked.claims_by_looks(looks, claims(evidence(plan, found, complete), plan.reproduction))
    paper = [one for one in known if BEYOND not in one.where]
    beyond = [one for one in known if BEYOND in one.where]
    decided = VerdictsFile(plan.profile, plan.reproduction, (*paper, *beyond), tuple(numbers))
    shown = {name: page_table(table, judged.get(name, ())) for name, table in tables.items()}
    frame, cost = runs_frame.runs_frame(plan, found), cost_of(plan, root)
    default = frame[frame["default"]]
    figures = list(page_figures(plan, found))
    drawn = {one.name for one in figures}
    return Contents(
        plan=plan,
        warning=warning(plan.profile, plan.reproduction),
        bar=_bar(default),
        answer=answer(paper, numbers, plan.reproduction),
        progress=progress(default, cost),
        counts={str(state): int((default["state"] == state).sum()) for state in PlannedState},
        claims=paper,
        beyond=beyond,
        looks=looks,
        other=other,
        compared=None if other is None else compare(decided, other.results),
        pictures=pictures(tables, numbers),
        tables=[shown[name] for name, table in tables.items() if _of_paper(table)],
        others=[*(shown[name] for name, table in tables.items() if not _of_paper(table)), *_counts(found)],
        built=tables,
        figures=figures,
        waiting=[name for name in plan.folders if plan.target(name).stage == FIGURE and name not in drawn],
        deviations=deviations.deviations(list(plan.runs.values())),
        drop_rates=deviations.drop_rates(list(plan.runs.values())),
        selections=selections(complete.values()),
        shortfalls=[one for part in complete.values() for one in part.shortfalls],
        runs=frame,
        targets=runs_frame.targets(plan, frame),
        commits=runs_frame.commits(frame),
        environments=runs_frame.environments(frame),
        cost=cost,
        data=pandas.concat([data(table.content) for table in tables.values()] or [DataFrame()]),
        verdicts=decided,
    )


def _of_paper(table: Table) -> bool:
    """Whether the table is one of the paper's tables, filled with our numbers."""
    return table.content.table == f"table{table.content.number}"


def _bar(default: DataFrame) -> SimpleNamespace:
    """The content of the banner at the top."""
    trained = runs_frame.done(default[default["stage"].isin(TRAINING_STAGES)])
    return SimpleNamespace(
        seeds=default.loc[default["stage"] == "search", "seed"].nunique(),
        hardware=", ".join(sorted({*trained["device"]} - {""})),
        commits=runs_frame.commits(default).to_dict(orient="records"),
        newest=default["ended"].max()[:10],
    )


def _counts(found: Mapping[str, Found]) -> Iterator[PageTable]:
    """The table of parameters and multiply-adds of the published architectures, if the counting run is valid."""
    for one in found.values():
        if one.run.stage == ARCHITECTURES and one.counts:
            pool_norm = parse(bool, one.run.config.get("pool_norm"), one.run.folder)
            yield PageTable(ARCHITECTURES, counts_frame(list(read_counts(one.folder).values()), pool_norm))
