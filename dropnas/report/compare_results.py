"""Compares the numbers of two stores: which ones differ, by how much, and with what p-value.

Design choices: everything comes from the `verdicts.json` of each store. Means of test errors are compared by Welch's
test with reduced degrees of freedom, as in the verdicts. Holm's correction covers all numbers that are tested. If the
true means of two stores are all equal, the probability that any number is reported to differ is therefore at most 5 %.
The best of eight is not compared, because it comes from the same runs as the mean.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pandas import DataFrame

from dropnas.analysis.comparison import Sample, difference
from dropnas.analysis.verdict import LEVEL, holm
from dropnas.artifacts.verdicts_file import CellVerdict, VerdictsFile
from dropnas.report.verdicts import BEST_ON_TEST, p_text

OUTSIDE_PROTOCOL = {
    "profile",
    "description",
    "machine",
    "tables",
    "figures",
}  # keys of a parameter file that the protocol ignores
SHOWN_SETTINGS = 5
COMPARISON_HEADS = ("A: mean (n)", "B: mean (n)", "A - B [95 %]", "p", "")
LABELS = ("table", "row", "column", "quantity", "row_label", "column_label")
COMPARISON_COLUMNS = (
    *LABELS,
    *("mean_a", "std_a", "n_a", "mean_b", "std_b", "n_b", "difference", "low", "high", "p", "outcome"),
)


class NumberOutcome(StrEnum):
    """The outcome of comparing a number of one store with that of the other."""

    DIFFERS = "differs"
    NOT_SHOWN = "not shown"
    SAME_RUNS = "same runs"
    TOO_FEW = "only one run"
    NO_TEST = "not tested"
    ONLY_FIRST = "only in A"
    ONLY_SECOND = "only in B"


@dataclass(frozen=True)
class Other:
    """Another store: its name, its verdicts, and the differences between its protocol and ours."""

    name: str
    results: VerdictsFile
    notes: tuple[str, ...]


def compare(first: VerdictsFile, second: VerdictsFile) -> DataFrame:
    """Compare the numbers of two stores.

    Returns:
        A frame with the columns COMPARISON_COLUMNS and one row for each number, sorted by table. The suffixes `_a` and
        `_b` stand for the two stores. `difference` is A minus B, in the unit of the quantity; `low` and `high` are the
        limits of its 95 % interval. `p` is two-sided, with Holm's correction over all tested rows. Missing values are
        None.
    """
    a, b = (
        {(one.table, one.row, one.column, one.quantity): one for one in results.numbers if one.kind != "best"}
        for results in (first, second)
    )
    keys = sorted(a | b, key=lambda key: key[0])  # stable: in each table, A's numbers come first
    rows = [_row(a.get(key), b.get(key)) for key in keys]
    tested = [row for row in rows if row["p"] is not None]
    for row, p in zip(tested, holm([row["p"] for row in tested]).tolist(), strict=True):
        row |= {"p": p, "outcome": NumberOutcome.DIFFERS if p <= LEVEL else NumberOutcome.NOT_SHOWN}
    return DataFrame(rows, columns=COMPARISON_COLUMNS, dtype=object)


def _row(a: CellVerdict | None, b: CellVerdict | None) -> dict[str, Any]:
    row: dict[str, Any] = {name: getattr(a or b, name) for name in LABELS}
    for side, one in (("a", a), ("b", b)):
        row |= {f"{name}_{side}": getattr(one, name, None) for name in ("mean", "std", "n")}
    row |= dict.fromkeys(("difference", "low", "high", "p"))
    if not a or not b:
        return row | {"outcome": NumberOutcome.ONLY_FIRST if a else NumberOutcome.ONLY_SECOND}
    row |= {"difference": a.mean - b.mean, "outcome": _untested(a, b)}
    if row["outcome"] is None and a.std is not None and b.std is not None:
        estimate = difference(Sample(a.n, a.mean, a.std), Sample(b.n, b.mean, b.std))
        low, high = estimate.interval() or (None, None)
        row |= {"low": low, "high": high, "p": estimate.p_different()}
    return row


def _untested(a: CellVerdict, b: CellVerdict) -> NumberOutcome | None:
    """The reason why two numbers cannot be tested; None if they can."""
    if a.runs and (a.runs, a.mean, a.std) == (b.runs, b.mean, b.std):
        return NumberOutcome.SAME_RUNS
    if not a.quantity.endswith(BEST_ON_TEST):
        return NumberOutcome.NO_TEST
    return NumberOutcome.TOO_FEW if a.std is None or b.std is None else None


def texts(row: Mapping[Any, Any]) -> tuple[str, ...]:
    """Format the cells of a row of a comparison, in the order of COMPARISON_HEADS."""
    between = "" if row["low"] is None else f" [{row['low']:+.2f}, {row['high']:+.2f}]"
    found = "" if row["difference"] is None else f"{row['difference']:+.2f}{between}"
    p = "" if row["p"] is None else p_text(row["p"]).removeprefix("p ").removeprefix("= ")
    return _mean(row, "a"), _mean(row, "b"), found, p, str(row["outcome"])


def _mean(row: Mapping[Any, Any], side: str) -> str:
    mean, std, n = (row[f"{name}_{side}"] for name in ("mean", "std", "n"))
    if mean is None:
        return ""
    return f"{mean:.2f}{'' if std is None else f'±{std:.2f}'} ({n})"


def answer(frame: DataFrame) -> str:
    """State in a sentence how many numbers differ."""
    differ, tested = (frame["outcome"] == NumberOutcome.DIFFERS).sum(), frame["p"].notna().sum()
    apart = len(frame) - tested
    rest = f" {apart} more {'is' if apart == 1 else 'are'} not tested." if apart else ""
    return (
        f"{differ} of {tested} tested numbers {'differs' if differ == 1 else 'differ'} (Welch's test of the means at "
        f"5 %, after Holm's correction).{rest}"
    )


def protocol_lines(
    profiles: Sequence[str], first: Mapping[str, Any] | None, second: Mapping[str, Any] | None
) -> list[str]:
    """List the differences between two protocols: one line for the profiles, and one for the settings.

    `first` and `second` are the contents of the parameter files; None if a file is missing.
    """
    lines = [f"The profiles differ: {profiles[0]} (A), {profiles[1]} (B)."] if profiles[0] != profiles[1] else []
    if first is None or second is None:
        lacking = " and ".join(side for side, one in (("A", first), ("B", second)) if one is None)
        return [*lines, f"The protocols are not compared: no parameters.yaml next to the verdicts of {lacking}."]
    ours, theirs = dict(_settings(first)), dict(_settings(second))
    other = [key for key in ours | theirs if ours.get(key) != theirs.get(key) and not key.endswith(".path")]
    named = [f"{key} {_set(ours.get(key))} (A), {_set(theirs.get(key))} (B)" for key in other[:SHOWN_SETTINGS]]
    more = f"; {len(other) - SHOWN_SETTINGS} more" if len(other) > SHOWN_SETTINGS else ""
    return [*lines, f"The protocols differ: {'; '.join(named)}{more}."] if other else lines


def _settings(values: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """The settings of a parameter file by their dotted keys."""
    for key, value in values.items():
        if isinstance(value, Mapping) and (before or key not in OUTSIDE_PROTOCOL):
            yield from _settings(value, f"{before}{key}.")
        elif before or key not in OUTSIDE_PROTOCOL:
            yield f"{before}{key}", value


def _set(value: object) -> str:
    return "unset" if value is None or value in ([], "") else " ".join(str(value).split())
