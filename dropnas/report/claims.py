"""The paper's claims, and what reviewers ask beside them, each in one line with its test and its outcome.

Each claim that the tables carry is decided three times by one and the same test: by our runs at their best epoch on
test, which is what the paper printed; by our runs at the final epoch; and by the paper's own printed means and
deviations, which need not support what its text says.

Design choices: a claim names the numbers that it speaks of and leaves to a source what they are, so that the three
decisions cannot drift apart; a claim with a number missing is "too few runs" and not decided by the rest of it.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from dropnas.analysis.claim_tests import Decision, Outcome, all_lower, correlation_higher, negative
from dropnas.analysis.comparison import Sample, contrast, of_summary, printed_sample, sample
from dropnas.analysis.verdict import LEVEL
from dropnas.artifacts.correlation_file import CorrelationFile
from dropnas.data.config import ROLES, SEARCHED
from dropnas.errors import DropnasError
from dropnas.report.claim_places import Place, ablations, pairs_of_rates, spaces
from dropnas.report.model import Row, Table
from dropnas.report.printed import layout
from dropnas.report.verdicts import PAPER_SEEDS, independent, p_text

BEST_RATE = "3e-05"  # the paper's best drop path rate (Section 5.1), as the sweep names it
EXTREMES = {"one-level-darts": "p_d = 0", "drop-rate-0.75": "p_d = 0.75", "drop-rate-0.875": "p_d = 0.875"}
RATE = re.compile(r"[0-9.]+(e-?[0-9]+)?")
FIRST_EDGE, LAST_EDGE = "0,2", "4,5"
PRINTED_CORRELATIONS = {FIRST_EDGE: 0.902, LAST_EDGE: 0.352}  # Figure 5
OPERATIONS = 7  # points of each panel of Figure 5
WELCH = "one-sided Welch's test of each pair, all with Holm's correction; the claim holds only if every one is shown"

Source = Callable[[str, str, str], Sample | None]  # the runs behind a cell; None where there are fewer than two
Pair = tuple[str, Sample | None, Sample | None]  # what is compared; which should be the lower; which the higher


@dataclass(frozen=True)
class Found:
    """An outcome, and the numbers behind it in one line."""

    outcome: Outcome
    detail: str


@dataclass(frozen=True)
class ClaimResult:
    """A claim of the paper and what becomes of it.

    Attributes:
        claim, where, test: one line each: what is said, where, and what decides it.
        outcome, detail: by our runs, best epoch on test as the paper printed.
        comparable: whether our runs may be held against the paper at all; False for smoke, mini and other data.
        by_final_epoch: by our runs at the final epoch; None where the claim does not come from a table.
        by_paper: by the paper's own printed numbers; None where it prints none.
    """

    claim: str
    where: str
    test: str
    outcome: Outcome
    detail: str
    comparable: bool
    by_final_epoch: Found | None = None
    by_paper: Found | None = None


@dataclass(frozen=True)
class _TableClaim:
    """A claim about the cells of one table."""

    claim: str
    where: str
    test: str
    decide: Callable[[Source], Found]


def claims(
    tables: Mapping[str, Table],
    sweep: Mapping[str, Mapping[str, Sequence[float]]],
    correlations: Mapping[str, CorrelationFile],
    reproduction: bool,
) -> list[ClaimResult]:
    """All claims, in the order of the paper; then whether DropNAS beats each of the baselines that were run.

    Args:
        tables: those that exist, by name; Tables 4, 5 and 6 and the baselines are read.
        sweep: best test errors in percent by role and by drop path rate (`3e-05`) or preset, as in Figure 2.
        correlations: what is known of each edge of Figure 5 (`0,2`): how many operations, and Pearson's coefficient.
        reproduction: whether the runs may be compared with the paper.

    Raises:
        DropnasError: a drop path rate, an error or a correlation that is none.
    """
    swept = {role: _swept(role, rates) for role, rates in sweep.items()}
    by_tables = [_of_table(claim, tables, reproduction) for claim in _table_claims()]
    return [
        *_of_sweep(swept, reproduction),
        *by_tables,
        _of_correlations(correlations, reproduction),
        *(_of_baselines(tables["baselines"], reproduction) if "baselines" in tables else ()),
    ]


def _table_claims() -> Iterator[_TableClaim]:
    yield _TableClaim(
        "DropNAS has a lower test error than one-level DARTS in each of the three search spaces, on both data sets.",
        "Table 4, Section 5.3",
        WELCH,
        lambda source: _lower(_pairs(spaces(), source)),
    )
    yield _TableClaim(
        "The best performance is achieved when the two groups share the same drop path rate.",
        "Table 5, Section 5.4",
        "one-sided t-test of the mean of the three cells with equal rates minus that of the six others "
        "(Welch-Satterthwaite)",
        _equal_rates,
    )
    yield _TableClaim(
        "3e-5 for both groups is the best of the nine pairs of drop path rates.",
        "Table 5",
        WELCH,
        lambda source: _lower(_pairs(pairs_of_rates(), source)),
    )
    yield _TableClaim(
        "Each ablation (no alpha-adjust, no partial decay, no grouping) has a higher test error than DropNAS, on both "
        "data sets.",
        "Table 6, Section 5.6",
        WELCH,
        lambda source: _lower(_pairs(ablations(), source)),
    )


def _against(baseline: Row, table: Table) -> list[tuple[str, Place, Place]]:
    """DropNAS and a baseline on the data set of the baseline's row."""
    dropnas = f"{baseline.key.partition('/')[0]}/dropnas"
    return [(baseline.heads[0], ("baselines", dropnas, "error"), ("baselines", baseline.key, "error"))]


def _of_table(claim: _TableClaim, tables: Mapping[str, Table], reproduction: bool) -> ClaimResult:
    found = claim.decide(_ours(tables, "best_on_test"))
    return ClaimResult(
        claim.claim,
        claim.where,
        claim.test,
        found.outcome,
        found.detail,
        reproduction,
        by_final_epoch=claim.decide(_ours(tables, "final")),
        by_paper=claim.decide(_printed),
    )


def _ours(tables: Mapping[str, Table], epoch: str) -> Source:
    """Our runs at the best epoch on test or at the final one."""

    def source(table: str, row: str, column: str) -> Sample | None:
        for one in tables[table].rows if table in tables else ():
            for head, cell in zip(tables[table].columns, one.cells, strict=True):
                for measured in cell.ours if (one.key, head.key) == (row, column) else ():
                    if measured.quantity == f"top1_error_{epoch}":
                        return of_summary(independent(measured)[0])
        return None

    return source


def _printed(table: str, row: str, column: str) -> Sample | None:
    """What the paper prints, its population deviation over eight seeds converted."""
    paper = layout(table)
    at = [one.key for one in paper.columns].index(column)
    cell = next(one for one in paper.rows if one.key == row).cells[at]
    if cell is None or cell.mean is None or cell.std is None:
        return None
    return printed_sample(cell.mean, cell.std, PAPER_SEEDS)


def _pairs(places: Sequence[tuple[str, Place, Place]], source: Source) -> list[Pair]:
    return [(label, source(*lower), source(*higher)) for label, lower, higher in places]


def _lower(pairs: Sequence[Pair]) -> Found:
    """Whether in every pair the first is the lower."""
    known = [(lower, higher) for _, lower, higher in pairs if lower and higher]
    if not pairs or len(known) < len(pairs):
        return Found(Outcome.TOO_FEW, f"two runs on either side in {len(known)} of {len(pairs)} comparisons")
    decision = all_lower(known)
    shown = sum(p <= LEVEL for p in decision.p_holds)
    return Found(decision.outcome, f"{shown} of {len(pairs)} shown; {_weakest(pairs, decision)}")


def _weakest(pairs: Sequence[Pair], decision: Decision) -> str:
    """The comparison that decides: the one farthest from the claim."""
    contradicted = decision.outcome is Outcome.CONTRADICTED
    p_values = decision.p_opposite if contradicted else decision.p_holds
    p = min(p_values) if contradicted else max(p_values)
    label, lower, higher = pairs[p_values.index(p)]
    name = "opposite shown in" if contradicted else "weakest:"
    return f"{name} {label}, {_text(lower)} against {_text(higher)}, {p_text(p)}"


def _text(one: Sample | None) -> str:
    return f"{one.mean:.2f}±{one.std:.2f} (n={one.n})" if one else "nothing"


def _equal_rates(source: Source) -> Found:
    """Table 5: the diagonal against the rest."""
    paper = layout("table5")
    keys = [(row.key, column.key) for row in paper.rows for column in paper.columns]
    cells = [(row == column, source("table5", row, column)) for row, column in keys]
    known = [(equal, one) for equal, one in cells if one]
    if len(known) < len(cells):
        return Found(Outcome.TOO_FEW, f"two runs in {len(known)} of {len(cells)} cells")
    equal = sum(is_equal for is_equal, _ in known)
    weights = [1 / equal if is_equal else -1 / (len(known) - equal) for is_equal, _ in known]
    estimate = contrast([one for _, one in known], weights)
    decision = negative(estimate)
    return Found(decision.outcome, f"difference {estimate.value:+.3f} points, {p_text(decision.p_holds[0])}")


def _swept(role: str, rates: Mapping[str, Sequence[float]]) -> dict[str, Sample | None]:
    for name, errors in rates.items():
        where = f"figure2, {role}, {name}"
        if name not in EXTREMES and not RATE.fullmatch(name):
            raise DropnasError("is neither a drop path rate nor one of the presets", where=where)
        if not all(math.isfinite(error) for error in errors):
            raise DropnasError("holds an error that is no finite number", where=where)
    return {name: sample(errors) for name, errors in rates.items()}


def _of_sweep(swept: Mapping[str, Mapping[str, Sample | None]], reproduction: bool) -> Iterator[ClaimResult]:
    found = _lower([pair for role in SEARCHED for pair in _against_best_rate(role, swept, _other_rates(swept, role))])
    claim = "The best results are achieved at the drop path rate r = 3e-5, on both data sets."
    yield ClaimResult(claim, "Figure 2, Section 5.1", WELCH, found.outcome, found.detail, reproduction)
    found = _lower([pair for role in SEARCHED for pair in _against_best_rate(role, swept, list(EXTREMES))])
    claim = "p_d = 0, 0.75 and 0.875 (DARTS, ProxylessNAS, SNAS) are inferior to the best rate, r = 3e-5."
    yield ClaimResult(claim, "Section 5.1", WELCH, found.outcome, found.detail, reproduction)


def _other_rates(swept: Mapping[str, Mapping[str, Sample | None]], role: str) -> list[str]:
    """The other rates of a sweep; nothing is the best of a range without a rate on either side of it."""
    others = [name for name in swept.get(role, {}) if name != BEST_RATE and name not in EXTREMES]
    lower = [name for name in others if float(name) < float(BEST_RATE)]
    missing = [text for text, there in (("any lower rate", lower), ("any higher rate", others != lower)) if not there]
    return [*others, *missing]


def _against_best_rate(
    role: str, swept: Mapping[str, Mapping[str, Sample | None]], others: Sequence[str]
) -> list[Pair]:
    """The best rate against others on one data set; against one that was not run it is a pair with nothing."""
    known, place = swept.get(role, {}), ROLES[role].printed
    return [(f"{place} {EXTREMES.get(name, name)}", known.get(BEST_RATE), known.get(name)) for name in others]


def _of_correlations(correlations: Mapping[str, CorrelationFile], reproduction: bool) -> ClaimResult:
    known = {edge: (one.pearson.value, one.n) for edge, one in correlations.items()}
    ours = {edge: (value, n) for edge, (value, n) in known.items() if value is not None}
    found = _higher(ours)
    return ClaimResult(
        "p predicts the stand-alone accuracy better on the edge (0,2) than on (4,5).",
        "Figure 5, Section 5.5",
        "one-sided test of the difference of Fisher's z of the two Pearson coefficients, taken as independent",
        found.outcome,
        found.detail,
        reproduction,
        by_paper=_higher({edge: (value, OPERATIONS) for edge, value in PRINTED_CORRELATIONS.items()}),
    )


def _of_baselines(table: Table, reproduction: bool) -> Iterator[ClaimResult]:
    """What the paper does not say and its readers ask: whether DropNAS beats what else was trained beside it."""
    for label in dict.fromkeys(row.heads[1] for row in table.rows if not row.key.endswith("/dropnas")):
        places = [place for row in table.rows if row.heads[1] == label for place in _against(row, table)]
        found, final = (_lower(_pairs(places, _ours({table.name: table}, at))) for at in ("best_on_test", "final"))
        claim, where = f"DropNAS has a lower test error than {label}.", "Baselines, beyond the paper"
        yield ClaimResult(claim, where, WELCH, found.outcome, found.detail, reproduction, by_final_epoch=final)


def _higher(known: Mapping[str, tuple[float, int]]) -> Found:
    first, last = known.get(FIRST_EDGE), known.get(LAST_EDGE)
    if first is None or last is None:
        return Found(Outcome.TOO_FEW, "a correlation is missing or undefined")
    decision = correlation_higher(*first, *last)
    numbers = f"{first[0]:.3f} (n={first[1]}) against {last[0]:.3f} (n={last[1]})"
    p = f", {p_text(decision.p_holds[0])}" if decision.p_holds else ""
    return Found(decision.outcome, f"{numbers}{p}")
