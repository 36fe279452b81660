"""The answer in ten seconds: one computed sentence, a tally of the claims, and the headline numbers."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dropnas.analysis.claim_tests import Outcome
from dropnas.data.config import ROLES
from dropnas.report.claims import ClaimResult
from dropnas.report.model import Cell, Table
from dropnas.report.page.page_tables import anchor_of
from dropnas.report.page.phrases import count, listed
from dropnas.report.verdicts import BEST_ON_TEST, CellVerdict

TEST_RUN = "Test run on small data. Do not compare these numbers with the paper's."
NOT_SHOWN = "Not confirmed, not refuted: none of the paper's {claims} is shown to hold, none is contradicted."
DROPNAS = {  # the cells of the headline number of each data set; the first one that has runs counts
    "cifar10": (
        ("table1", "dropnas", "error"),
        ("table4", "cifar10/original", "dropnas"),
        ("table6", "cifar10", "dropnas"),
    ),
    "cifar100": (
        ("table2", "dropnas", "error"),
        ("table4", "cifar100/original", "dropnas"),
        ("table6", "cifar100", "dropnas"),
    ),
    "imagenet": (("table3", "dropnas-cifar10", "top1"),),
}


@dataclass(frozen=True)
class Headline:
    """DropNAS on one data set: our test error beside the paper's, in percent."""

    data: str
    ours: str
    n: int
    paper: str
    verdict: str
    anchor: str


@dataclass(frozen=True)
class Answer:
    """What the first screen says."""

    sentence: str
    numbers: str
    tally: tuple[tuple[str, int], ...]
    headlines: tuple[Headline, ...]


def answer(
    claims: Sequence[ClaimResult], tables: Mapping[str, Table], verdicts: Sequence[CellVerdict], reproduction: bool
) -> Answer:
    """The answer of a profile.

    Args:
        claims: of the paper, without those that go beyond it.
        tables: from the runs that count, by name.
        verdicts: on the numbers of all of them.
        reproduction: whether the numbers may be compared with the paper's.
    """
    outcomes = Counter(one.outcome for one in claims)
    return Answer(
        sentence=_sentence(outcomes) if reproduction else TEST_RUN,
        numbers=_numbers(verdicts) if reproduction else "",
        tally=tuple((str(word), outcomes[word]) for word in Outcome),
        headlines=tuple(_headline(data, tables, verdicts, reproduction) for data in DROPNAS),
    )


def _sentence(outcomes: Mapping[Outcome, int]) -> str:
    """ "Of the paper's 9 claims 4 hold, 1 is contradicted and 4 are undecided." """
    total, waiting = sum(outcomes.values()), outcomes[Outcome.TOO_FEW]
    if total and waiting == total:
        return f"None of the paper's {count(total, 'claim')} can be judged yet: too few runs are done."
    if not outcomes[Outcome.HOLDS] and not outcomes[Outcome.CONTRADICTED] and not waiting:
        return NOT_SHOWN.format(claims=count(total, "claim"))
    parts = (
        _part(outcomes[Outcome.HOLDS], "holds", "hold"),
        _part(outcomes[Outcome.CONTRADICTED], "is contradicted", "are contradicted"),
        _part(outcomes[Outcome.UNDECIDED], "is undecided", "are undecided"),
        _part(waiting, "has too few runs", "have too few runs") if waiting else "",
    )
    return f"Of the paper's {count(total, 'claim')} {listed(list(filter(None, parts)))}."


def _part(number: int, one: str, several: str) -> str:
    return f"{number or 'none'} {one if number < 2 else several}"


def _numbers(verdicts: Sequence[CellVerdict]) -> str:
    """How the printed numbers fare that can be tested."""
    found = Counter(str(one.verdict) for one in verdicts if one.interval)
    if not found:
        return "No printed number can be tested yet."
    parts = [_part(found[word], one, several) for word, one, several in _VERBS if found[word]]
    return f"Of {count(sum(found.values()), 'printed error rate')} tested, {listed(parts)}."


_VERBS = (
    ("agrees", "agrees", "agree"),
    ("differs", "differs", "differ"),
    ("undecided", "is undecided", "are undecided"),
)


def _headline(data: str, tables: Mapping[str, Table], verdicts: Sequence[CellVerdict], reproduction: bool) -> Headline:
    for table, row, column in DROPNAS[data]:
        if table not in tables:
            continue
        cell = _cell(tables[table], row, column)
        measured = next((one for one in cell.ours if one.quantity.endswith(BEST_ON_TEST)), None)
        if measured is None:
            continue
        judged = [one for one in verdicts if (one.table, one.row, one.column) == (table, row, column)]
        own = next(one for one in judged if one.kind != "best")
        place = ROLES[data].printed if reproduction else f"In place of {ROLES[data].printed}"
        paper, verdict = (own.paper_text, str(own.verdict)) if reproduction else ("", "")
        text = own.ours_text.partition(" (n=")[0]
        return Headline(place, text, own.n, paper, verdict, anchor_of(tables[table], own))
    printed = _printed(data, tables) if reproduction else ""
    return Headline(ROLES[data].printed, "", 0, printed, "", "")


def _printed(data: str, tables: Mapping[str, Table]) -> str:
    table, row, column = DROPNAS[data][0]
    cell = _cell(tables[table], row, column) if table in tables else None
    text = cell.paper.text if cell and cell.paper else ""
    return text.partition(" (")[2].rstrip(")") or text


def _cell(table: Table, row: str, column: str) -> Cell:
    at = [one.key for one in table.columns].index(column)
    return next(one for one in table.rows if one.key == row).cells[at]
