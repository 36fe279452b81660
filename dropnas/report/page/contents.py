"""All that the page says, gathered from a plan and the store, before any of it is HTML."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas

from dropnas.parsing import parse
from dropnas.report.by_looks import by_looks, claims_by_looks
from dropnas.report.claims import ClaimResult, claims
from dropnas.report.count_texts import frame as counts_frame
from dropnas.report.counts import STAGE as ARCHITECTURES
from dropnas.report.counts import read_counts
from dropnas.report.looked import looked_of
from dropnas.report.model import Table
from dropnas.report.notes import NO_REPRODUCTION
from dropnas.report.page import evidence_tables
from dropnas.report.page.answer import Answer, answer
from dropnas.report.page.complete import FIGURE, TABLE, Complete, Shortfall, complete_tables
from dropnas.report.page.deviations import Deviation, DropRate, deviations, drop_rates
from dropnas.report.page.device_hours import CostOf, PageCost
from dropnas.report.page.evidence import evidence
from dropnas.report.page.intervals import Picture, pictures
from dropnas.report.page.page_claims import PageClaim, page_claims
from dropnas.report.page.page_figures import PageFigure, page_figures
from dropnas.report.page.page_tables import PageTable, page_frame, page_table
from dropnas.report.page.planned import Content
from dropnas.report.page.progress import Progress, Target, by_stage, default_runs, in_states, progress, targets
from dropnas.report.page.selections import PageSelection, page_selections
from dropnas.report.page.survey import Found, State, survey
from dropnas.report.printed import title
from dropnas.report.tidy import data, table_file
from dropnas.report.verdict_files import Verdicts
from dropnas.report.verdicts import verdicts
from dropnas.space.genotype_text import cell_in_words

TRAININGS = ("search", "retrain", "transfer")


@dataclass(frozen=True)
class Architecture:
    """A row's architecture: the run that trained it, and its two cells in words."""

    table: str
    row: str
    run: str
    normal: str
    reduce: str


@dataclass(frozen=True)
class Bar:
    """The banner at the top: whose numbers these are."""

    seeds: int
    hardware: str
    commits: tuple[tuple[str, bool, int], ...]
    newest: str


@dataclass(frozen=True)
class EvidenceTables:
    """Each number with its runs, all runs, their commits and environments."""

    numbers: pandas.DataFrame
    runs: pandas.DataFrame
    commits: pandas.DataFrame
    environments: pandas.DataFrame


@dataclass(frozen=True)
class Contents:
    """The page, section by section."""

    profile: str
    description: str
    reproduction: bool
    warning: str
    bar: Bar
    answer: Answer
    progress: Progress
    counts: dict[State, int]
    claims: list[PageClaim]
    beyond: list[PageClaim]
    pictures: list[Picture]
    tables: list[PageTable]
    others: list[PageTable]
    figures: list[PageFigure]
    waiting: list[str]
    architectures: list[Architecture]
    deviations: list[Deviation]
    drop_rates: list[DropRate]
    selections: list[PageSelection]
    excluded: list[Found]
    unchecked: list[Found]
    light: int
    shortfalls: list[Shortfall]
    missing: dict[str, list[Found]]
    running: dict[str, list[Found]]
    targets: list[Target]
    cost: PageCost
    evidence: EvidenceTables
    data: pandas.DataFrame
    verdicts: Verdicts


def gather(content: Content, root: Path, cost_of: CostOf) -> Contents:
    """Read the store and say what the page says.

    Raises:
        DropnasError: the plan is none that this code can build tables of.
    """
    found = survey(content, root)
    complete = complete_tables(content, found)
    tables = {name: one.table for name, one in complete.items()}
    judged = {name: one for name, one in tables.items() if content.target(name).stage == TABLE}
    looked = looked_of(content.profile, content.looks, root)
    found_claims = claims(evidence(content, found, complete), content.reproduction)
    paper, beyond = page_claims(claims_by_looks(looked, found_claims))
    of_table = {name: by_looks(looked, verdicts(table)) for name, table in judged.items()}
    numbers = [one for own in of_table.values() for one in own]
    shown = [page_table(table, of_table.get(name, ())) for name, table in tables.items()]
    figures, default, cost = page_figures(content, found), default_runs(content, found), cost_of(content, root)
    return Contents(
        profile=content.profile,
        description=content.description,
        reproduction=content.reproduction,
        warning="" if content.reproduction else NO_REPRODUCTION.format(profile=content.profile),
        bar=_bar(default),
        answer=answer([one.claim for one in paper], judged, numbers, content.reproduction),
        progress=progress(default, cost),
        counts=in_states(default),
        claims=paper,
        beyond=beyond,
        pictures=pictures(judged, numbers),
        tables=[one for one in shown if _of_paper(tables[one.name])],
        others=[*(one for one in shown if not _of_paper(tables[one.name])), *_counts(found)],
        figures=figures,
        waiting=_waiting(content, figures),
        architectures=[one for table in tables.values() for one in _architectures(table)],
        deviations=deviations(list(content.runs.values())),
        drop_rates=drop_rates(list(content.runs.values())),
        selections=page_selections(complete.values()),
        excluded=[one for one in found.values() if one.state is State.EXCLUDED],
        unchecked=[one for one in found.values() if one.unchecked],
        light=sum(one.light for one in found.values()),
        shortfalls=[one for part in complete.values() for one in part.shortfalls],
        missing=by_stage(default, State.MISSING),
        running=by_stage(list(found.values()), State.RUNNING),
        targets=targets(content, found),
        cost=cost,
        evidence=_evidence(complete, found),
        data=pandas.concat([data(table_file(table)) for table in tables.values()] or [pandas.DataFrame()]),
        verdicts=Verdicts(content.profile, content.reproduction, _results([*paper, *beyond]), numbers),
    )


def _results(claims: Sequence[PageClaim]) -> list[ClaimResult]:
    return [one.claim for one in claims]


def _of_paper(table: Table) -> bool:
    """Whether it is one of the paper's tables with our numbers in it."""
    return table.number is not None and table.name == f"table{table.number}"


def _bar(default: Sequence[Found]) -> Bar:
    trained = [one for one in default if one.counts and one.run.stage in TRAININGS]
    seeds = {one.run.config.get("seed") for one in default if one.run.stage == "search"}
    devices = sorted({str(one.record.get("device", "")) for one in trained} - {""})
    newest = max((str(one.record.get("ended", "")) for one in default), default="")
    return Bar(len(seeds), ", ".join(devices), tuple(evidence_tables.commits(default)), newest[:10])


def _evidence(complete: Mapping[str, Complete], found: Mapping[str, Found]) -> EvidenceTables:
    return EvidenceTables(
        evidence_tables.numbers(one.table for one in complete.values()),
        evidence_tables.runs(found),
        evidence_tables.commit_table(found.values()),
        evidence_tables.environments(found),
    )


def _counts(found: Mapping[str, Found]) -> list[PageTable]:
    """The counts of the published architectures, where their run counts."""
    counted = [one for one in found.values() if one.run.stage == ARCHITECTURES and one.counts]
    return [
        page_frame(ARCHITECTURES, counts_frame(list(read_counts(one.folder).values()), pool_norm))
        for one in counted
        for pool_norm in [parse(bool, one.run.config.get("pool_norm"), one.run.folder)]
    ]


def _waiting(content: Content, figures: list[PageFigure]) -> list[str]:
    """Figures of the plan that are not finished."""
    names = [name for name in content.folders if content.target(name).stage == FIGURE]
    return [title(name) for name in names if name not in {figure.name for figure in figures}]


def _architectures(table: Table) -> list[Architecture]:
    heads = {row.key: " ".join(row.heads) for row in table.rows}
    return [
        Architecture(
            title(table.name),
            heads[one.row],
            evidence_tables.identity(one.run),
            cell_in_words(one.genotype.normal),
            cell_in_words(one.genotype.reduce),
        )
        for one in table.architectures
    ]
