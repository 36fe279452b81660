"""The answer at the top of the page: one computed sentence, the outcomes of the claims, and the headline numbers."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dropnas.analysis.claim_tests import Outcome
from dropnas.artifacts.verdicts_file import CellVerdict, ClaimResult
from dropnas.data.config import ROLES
from dropnas.report.page.phrases import count, listed
from dropnas.report.page.tables import anchor
from dropnas.report.printed import printed_cell
from dropnas.report.verdicts import BEST_ON_TEST

TEST_RUN = "Test run on small data. Do not compare these numbers with the paper's."
NOT_SHOWN = "Neither confirmed nor refuted: none of the paper's {claims} is shown to hold, and none is contradicted."
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
    """DropNAS on one data set: our test error and the paper's, in percent."""

    data: str
    ours: str
    n: int
    paper: str
    verdict: str
    anchor: str


@dataclass(frozen=True)
class Answer:
    """The content of the first screen."""

    sentence: str
    numbers: str
    tally: tuple[tuple[str, int], ...]
    headlines: tuple[Headline, ...]


def answer(claims: Sequence[ClaimResult], verdicts: Sequence[CellVerdict], reproduction: bool) -> Answer:
    """The answer of a profile.

    Args:
        claims: the paper's claims, without those beyond the paper.
        verdicts: verdicts on the numbers of all tables.
        reproduction: whether the numbers may be compared with the paper's.
    """
    outcomes = Counter(str(one.outcome) for one in claims)
    return Answer(
        sentence=_sentence(outcomes) if reproduction else TEST_RUN,
        numbers=_numbers(verdicts) if reproduction else "",
        tally=tuple((str(word), outcomes[word]) for word in Outcome),
        headlines=tuple(_headline(data, verdicts, reproduction) for data in DROPNAS),
    )


def _sentence(outcomes: Mapping[str, int]) -> str:
    """ "Of the paper's 9 claims, 4 hold, 1 is contradicted and 4 are undecided." """
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
    return f"Of the paper's {count(total, 'claim')}, {listed(filter(None, parts))}."


def _part(number: int, one: str, several: str) -> str:
    return f"{number or 'none'} {one if number < 2 else several}"


def _numbers(verdicts: Sequence[CellVerdict]) -> str:
    """The outcomes for the printed numbers that can be tested."""
    found = Counter(str(one.verdict) for one in verdicts if one.interval)
    if not found:
        return "No printed number can be tested yet."
    parts = [_part(found[word], one, several) for word, one, several in _VERBS if found[word]]
    return f"Of {count(sum(found.values()), 'printed error rate')} that can be tested, {listed(parts)}."


_VERBS = (
    ("agrees", "agrees with ours", "agree with ours"),
    ("differs", "differs", "differ"),
    ("undecided", "is undecided", "are undecided"),
)


def _headline(data: str, verdicts: Sequence[CellVerdict], reproduction: bool) -> Headline:
    own = {
        (one.table, one.row, one.column): one
        for one in verdicts
        if one.kind != "best" and one.quantity.endswith(BEST_ON_TEST)
    }
    name = ROLES[data].printed
    for key in DROPNAS[data]:
        if one := own.get(key):
            called = name if reproduction else f"In place of {name}"
            paper, verdict = (one.paper_text, str(one.verdict)) if reproduction else ("", "")
            return Headline(called, one.ours_text.partition(" (n=")[0], one.n, paper, verdict, anchor(*key))
    printed = printed_cell(*DROPNAS[data][0]).text if reproduction else ""
    return Headline(name, "", 0, printed.partition(" (")[2].rstrip(")") or printed, "", "")
