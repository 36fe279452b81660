"""The paper's claims and further questions of reviewers, each with its test and outcome; texts are in `claims.yaml`.

Each claim is decided up to three times by the same test: by our runs at their best epoch on test, which is what the
paper printed; by our runs at the final epoch; and by the paper's own printed numbers, which do not always support its
text.

Design choices: a claim names its numbers, and a source supplies their values, so all three decisions use the same
numbers. A claim with a missing number counts as "too few runs"; the remaining numbers do not decide it.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from statistics import fmean
from typing import Any

import yaml

from dropnas.analysis.best_of import compare_lowest
from dropnas.analysis.claim_tests import (
    Decision,
    Outcome,
    all_lower,
    correlation_higher,
    counts_higher,
    positive,
    reached,
    seldom,
)
from dropnas.analysis.comparison import Estimate, Sample, contrast, difference, of_summary, sample
from dropnas.analysis.drop_rates import SPECIAL, both
from dropnas.analysis.verdict import LEVEL
from dropnas.artifacts.verdicts_file import ClaimResult, Compared, Decided
from dropnas.data.config import ROLES, SEARCHED
from dropnas.errors import DropnasError
from dropnas.report.printed import PRINTED_CORRELATIONS, layout, printed_cell
from dropnas.report.table import Table
from dropnas.report.verdicts import PAPER_SEEDS, independent, margin, p_text, paper_sample

BEST_RATE = "3e-05"  # the paper's best drop path rate (Section 5.1), as the sweep names it
EXTREMES = {name: f"p_d = {both(p_d)}" for name, p_d in SPECIAL.items()}
RATE = re.compile(r"[0-9.]+(e-?[0-9]+)?")
BEYOND = "beyond the paper"  # in the `where` of a claim that is not the paper's
OF_DARTS = 0.2  # the correlation that Section 5.5 quotes for DARTS, without its number of points
HEADLINES = (
    ("headline-cifar10", "table1", "dropnas", "error"),
    ("headline-cifar100", "table2", "dropnas", "error"),
    ("headline-imagenet", "table3", "dropnas-cifar10", "top1"),
)
NOT_TESTED = Decided(Outcome.UNDECIDED, "Not tested: our data or sizes are not the paper's.")

Source = Callable[[str, str, str], Sample | None]  # the runs behind a cell; None if there are fewer than two
CellKey = tuple[str, str, str]  # table, row, column
Pairs = Sequence[tuple[str, CellKey, CellKey]]  # name of the comparison; the cell expected to be lower; the other one
Sweep = Mapping[str, Mapping[str, Sample | None]]
Correlations = Mapping[str, tuple[float | None, int]]


@dataclass(frozen=True)
class Evidence:
    """The numbers by which the claims are judged.

    Attributes:
        tables: existing tables, by name.
        sweep: best test errors in percent by role and by drop path rate (`3e-05`) or preset, as in Figure 2.
        correlations: Pearson's coefficient of each edge of Figure 5 (`0,2`), None if undefined, and the number of its
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
    """All claims, in the order of the paper; then whether DropNAS beats each of the baselines that were run.

    Args:
        evidence: the known numbers.
        reproduction: whether the runs may be compared with the paper.

    Raises:
        DropnasError: a drop path rate, an error or a correlation is not valid.
    """
    swept = {role: _swept(role, rates) for role, rates in evidence.sweep.items()}
    ours, final = (_ours(evidence.tables, swept, epoch) for epoch in ("best_on_test", "final"))
    in_tables = {"spaces": _lower(spaces()), "equal-rates": _equal_rates}
    in_tables |= {"best-pair": _lower(pairs_of_rates()), "ablations": _lower(ablations())}
    decided: dict[str, Any] = {
        **{
            name: (_reached(ours, key), _reached(final, key)) if reproduction else (NOT_TESTED,)
            for name, *key in HEADLINES
        },
        **{name: (decide(ours), decide(final), decide(_printed)) for name, decide in in_tables.items()},
        "many-skips": (_many_skips(evidence.skips),),
        "best-rate": (_against_best_rate({role: _other_rates(swept.get(role, {})) for role in SEARCHED})(ours),),
        "other-methods-rates": (_against_best_rate({role: list(EXTREMES) for role in SEARCHED})(ours),),
        "no-lone-point": (_no_lone_point(evidence.lone_points),),
        "correlation-above-darts": (_above_darts(evidence.correlations), None, _above_darts(PRINTED_CORRELATIONS)),
        "correlation-first-edge": (
            _above_last_edge(evidence.correlations),
            None,
            _above_last_edge(PRINTED_CORRELATIONS),
        ),
    }
    result = partial(_result, reproduction)
    return [
        *(result(name, words, *decided[name]) for name, words in words().items() if name in decided),
        *(
            result(name, {**words()["baseline"], "claim": words()["baseline"]["claim"].format(label)}, *found)
            for name, label, *found in _baselines(evidence.tables.get("baselines"), ours, final)
        ),
    ]


@cache
def words() -> dict[str, dict[str, str]]:
    """The text of each claim, its place in the paper, and its criterion, by its id."""
    found: dict[str, dict[str, str]] = yaml.safe_load(Path(__file__).with_name("claims.yaml").read_text("utf-8"))
    return found


def _result(
    comparable: bool,
    name: str,
    words: Mapping[str, str],
    ours: Decided,
    final: Decided | None = None,
    paper: Decided | None = None,
) -> ClaimResult:
    claim, where, test = words["claim"], words["where"], words["test"]
    return ClaimResult(name, claim, where, test, ours.outcome, ours.detail, ours.comparisons, comparable, final, paper)


def _reached(source: Source, key: Sequence[str]) -> Decided:
    """Whether our runs reach the printed best of eight or, on ImageNet, the error of the single training."""
    table, row, column = key
    ours, cell = source(table, row, column), printed_cell(table, row, column)
    if ours is None or cell.mean is None:
        return Decided(Outcome.TOO_FEW, "Fewer than two runs.")
    printed, m = (cell.best, PAPER_SEEDS) if cell.best else (cell.mean, 1)
    found = compare_lowest(ours, printed, m, margin(table, row), paper_sample(cell))
    between = f", 95 % interval {found.interval[0]:+.2f} to {found.interval[1]:+.2f}" if found.interval else ""
    detail = (
        f"{printed + found.difference:.2f} against {printed:g} (n={ours.n}): {found.difference:+.2f} points{between}."
    )
    return Decided(reached(found).outcome, detail)


def _many_skips(skips: Mapping[str, Sequence[float]]) -> Decided:
    darts, dropnas = skips.get("one-level-darts", ()), skips.get("dropnas", ())
    decision, n = counts_higher(darts, dropnas), f"(n={len(darts)} and {len(dropnas)})"
    if not decision.p_holds:
        return Decided(decision.outcome, f"Fewer than two searches on a side {n}.")
    return Decided(
        decision.outcome, f"{fmean(darts):.1f} against {fmean(dropnas):.1f} {n}; {p_text(decision.p_holds[0])}."
    )


def _swept(role: str, rates: Mapping[str, Sequence[float]]) -> dict[str, Sample | None]:
    for name, errors in rates.items():
        where = f"figure2, {role}, {name}"
        if name not in EXTREMES and not RATE.fullmatch(name):
            raise DropnasError("is neither a drop path rate nor one of the presets", where=where)
        if not all(math.isfinite(error) for error in errors):
            raise DropnasError("has an error that is not a finite number", where=where)
    return {name: sample(errors) for name, errors in rates.items()}


def _against_best_rate(others: Mapping[str, Sequence[str]]) -> Callable[[Source], Decided]:
    return _lower(
        [
            (f"{ROLES[role].printed} {EXTREMES.get(name, name)}", ("figure2", role, BEST_RATE), ("figure2", role, name))
            for role, names in others.items()
            for name in names
        ]
    )


def _other_rates(swept: Mapping[str, Sample | None]) -> list[str]:
    """The other rates of a sweep, and a placeholder for each side of the paper's best rate without a rate."""
    others = [name for name in swept if name != BEST_RATE and name not in EXTREMES]
    lower = [name for name in others if float(name) < float(BEST_RATE)]
    missing = [text for text, there in (("any lower rate", lower), ("any higher rate", others != lower)) if not there]
    return [*others, *missing]


def _no_lone_point(lone_points: Mapping[str, Sequence[bool]]) -> Decided:
    cases = {panel: (sum(seeds), len(seeds)) for panel, seeds in lone_points.items()}
    seen = ", ".join(f"{panel} {k} of {n}" for panel, (k, n) in cases.items())
    return Decided(
        seldom(list(cases.values())).outcome, f"Seeds with such a cluster: {seen}." if cases else "No clusters yet."
    )


def spaces() -> Pairs:
    """Table 4: DropNAS against one-level DARTS in each space."""
    return [
        (" ".join(row.heads), ("table4", row.key, "dropnas"), ("table4", row.key, "one-level-darts"))
        for row in layout("table4").rows
    ]


def pairs_of_rates() -> Pairs:
    """Table 5: 3e-5 for both groups against each other pair."""
    paper, best = layout("table5"), ("3e-5", "3e-5")
    cells = [(row.key, column.key) for row in paper.rows for column in paper.columns]
    return [(f"O_np {at[0]}, O_p {at[1]}", ("table5", *best), ("table5", *at)) for at in cells if at != best]


def ablations() -> Pairs:
    """Table 6: DropNAS against each ablation."""
    paper = layout("table6")
    return [
        (f"{row.heads[0]} {column.header[1]}", ("table6", row.key, "dropnas"), ("table6", row.key, column.key))
        for row in paper.rows
        for column in paper.columns
        if column.key != "dropnas"
    ]


def _above_darts(known: Correlations) -> Decided:
    r, n = known.get("0,2", (None, 0))
    if r is None:
        return Decided(Outcome.TOO_FEW, "The correlation is missing or undefined.")
    return _correlated(correlation_higher(r, n, OF_DARTS, None), f"{r:.3f} (n={n}) against {OF_DARTS:g}")


def _above_last_edge(known: Correlations) -> Decided:
    (first, n), (last, m) = (known.get(edge, (None, 0)) for edge in PRINTED_CORRELATIONS)
    if first is None or last is None:
        return Decided(Outcome.TOO_FEW, "A correlation is missing or undefined.")
    return _correlated(correlation_higher(first, n, last, m), f"{first:.3f} (n={n}) against {last:.3f} (n={m})")


def _correlated(decision: Decision, numbers: str) -> Decided:
    return Decided(decision.outcome, "; ".join([numbers, *map(p_text, decision.p_holds)]) + ".")


def _baselines(table: Table | None, ours: Source, final: Source) -> list[tuple[str, str, Decided, Decided]]:
    """A question that the paper leaves open: whether DropNAS beats the other methods that were trained."""
    by_method: dict[tuple[str, str], list[tuple[str, CellKey, CellKey]]] = {}
    for row in table.layout.rows if table else ():
        role, _, method = row.key.partition("/")
        if method != "dropnas":
            pair = (row.heads[0], ("baselines", f"{role}/dropnas", "error"), ("baselines", row.key, "error"))
            by_method.setdefault((method, row.heads[1]), []).append(pair)
    return [
        (f"baseline-{method}", label, _lower(pairs)(ours), _lower(pairs)(final))
        for (method, label), pairs in by_method.items()
    ]


def _ours(tables: Mapping[str, Table], swept: Sweep, epoch: str) -> Source:
    """Our runs at the best epoch on test or at the final one."""

    def source(table: str, row: str, column: str) -> Sample | None:
        if table == "figure2":
            return swept.get(row, {}).get(column)
        cell = tables[table].cells.get((row, column), {}) if table in tables else {}
        measured = cell.get(f"top1_error_{epoch}")
        return of_summary(independent(measured)[0]) if measured else None

    return source


def _printed(table: str, row: str, column: str) -> Sample | None:
    """The paper's printed numbers; the population deviation over eight seeds is converted to a sample deviation."""
    return paper_sample(printed_cell(table, row, column))


def _lower(pairs: Pairs) -> Callable[[Source], Decided]:
    """Decide whether the first cell of every pair has the lower error."""

    def decide(source: Source) -> Decided:
        sampled = [(label, source(*lower), source(*higher)) for label, lower, higher in pairs]
        known = [(label, lower, higher) for label, lower, higher in sampled if lower and higher]
        if not pairs or len(known) < len(pairs):
            return Decided(Outcome.TOO_FEW, f"{len(known)} of {len(pairs)} comparisons have two runs on both sides.")
        decision = all_lower([(lower, higher) for _, lower, higher in known])
        shown = f"A lower error is shown in {sum(p <= LEVEL for p in decision.p_holds)} of {len(known)} comparisons"
        converted = " The paper's deviations are converted from n to n - 1." if source is _printed else ""
        compared = (
            _compared(label, difference(higher, lower), p)
            for (label, lower, higher), p in zip(known, decision.p_holds, strict=True)
        )
        return Decided(decision.outcome, f"{shown}; {_weakest(known, decision)}.{converted}", tuple(compared))

    return decide


def _compared(label: str, estimate: Estimate, p: float) -> Compared:
    return Compared(label, estimate.value, estimate.interval(), estimate.smallest(), p)


def _weakest(pairs: Sequence[tuple[str, Sample, Sample]], decision: Decision) -> str:
    """The decisive comparison: the one that supports the claim least."""
    contradicted = decision.outcome is Outcome.CONTRADICTED
    p_values = decision.p_opposite if contradicted else decision.p_holds
    p = min(p_values) if contradicted else max(p_values)
    label, *samples = pairs[p_values.index(p)]
    lower, higher = (f"{one.mean:.2f}±{one.std:.2f} (n={one.n})" for one in samples)
    name = "the opposite is shown for" if contradicted else "the weakest is"
    return f"{name} {label}, {lower} against {higher} ({p_text(p)})"


def _equal_rates(source: Source) -> Decided:
    """Table 5: compare the cells off the diagonal with those on it."""
    paper = layout("table5")
    keys = [(row.key, column.key) for row in paper.rows for column in paper.columns]
    known = [(row == column, one) for row, column in keys if (one := source("table5", row, column))]
    if len(known) < len(keys):
        return Decided(Outcome.TOO_FEW, f"{len(known)} of {len(keys)} cells have two runs or more.")
    equal = sum(is_equal for is_equal, _ in known)
    weights = [-1 / equal if is_equal else 1 / (len(known) - equal) for is_equal, _ in known]
    estimate = contrast([one for _, one in known], weights)
    decision = positive(estimate)
    compared = _compared("equal rates against the others", estimate, decision.p_holds[0])
    return Decided(
        decision.outcome, f"Equal rates are lower by {estimate.value:.3f} points ({p_text(compared.p)}).", (compared,)
    )
