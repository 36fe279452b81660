"""Tests the paper's claims and further questions that reviewers ask; their texts are in `claims.yaml`.

Each claim is tested in the same way on up to three sets of numbers: our runs at the epoch with the lowest test error,
as in the paper; our runs at the final epoch; and the numbers that the paper prints. The printed numbers do not always
support the claim.

Design choices: a claim names table cells, and a source supplies the numbers in them. All three tests therefore use the
same cells. A claim with a missing number has the outcome "too few runs".
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from statistics import fmean

import yaml

from dropnas.analysis.best_of import compare_lowest
from dropnas.analysis.claim_tests import (
    ClaimOutcome,
    Decision,
    all_lower,
    correlation_higher,
    counts_higher,
    positive,
    reached,
    seldom,
)
from dropnas.analysis.comparison import Estimate, Sample, contrast, difference, of_summary, sample
from dropnas.analysis.drop_rates import RATES_OF_METHODS, both
from dropnas.analysis.verdict import LEVEL
from dropnas.artifacts.verdicts_file import ClaimResult, Compared, Decided
from dropnas.data.config import ROLES, SEARCHED
from dropnas.report.printed import PRINTED_CORRELATIONS, layout, printed_cell
from dropnas.report.table import Table
from dropnas.report.verdicts import PAPER_SEEDS, independent, margin, p_text, paper_sample

BEST_RATE = "3e-05"  # name of the paper's best drop path rate (Section 5.1) in the sweep
EXTREME_LABELS = {name: f"p_d = {both(p_d)}" for name, p_d in RATES_OF_METHODS.items()}
BEYOND = "beyond the paper"  # part of `where` if a claim is not from the paper
OF_DARTS = (0.2, None)  # the correlation that Section 5.5 quotes for DARTS; it does not state the number of points
NOT_TESTED = Decided(ClaimOutcome.UNDECIDED, "Not tested: our data or sizes are not the paper's.")

CellAddress = tuple[str, str, str]  # table, row, column
Source = Callable[[str, str, str], Sample | None]  # the runs behind a cell; None if there are fewer than two
Pairs = Sequence[tuple[str, CellAddress, CellAddress]]  # name, cell that the claim expects to be lower, other cell
Correlations = Mapping[str, tuple[float | None, int]]
HEADLINES: dict[str, CellAddress] = {
    "headline-cifar10": ("table1", "dropnas", "error"),
    "headline-cifar100": ("table2", "dropnas", "error"),
    "headline-imagenet": ("table3", "dropnas-cifar10", "top1"),
}


@dataclass(frozen=True)
class Evidence:
    """The numbers by which the claims are judged.

    Attributes:
        tables: existing tables, by name.
        sweep: for each data set (`cifar10`) and each series of Figure 2 (a drop path rate such as `3e-05`, or a
            preset), the lowest test error of each training in percent.
        correlations: for each edge of Figure 5 (`0,2`), Pearson's coefficient (None if undefined) and the number of
            points.
        lone_points: for each panel of Figure 4, whether each seed has a cluster of a single point.
        skips: numbers of skip-connects in the normal cells found on CIFAR-100, by method (`dropnas`,
            `one-level-darts`).
    """

    tables: Mapping[str, Table] = field(default_factory=dict)
    sweep: Mapping[str, Mapping[str, Sequence[float]]] = field(default_factory=dict)
    correlations: Correlations = field(default_factory=dict)
    lone_points: Mapping[str, Sequence[bool]] = field(default_factory=dict)
    skips: Mapping[str, Sequence[float]] = field(default_factory=dict)


def claims(evidence: Evidence, reproduction: bool) -> list[ClaimResult]:
    """The paper's claims in their order; then, for each baseline that was run, the claim that DropNAS beats it.

    Args:
        reproduction: whether the runs may be compared with the paper.
    """
    ours, final = (_ours(evidence, epoch) for epoch in ("best_on_test", "final"))
    sources, known = (ours, final, _printed), evidence.correlations
    decided: dict[str, Sequence[Decided | None]] = {  # for each claim, one decision per source
        name: [_reached(source, key) for source in (ours, final)] if reproduction else [NOT_TESTED]
        for name, key in HEADLINES.items()
    }
    decided |= {
        "many-skips": [_many_skips(evidence.skips)],
        "best-rate": [_lower(ours, _sweep(lambda role: _other_rates(evidence.sweep.get(role, {}))))],
        "other-methods-rates": [_lower(ours, _sweep(lambda role: EXTREME_LABELS))],
        "no-lone-point": [_no_lone_point(evidence.lone_points)],
        "spaces": [_lower(source, against_dropnas("table4")) for source in sources],
        "equal-rates": [_equal_rates(source) for source in sources],
        "best-pair": [_lower(source, pairs_of_rates()) for source in sources],
        "correlation-above-darts": [_correlation(known, OF_DARTS), None, _correlation(PRINTED_CORRELATIONS, OF_DARTS)],
        "correlation-first-edge": [_correlation(known), None, _correlation(PRINTED_CORRELATIONS)],
        "ablations": [_lower(source, against_dropnas("table6")) for source in sources],
    }
    of_paper = [_result(name, words()[name], reproduction, *decided[name]) for name in words() if name in decided]
    beyond = words()["baseline"]
    return of_paper + [
        _result(
            f"baseline-{method}",
            {**beyond, "claim": beyond["claim"].format(label)},
            reproduction,
            *(_lower(source, pairs) for source in (ours, final)),
        )
        for (method, label), pairs in _baselines(evidence.tables.get("baselines")).items()
    ]


@cache
def words() -> dict[str, dict[str, str]]:
    """The entries of `claims.yaml`: the text of each claim, its place in the paper, and its test, by id."""
    found: dict[str, dict[str, str]] = yaml.safe_load(Path(__file__).with_name("claims.yaml").read_text("utf-8"))
    return found


def _result(
    name: str,
    words: Mapping[str, str],
    comparable: bool,
    ours: Decided | None,
    final: Decided | None = None,
    paper: Decided | None = None,
) -> ClaimResult:
    assert ours is not None  # only `final` and `paper` may be None
    texts = (words["claim"], words["where"], words["test"])
    return ClaimResult(name, *texts, ours.outcome, ours.detail, ours.comparisons, comparable, final, paper)


def _ours(evidence: Evidence, epoch: str) -> Source:
    """Return a source of our errors at the `best_on_test` or `final` epoch; the sweep always uses the best epoch."""

    def source(table: str, row: str, column: str) -> Sample | None:
        if table == "figure2":
            return sample(evidence.sweep.get(row, {}).get(column, ()))
        cell = evidence.tables[table].cells.get((row, column), {}) if table in evidence.tables else {}
        measured = cell.get(f"top1_error_{epoch}")
        return of_summary(independent(measured)[0]) if measured else None

    return source


def _printed(table: str, row: str, column: str) -> Sample | None:
    """The numbers printed in the paper, with population standard deviations converted to sample deviations."""
    return paper_sample(printed_cell(table, row, column))


def _sweep(others: Callable[[str], Iterable[str]]) -> Pairs:
    """Figure 2: the paper's best rate against other rates on each data set."""
    return [
        (
            f"{ROLES[role].printed} {EXTREME_LABELS.get(name, name)}",
            ("figure2", role, BEST_RATE),
            ("figure2", role, name),
        )
        for role in SEARCHED
        for name in others(role)
    ]


def _other_rates(swept: Iterable[str]) -> list[str]:
    """The rates of a sweep except the paper's best; if none is lower or none is higher, a placeholder is added."""
    others = [name for name in swept if name != BEST_RATE and name not in EXTREME_LABELS]
    lower = [name for name in others if float(name) < float(BEST_RATE)]
    missing = [text for text, there in (("any lower rate", lower), ("any higher rate", others != lower)) if not there]
    return [*others, *missing]


def against_dropnas(table: str) -> Pairs:
    """Tables 4 and 6: in each row, DropNAS against one-level DARTS or against each ablation."""
    paper = layout(table)
    others = [column for column in paper.columns if column.key != "dropnas"]
    return [
        (" ".join((*row.heads, *names)), (table, row.key, "dropnas"), (table, row.key, column.key))
        for row in paper.rows
        for column in others
        for names in [(column.header[1],) if len(others) > 1 else ()]
    ]


def pairs_of_rates() -> Pairs:
    """Table 5: the rate 3e-5 for both groups against every other pair of rates."""
    best = ("table5", "3e-5", "3e-5")
    return [(f"O_np {key[1]}, O_p {key[2]}", best, key) for key in _table5() if key != best]


def _table5() -> list[CellAddress]:
    paper = layout("table5")
    return [("table5", row.key, column.key) for row in paper.rows for column in paper.columns]


def _baselines(table: Table | None) -> dict[tuple[str, str], list[tuple[str, CellAddress, CellAddress]]]:
    """Pair DropNAS with every other method that was trained; the pairs are grouped by the method's name and label."""
    pairs: dict[tuple[str, str], list[tuple[str, CellAddress, CellAddress]]] = {}
    for row in table.layout.rows if table else ():
        role, _, method = row.key.partition("/")
        if method != "dropnas":
            pair = (row.heads[0], ("baselines", f"{role}/dropnas", "error"), ("baselines", row.key, "error"))
            pairs.setdefault((method, row.heads[1]), []).append(pair)
    return pairs


def _lower(source: Source, pairs: Pairs) -> Decided:
    """Decide whether, in every pair, the first cell has the lower error."""
    sampled = [(label, source(*lower), source(*higher)) for label, lower, higher in pairs]
    known = [(label, lower, higher) for label, lower, higher in sampled if lower and higher]
    if not pairs or len(known) < len(pairs):
        return Decided(ClaimOutcome.TOO_FEW, f"{len(known)} of {len(pairs)} comparisons have two runs on both sides.")
    decision = all_lower([(lower, higher) for _, lower, higher in known])
    shown = f"A lower error is shown in {sum(p <= LEVEL for p in decision.p_holds)} of {len(known)} comparisons"
    converted = " The paper's deviations are converted from n to n - 1." if source is _printed else ""
    compared = [
        _compared(label, difference(higher, lower), p)
        for (label, lower, higher), p in zip(known, decision.p_holds, strict=True)
    ]
    return Decided(decision.outcome, f"{shown}; {_weakest(known, decision)}.{converted}", tuple(compared))


def _compared(label: str, estimate: Estimate, p: float) -> Compared:
    return Compared(label, estimate.value, estimate.interval(), estimate.smallest(), p)


def _weakest(pairs: Sequence[tuple[str, Sample, Sample]], decision: Decision) -> str:
    """Describe the decisive comparison: the one that supports the claim least."""
    contradicted = decision.outcome is ClaimOutcome.CONTRADICTED
    p_values = decision.p_opposite if contradicted else decision.p_holds
    p = min(p_values) if contradicted else max(p_values)
    label, *samples = pairs[p_values.index(p)]
    lower, higher = (f"{one.mean:.2f}±{one.std:.2f} (n={one.n})" for one in samples)
    name = "the opposite is shown for" if contradicted else "the weakest is"
    return f"{name} {label}, {lower} against {higher} ({p_text(p)})"


def _equal_rates(source: Source) -> Decided:
    """Table 5: compare the cells off the diagonal with those on it."""
    keys = _table5()
    known = [(key[1] == key[2], one) for key in keys if (one := source(*key))]
    if len(known) < len(keys):
        return Decided(ClaimOutcome.TOO_FEW, f"{len(known)} of {len(keys)} cells have two runs or more.")
    equal = sum(is_equal for is_equal, _ in known)
    weights = [-1 / equal if is_equal else 1 / (len(known) - equal) for is_equal, _ in known]
    estimate = contrast([one for _, one in known], weights)
    decision = positive(estimate)
    compared = _compared("equal rates against the others", estimate, decision.p_holds[0])
    detail = f"Equal rates are lower by {estimate.value:.3f} points ({p_text(compared.p)})."
    return Decided(decision.outcome, detail, (compared,))


def _reached(source: Source, key: CellAddress) -> Decided:
    """Decide whether our runs reach the printed error: the lowest of eight runs or, on ImageNet, that of one run."""
    ours, cell = source(*key), printed_cell(*key)
    if ours is None or cell.mean is None:
        return Decided(ClaimOutcome.TOO_FEW, "Fewer than two runs.")
    printed, m = (cell.best, PAPER_SEEDS) if cell.best else (cell.mean, 1)
    found = compare_lowest(ours, printed, m, margin(*key[:2]), paper_sample(cell))
    between = f", 95 % interval {found.interval[0]:+.2f} to {found.interval[1]:+.2f}" if found.interval else ""
    lowest = f"{printed + found.difference:.2f} against {printed:g} (n={ours.n})"
    return Decided(reached(found).outcome, f"{lowest}: {found.difference:+.2f} points{between}.")


def _many_skips(skips: Mapping[str, Sequence[float]]) -> Decided:
    darts, dropnas = skips.get("one-level-darts", ()), skips.get("dropnas", ())
    decision, n = counts_higher(darts, dropnas), f"(n={len(darts)} and {len(dropnas)})"
    if not decision.p_holds:
        return Decided(decision.outcome, f"Fewer than two searches on a side {n}.")
    counts = f"{fmean(darts):.1f} against {fmean(dropnas):.1f} {n}"
    return Decided(decision.outcome, f"{counts}; {p_text(decision.p_holds[0])}.")


def _no_lone_point(lone_points: Mapping[str, Sequence[bool]]) -> Decided:
    cases = {panel: (sum(seeds), len(seeds)) for panel, seeds in lone_points.items()}
    seen = ", ".join(f"{panel} {k} of {n}" for panel, (k, n) in cases.items())
    detail = f"Seeds with such a cluster: {seen}." if cases else "No clusters yet."
    return Decided(seldom(list(cases.values())).outcome, detail)


def _correlation(known: Correlations, against: tuple[float | None, int | None] | None = None) -> Decided:
    """Decide whether the correlation on edge (0,2) is higher than `against` or, by default, than that on edge (4,5)."""
    (first, n), (other, m) = known.get("0,2", (None, 0)), against or known.get("4,5", (None, 0))
    if first is None or other is None:
        return Decided(ClaimOutcome.TOO_FEW, "A correlation is missing or undefined.")
    decision = correlation_higher(first, n, other, m)
    numbers = f"{first:.3f} (n={n}) against {f'{other:.3f} (n={m})' if m else f'{other:g}'}"
    return Decided(decision.outcome, "; ".join([numbers, *map(p_text, decision.p_holds)]) + ".")
