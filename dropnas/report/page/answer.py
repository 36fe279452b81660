"""The answer at the top of the page: one computed sentence, the outcomes of the claims, and the headline numbers."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dropnas.analysis.claim_tests import ClaimOutcome
from dropnas.artifacts.verdicts_file import CellVerdict, ClaimResult
from dropnas.data.config import ROLES
from dropnas.report.page.phrases import count, listed
from dropnas.report.page.tables import anchor
from dropnas.report.printed import printed_cell
from dropnas.report.verdicts import BEST_ON_TEST

TEST_RUN = "Test run on small data. Do not compare these numbers with the paper's."
NOT_SHOWN = "Neither confirmed nor refuted: none of the paper's {claims} is shown to hold, and none is contradicted."
TOO_FEW = "None of the paper's {claims} can be judged yet: too few runs are done."
HEADLINE_CELLS = {  # table cells for the headline number of each data set; the first cell with runs is used
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
VERBS = {  # singular and plural, in the order of the sentence
    ClaimOutcome.HOLDS: ("holds", "hold"),
    ClaimOutcome.CONTRADICTED: ("is contradicted", "are contradicted"),
    "agrees": ("agrees with ours", "agree with ours"),
    "differs": ("differs", "differ"),
    ClaimOutcome.UNDECIDED: ("is undecided", "are undecided"),
    ClaimOutcome.TOO_FEW: ("has too few runs", "have too few runs"),
}


@dataclass(frozen=True)
class Headline:
    """DropNAS on one data set: our test error and the paper's, in percent."""

    data: str
    ours: str = ""
    n: int = 0
    paper: str = ""
    verdict: str = ""
    anchor: str = ""


@dataclass(frozen=True)
class Answer:
    """The content of the first screen."""

    sentence: str  # on the claims
    numbers: str  # a sentence on the printed numbers
    tally: dict[str, int]  # the number of claims with each outcome
    headlines: tuple[Headline, ...]


def answer(claims: Sequence[ClaimResult], verdicts: Sequence[CellVerdict], reproduction: bool) -> Answer:
    """The answer for a profile.

    Args:
        claims: only the claims that the paper itself makes.
        verdicts: verdicts on the numbers of all tables.
        reproduction: whether the numbers may be compared with the paper's.
    """
    tally = {str(word): sum(one.outcome == word for one in claims) for word in ClaimOutcome}
    headlines = tuple(_headline(data, verdicts, reproduction) for data in HEADLINE_CELLS)
    if not reproduction:
        return Answer(TEST_RUN, "", tally, headlines)
    return Answer(_sentence(tally), _numbers(verdicts), tally, headlines)


def _sentence(tally: Mapping[str, int]) -> str:
    """ "Of the paper's 9 claims, 4 hold, 1 is contradicted and 4 are undecided." """
    total = sum(tally.values())
    if total and tally[ClaimOutcome.TOO_FEW] == total:
        return TOO_FEW.format(claims=count(total, "claim"))
    if tally[ClaimOutcome.UNDECIDED] == total:
        return NOT_SHOWN.format(claims=count(total, "claim"))
    shown = {word: number for word, number in tally.items() if number or word != ClaimOutcome.TOO_FEW}
    return f"Of the paper's {count(total, 'claim')}, {_parts(shown)}."


def _numbers(verdicts: Sequence[CellVerdict]) -> str:
    """The outcomes for the printed numbers that can be tested."""
    found = Counter(str(one.verdict) for one in verdicts if one.interval)
    if not found:
        return "No printed number can be tested yet."
    return f"Of {count(found.total(), 'printed error rate')} that can be tested, {_parts(found)}."


def _parts(found: Mapping[str, int]) -> str:
    return listed(f"{found[word] or 'none'} {verbs[found[word] > 1]}" for word, verbs in VERBS.items() if word in found)


def _headline(data: str, verdicts: Sequence[CellVerdict], reproduction: bool) -> Headline:
    means = [one for one in verdicts if one.kind != "best" and one.quantity.endswith(BEST_ON_TEST)]
    own = {(one.table, one.row, one.column): one for one in means}
    name = ROLES[data].printed
    for key in HEADLINE_CELLS[data]:
        if one := own.get(key):
            ours = one.ours_text.partition(" (n=")[0]
            if reproduction:
                return Headline(name, ours, one.n, one.paper_text, str(one.verdict), anchor(*key))
            return Headline(f"In place of {name}", ours, one.n, anchor=anchor(*key))
    printed = printed_cell(*HEADLINE_CELLS[data][0]).text if reproduction else ""
    return Headline(name, paper=printed.partition(" (")[2].rstrip(")") or printed)
