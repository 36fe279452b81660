"""All that the page says, gathered from a plan and the store, before any of it is HTML."""

from dataclasses import dataclass
from pathlib import Path

from dropnas.analysis.claim_tests import Outcome
from dropnas.report.by_looks import claims_by_looks
from dropnas.report.claims import ClaimResult, claims
from dropnas.report.looked import looked_of
from dropnas.report.model import Table
from dropnas.report.notes import NO_REPRODUCTION
from dropnas.report.page.complete import FIGURE, Shortfall, complete_tables
from dropnas.report.page.device_hours import CostOf, PageCost
from dropnas.report.page.evidence import evidence
from dropnas.report.page.judgements import PageVerdicts, page_verdicts
from dropnas.report.page.lines import PageTable, page_table
from dropnas.report.page.numbers import Number, numbers
from dropnas.report.page.page_figures import PageFigure, page_figures
from dropnas.report.page.page_peers import page_counts, page_peers
from dropnas.report.page.planned import Content
from dropnas.report.page.progress import Target, count, default_runs, in_state, targets
from dropnas.report.page.provenance import Commit, Environment, PageRun, commits, environments, page_runs
from dropnas.report.page.selections import PageSelection, page_selections
from dropnas.report.page.survey import Found, State, survey
from dropnas.report.printed import title
from dropnas.report.verdict_files import Verdicts
from dropnas.space.genotype_text import cell_in_words


@dataclass(frozen=True)
class Architecture:
    """A row's architecture: the run that trained it, and its two cells in words."""

    table: str
    row: str
    run: str
    normal: str
    reduce: str


@dataclass(frozen=True)
class Contents:
    """The page, section by section."""

    profile: str
    description: str
    reproduction: bool
    warning: str
    counts: dict[State, int]
    newest: str
    claims: tuple[ClaimResult, ...]
    verdicts: list[PageVerdicts]
    tables: list[PageTable]
    figures: list[PageFigure]
    waiting: list[str]
    architectures: list[Architecture]
    selections: list[PageSelection]
    excluded: list[Found]
    unchecked: list[Found]
    light: int
    shortfalls: list[Shortfall]
    missing: dict[str, list[Found]]
    running: dict[str, list[Found]]
    targets: list[Target]
    cost: PageCost
    numbers: list[Number]
    runs: list[PageRun]
    environments: list[Environment]
    commits: list[Commit]


def gather(content: Content, root: Path, cost_of: CostOf) -> Contents:
    """Read the store and say what the page says.

    Raises:
        DropnasError: the plan is none that this code can build tables of.
    """
    found = survey(content, root)
    complete = complete_tables(content, found)
    tables = {name: one.table for name, one in complete.items()}
    peers, counts = page_peers(content, found), page_counts(content, found)
    figures, default = page_figures(content, found), default_runs(content, found)
    looked = looked_of(content.profile, content.looks, root)
    every = claims_by_looks(looked, claims(evidence(content, found, complete), content.reproduction))
    return Contents(
        profile=content.profile,
        description=content.description,
        reproduction=content.reproduction,
        warning="" if content.reproduction else NO_REPRODUCTION.format(profile=content.profile),
        counts=count(default),
        newest=max((str(one.record.get("ended", "")) for one in found.values()), default=""),
        claims=tuple(sorted(every, key=_waits)),
        verdicts=page_verdicts(tables, looked),
        tables=[
            *(page_table(table) for table in tables.values()),
            *(one.table for one in peers),
            *filter(None, [counts]),
        ],
        figures=figures,
        waiting=_waiting(content, figures),
        architectures=[one for table in tables.values() for one in _architectures(table)],
        selections=page_selections(complete.values()),
        excluded=[one for one in found.values() if one.state is State.EXCLUDED],
        unchecked=[one for one in found.values() if one.unchecked],
        light=sum(one.light for one in found.values()),
        shortfalls=[
            *(one for part in complete.values() for one in part.shortfalls),
            *(one for part in peers for one in part.shortfalls),
        ],
        missing=in_state(default, State.MISSING),
        running=in_state(list(found.values()), State.RUNNING),
        targets=targets(content, found),
        cost=cost_of(content, root),
        numbers=[
            *(number for table in tables.values() for number in numbers(table)),
            *(number for one in peers for number in one.numbers),
        ],
        runs=page_runs(found),
        environments=environments(found),
        commits=commits(found),
    )


def decided(contents: Contents) -> Verdicts:
    """The part that is kept as files too."""
    numbers = [one.cell for table in contents.verdicts for one in table.verdicts]
    return Verdicts(contents.profile, contents.reproduction, contents.claims, numbers)


def _waits(claim: ClaimResult) -> bool:
    """Claims that runs speak to stand first, so that a profile that has few of them begins with those."""
    return claim.outcome is Outcome.TOO_FEW


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
            one.run,
            cell_in_words(one.genotype.normal),
            cell_in_words(one.genotype.reduce),
        )
        for one in table.architectures
    ]
