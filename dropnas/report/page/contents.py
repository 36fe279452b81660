"""Collects the content of the page from a plan and the store, before any of it is rendered as HTML."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace

import pandas
from pandas import DataFrame, Series

from dropnas.artifacts.looks_file import LooksFile
from dropnas.artifacts.verdicts_file import ClaimResult, Decided, VerdictsFile
from dropnas.parsing import parse
from dropnas.report import looked
from dropnas.report.claims import BEYOND, claims
from dropnas.report.compare_results import HEADS, Other, answer, compare, texts
from dropnas.report.count_texts import frame as counts_frame
from dropnas.report.page import evidence_tables, figures, progress
from dropnas.report.page.answer import answer as answered
from dropnas.report.page.compare_section import pictures
from dropnas.report.page.complete import FIGURE, TABLE, complete_tables
from dropnas.report.page.deviations import deviations, drop_rates
from dropnas.report.page.evidence import evidence
from dropnas.report.page.planned import Content
from dropnas.report.page.selections import Selection, selections
from dropnas.report.page.survey import Found, State, survey
from dropnas.report.page.tables import PageTable, page_table
from dropnas.report.printed import title
from dropnas.report.published_table import ARCHITECTURES, read_counts
from dropnas.report.table import Table, data, warning
from dropnas.report.verdicts import verdicts
from dropnas.space.genotype_text import cell_in_words

TRAININGS = ("search", "retrain", "transfer")
Contents = SimpleNamespace  # the sections of the page, by the names that the templates use


def gather(content: Content, root: Path, cost_of: progress.CostOf, other: Other | None = None) -> Contents:
    """Collect the content of the page from the store, with a comparison if another store is given.

    Raises:
        DropnasError: this code cannot build the tables of the plan.
    """
    found = survey(content, root)
    complete = complete_tables(content, found)
    tables = {name: one.table for name, one in complete.items()}
    judged = {name: one for name, one in tables.items() if content.target(name).stage == TABLE}
    looks = looked.looked_of(content.profile, content.looks, root)
    known = looked.claims_by_looks(looks, claims(evidence(content, found, complete), content.reproduction))
    paper = [one for one in known if BEYOND not in one.where]
    beyond = [one for one in known if BEYOND in one.where]
    of_table = {name: looked.by_looks(looks, verdicts(table)) for name, table in judged.items()}
    numbers = [one for own in of_table.values() for one in own]
    decided = VerdictsFile(content.profile, content.reproduction, (*paper, *beyond), tuple(numbers))
    shown = [page_table(table, of_table.get(name, ())) for name, table in tables.items()]
    default, cost = [one for one in found.values() if content.by_default(one.run)], cost_of(content, root)
    runs, pictured = list(content.runs.values()), figures.page_figures(content, found)
    return Contents(
        profile=content.profile,
        description=content.description,
        reproduction=content.reproduction,
        warning=warning(content.profile, content.reproduction),
        bar=_bar(default),
        answer=answered(paper, numbers, content.reproduction),
        progress=progress.progress(default, cost),
        counts=progress.in_states(default),
        claims=_numbered("C", paper),
        beyond=_numbered("B", beyond),
        looks=_looks(looks),
        other=_compared(decided, other),
        pictures=pictures(judged, numbers),
        tables=[one for one in shown if _of_paper(tables[one.name])],
        others=[*(one for one in shown if not _of_paper(tables[one.name])), *_counts(found.values())],
        figures=pictured,
        waiting=_waiting(content, {one.name for one in pictured}),
        architectures=[one for table in tables.values() for one in _architectures(table)],
        deviations=deviations(runs),
        drop_rates=drop_rates(runs),
        selections=_selections(dict(selections(complete.values()))),
        excluded=[one for one in found.values() if one.state is State.EXCLUDED],
        unchecked=[one for one in found.values() if one.unchecked],
        light=sum(one.light for one in found.values()),
        shortfalls=[one for part in complete.values() for one in part.shortfalls],
        missing=progress.by_stage(default, State.MISSING),
        running=progress.by_stage(list(found.values()), State.RUNNING),
        targets=progress.targets(content, found),
        cost=cost,
        evidence=SimpleNamespace(
            numbers=evidence_tables.numbers(tables.values()),
            runs=evidence_tables.runs(found),
            commits=evidence_tables.commits(found.values()),
            environments=evidence_tables.environments(found.values()),
        ),
        data=pandas.concat([data(table.content) for table in tables.values()] or [DataFrame()]),
        verdicts=decided,
    )


def _numbered(letter: str, claims: Sequence[ClaimResult]) -> list[SimpleNamespace]:
    """The numbered claims (C1… of the paper, B1… beyond it), each with its three decisions."""
    return [
        SimpleNamespace(
            number=f"{letter}{at}",
            claim=one,
            columns=(
                ("Ours, best epoch", Decided(one.outcome, one.detail, one.comparisons)),
                ("Ours, final epoch", one.by_final_epoch),
                ("Paper's own numbers", one.by_paper),
            ),
        )
        for at, one in enumerate(claims, 1)
    ]


def _looks(looks: LooksFile | None) -> SimpleNamespace | None:
    """The decisions of a sequential plan's looks, with their time and reason."""
    if looks is None:
        return None
    claims, numbers = looked.frames(looks)
    links = [evidence_tables.link(one.table, text) for one, text in zip(looks.numbers, numbers["Number"], strict=True)]
    numbers["Number"] = Series(links, dtype=object)  # which keeps them links
    return SimpleNamespace(headline=looked.headline(looks), note=looked.NOTE, claims=claims, numbers=numbers)


def _compared(ours: VerdictsFile, other: Other | None) -> SimpleNamespace | None:
    """Compare our numbers with those of another store."""
    if other is None:
        return None
    frame = compare(ours, other.results)
    lines = [
        (f"{title(row['table'])}, {row['row_label']}, {row['column_label']}", *texts(row))
        for row in frame.to_dict(orient="records")
    ]
    heads = ["Number", *(head or "Found" for head in HEADS)]
    return SimpleNamespace(
        name=other.name, notes=other.notes, answer=answer(frame), numbers=DataFrame(lines, columns=heads)
    )


def _of_paper(table: Table) -> bool:
    """Whether the table is one of the paper's, with our numbers."""
    return table.content.table == f"table{table.content.number}"


def _bar(default: Sequence[Found]) -> SimpleNamespace:
    """The banner at the top, which says whose numbers these are."""
    trained = [one for one in default if one.counts and one.run.stage in TRAININGS]
    return SimpleNamespace(
        seeds=len({one.run.config.get("seed") for one in default if one.run.stage == "search"}),
        hardware=", ".join(sorted({str(one.record.get("device", "")) for one in trained} - {""})),
        commits=evidence_tables.commits(default).to_dict(orient="records"),
        newest=max((str(one.record.get("ended", "")) for one in default), default="")[:10],
    )


def _counts(found: Iterable[Found]) -> list[PageTable]:
    """The counts of the published architectures, if their run counts."""
    return [
        PageTable(ARCHITECTURES, counts_frame(list(read_counts(one.folder).values()), pool_norm))
        for one in found
        if one.run.stage == ARCHITECTURES and one.counts
        for pool_norm in [parse(bool, one.run.config.get("pool_norm"), one.run.folder)]
    ]


def _waiting(content: Content, there: set[str]) -> list[str]:
    """Figures of the plan that are not finished."""
    return [title(name) for name in content.folders if content.target(name).stage == FIGURE and name not in there]


def _architectures(table: Table) -> list[SimpleNamespace]:
    """Each row's architecture: the run that trained it, and its two cells in words."""
    heads = {row.key: " ".join(row.heads) for row in table.layout.rows}
    return [
        SimpleNamespace(
            row=f"{title(table.content.table)}, {heads[row]}",
            run=evidence_tables.identity(one.run),
            normal=cell_in_words(one.genotype.normal),
            reduce=cell_in_words(one.genotype.reduce),
        )
        for row, one in table.content.architectures.items()
    ]


def _selections(found: Mapping[str, Selection]) -> SimpleNamespace:
    """The effect of selection on the test set: its smallest and largest value, and its value in each experiment."""
    lines = [
        (
            name,
            one.epoch.n,
            f"{one.epoch.mean:.2f}" + ("" if one.epoch.std is None else f"±{one.epoch.std:.2f}"),
            f"{one.held_out_epoch.mean:.2f}" if one.held_out_epoch else "-",
            "-" if one.best_seed is None else f"{one.best_seed:.2f}",
        )
        for name, one in found.items()
    ]
    held = ["Held-out epoch minus best on test", "Best of seeds, held-out minus test"]
    frame = DataFrame(lines, columns=["Experiment", "n", "Final epoch minus best on test", *held])
    kept = frame if any(one.held_out_epoch for one in found.values()) else frame.drop(columns=held)
    worth = sorted({f"{one.epoch.mean:.2f}" for one in found.values()}, key=float)
    return SimpleNamespace(worth=" to ".join(dict.fromkeys(worth[:1] + worth[-1:])), table=kept)
