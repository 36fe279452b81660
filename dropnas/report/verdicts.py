"""A verdict on each printed number: what our runs say about it, and by which test.

Only comparable numbers are compared. The paper printed the best test error of any epoch, with the population deviation
over eight seeds. Our best on test is therefore compared with it, and its deviation is converted to n - 1; our final
epoch is only in the tables. A cell "2.26 (2.58±0.14)" has two numbers: the mean is compared with our mean, and the
single best with the lowest of eight.

Design choices: a number that cannot be compared gets a verdict too, with the reason, so that nothing is silently left
out. If an architecture has several retrainings, only the first is compared, because the paper trained each architecture
once. All numbers of a table are one family for Holm's correction. Each table is judged separately, although some
numbers are in several tables.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dropnas.analysis.best_of import ALIKE, compare_lowest, expected_lowest
from dropnas.analysis.comparison import Comparison, Sample, compare_means, of_summary, printed_sample
from dropnas.analysis.summary import Summary, summarise
from dropnas.analysis.verdict import LEVEL, Judged, Verdict, judge
from dropnas.artifacts.table_file import TableNumber
from dropnas.artifacts.verdicts_file import CellVerdict, Kind
from dropnas.data.config import ROLES
from dropnas.report.config import TARGETS
from dropnas.report.printed import Layout, Printed
from dropnas.report.table import Table

PAPER_SEEDS = 8
OWN_ROWS = frozenset(("dropnas", "dropnas-augmented", "dropnas-cifar10", "dropnas-cifar100"))  # rows of Tables 1-3
BEST_ON_TEST = "_best_on_test"
OUR_QUANTITY = {  # the first available quantity; multiply-adds are counted, not measured
    "top1_error": (f"top1_error{BEST_ON_TEST}",),
    "top5_error": (f"top5_error{BEST_ON_TEST}",),
    "parameters": ("parameters_as_released", "parameters_million"),
    "search_days": ("search_device_days",),
}
RETRAINING = re.compile(r"-train\d+-[0-9a-f]{10}$")  # suffix that a retraining's name adds to its architecture's


@dataclass(frozen=True)
class _Number:
    """A printed number and our measurement of it; `column` is the content of the column."""

    table: Table
    column: str
    kind: Kind
    printed: Printed
    measured: TableNumber
    ours: Summary
    runs: tuple[str, ...]

    @property
    def quoted(self) -> bool:
        """Whether the paper took the number from another paper."""
        return self.table.layout.row_is_method and self.measured.row not in OWN_ROWS

    @property
    def is_error(self) -> bool:
        """Whether it is a test error."""
        return self.measured.quantity.endswith(BEST_ON_TEST)

    @property
    def of(self) -> int:
        """The number of the paper's trainings behind it."""
        return 1 if self.kind == "single" else PAPER_SEEDS

    @property
    def value(self) -> float:
        """The printed number."""
        return float(self.text.partition("±")[0])

    @property
    def text(self) -> str:
        """The compared part of a cell's text: "2.58±0.14" or "2.26" of "2.26 (2.58±0.14)"."""
        best, _, mean = self.printed.text.partition(" (")
        return mean.rstrip(")") if mean and self.kind == "mean" else best

    @property
    def sample(self) -> Sample:
        """Our runs, which are at least two where a number is tested."""
        found = of_summary(self.ours)
        assert found is not None
        return found

    @property
    def margin(self) -> float:
        """The margin of equivalence, in points."""
        return margin(self.table.content.table, self.measured.row)

    def set(self, value: float, sign: str = "") -> str:
        """Format a number with as many decimals as the paper prints here."""
        decimals = len(self.text.partition("±")[0].partition(".")[2])
        return f"{value:{sign}z.{decimals}f}".replace("-", "\N{MINUS SIGN}")


def margin(table: str, row: str) -> float:
    """The margin of equivalence in a row of a table, in points of test error."""
    data_set = row.partition("/")[0]
    return ROLES[data_set if data_set in ROLES else TARGETS[table].needs[-1]].margin


def verdicts(table: Table) -> list[CellVerdict]:
    """The verdicts on all printed numbers of a table for which we have runs, in its order."""
    obstacles = [(number, _obstacle(number)) for number in _numbers(table)]
    judged = iter(judge([_compare(number) for number, obstacle in obstacles if obstacle is None]))
    return [
        _untested(number, *obstacle) if obstacle else _tested(number, next(judged)) for number, obstacle in obstacles
    ]


def independent(measured: TableNumber) -> tuple[Summary, tuple[str, ...]]:
    """The values of our number and the names of their runs; of an error, the first training of each architecture.

    Retrainings of an architecture add no independent search.
    """
    values, runs = measured.ours_values, measured.runs
    if "_error_" in measured.quantity:
        first: dict[str, tuple[float, str]] = {}
        for value, run in zip(values, runs, strict=True):
            first.setdefault(RETRAINING.sub("", run), (value, run))
        values, runs = zip(*first.values(), strict=True)
    return summarise(values), runs


def _numbers(table: Table) -> Iterator[_Number]:
    quantities = {column.key: column.quantity for column in table.layout.columns}
    for (_, column), ours in table.cells.items():
        named = OUR_QUANTITY.get(quantities[column], ())
        measured = next((ours[name] for name in named if name in ours), None)
        if measured is None or measured.paper_mean is None:
            continue
        printed = Printed(measured.paper, measured.paper_mean, measured.paper_std, measured.paper_best)
        several: tuple[Kind, ...] = ("mean",) if printed.best is None else ("mean", "best")
        for kind in ("single",) if printed.std is None else several:
            number = _Number(table, quantities[column], kind, printed, measured, *independent(measured))
            if number.is_error or not number.quoted:  # counts of published architectures have remarks of their own
                yield number


def _obstacle(number: _Number) -> tuple[Verdict, str] | None:
    """The reason why nothing can be tested; None if a test is possible."""
    content, why = number.table.content, ""
    if not content.reproduction:
        why = f"profile '{content.profile}' runs on other data or in other sizes than the paper"
    elif number.quoted:
        why = "the printed number comes from another paper and its protocol"
    elif number.column == "parameters":
        why = "size depends on which seed won"
    elif number.column == "search_days":
        why = "other hardware"
    elif number.ours.n < 2:
        return Verdict.TOO_FEW, "Only one run, so no error bar"
    return (Verdict.NOT_COMPARABLE, f"Not tested: {why}") if why else None


def _compare(number: _Number) -> Comparison:
    paper = paper_sample(number.printed)
    if number.kind == "mean" and paper:
        return compare_means(number.sample, paper, number.margin)
    return compare_lowest(number.sample, number.value, number.of, number.margin, paper)


def paper_sample(printed: Printed) -> Sample | None:
    """The paper's runs behind a printed mean and deviation; None if it prints no deviation."""
    if printed.mean is None or printed.std is None:
        return None
    return printed_sample(printed.mean, printed.std, PAPER_SEEDS)


def _untested(number: _Number, verdict: Verdict, reason: str) -> CellVerdict:
    """A verdict without a test: our mean does not estimate the printed number, so a difference would mislead."""
    shown = verdict is Verdict.TOO_FEW and number.kind != "best"
    difference = number.ours.mean - number.value if shown else None
    return _verdict(number, _ours_text(number), verdict=verdict, reason=reason, difference=difference)


def _tested(number: _Number, judged: Judged) -> CellVerdict:
    text = _ours_text(number)
    if number.kind == "best":
        expected = number.set(expected_lowest(number.sample, PAPER_SEEDS))
        lowest = number.set(number.ours.best)
        text = f"{expected} expected as best of {PAPER_SEEDS} (lowest seen {lowest}, n={number.ours.n})"
    return _verdict(
        number,
        text,
        verdict=judged.verdict,
        reason=_reason(number, judged),
        difference=judged.comparison.difference,
        interval=judged.comparison.interval,
        p_differs=judged.p_differs,
        p_agrees=judged.p_agrees,
    )


def _verdict(number: _Number, text: str, **found: Any) -> CellVerdict:
    measured = number.measured
    row, column = labels(number.table.layout, measured.row_label, measured.column_label)
    untested = dict.fromkeys(("interval", "p_differs", "p_agrees"))
    return CellVerdict(
        table=number.table.content.table,
        row=measured.row,
        column=measured.column,
        row_label=row,
        column_label=column,
        quantity=measured.quantity,
        kind=number.kind,
        ours_text=text,
        paper_text=number.text,
        n=number.ours.n,
        n_paper=None if number.quoted else number.of,
        mean=number.ours.mean,
        std=number.ours.std,
        runs=number.runs,
        **{**untested, **found},
    )


def labels(layout: Layout, row: str, column: str) -> tuple[str, str]:
    """Row and column, each with its name where a corner such as "O_np \\ O_p" names both."""
    of_row, _, of_column = layout.heads[-1][0].partition(" \\ ")
    return (f"{of_row} {row}", f"{of_column} {column}") if of_column else (row, column)


def _ours_text(number: _Number) -> str:
    ours = number.ours
    if not number.is_error:
        return number.measured.ours.strip("()")
    if number.kind == "best":
        return f"{number.set(ours.best)} (lowest of n={ours.n})"
    spread = "" if ours.std is None else f"±{number.set(ours.std)}"
    return f"{number.set(ours.mean)}{spread} (n={ours.n})"


def _reason(number: _Number, judged: Judged) -> str:
    """State the verdict in one sentence with its tests; all p-values are corrected."""
    comparison = judged.comparison
    if comparison.interval is None:
        return _no_interval(number)
    shift, *ends = (number.set(value, "+") for value in (comparison.difference, *comparison.interval))
    differs, agrees = p_text(judged.p_differs), p_text(judged.p_agrees)
    within = f"within ±{number.margin:g} points"
    if judged.verdict is Verdict.DIFFERS:
        text = f"Differs by {shift} points ({differs}); not shown to be {within} ({agrees})"
    elif judged.verdict is Verdict.UNDECIDED:
        alone = min(comparison.p_differs, comparison.p_agrees) <= LEVEL
        corrected = "; significant by itself, but not after Holm's correction over the table" if alone else ""
        text = f"Neither equality nor a difference is shown: {' to '.join(ends)} points{corrected}"
    elif judged.measurable:
        text = f"Differs by {shift} points ({differs}), but is equal {within} ({agrees})"
    else:
        text = f"Equal {within} ({agrees})"
    return text if number.kind == "mean" else f"{text}, if the paper's runs scatter as ours do"


def _no_interval(number: _Number) -> str:
    ours, paper = number.sample, paper_sample(number.printed)
    if not ours.std or not paper:
        return "Not tested: all runs gave the same number, so their spread is unknown"
    return (
        f"Not tested: our deviation is {number.set(ours.std)}, the paper's {number.set(paper.std)} (n - 1); a best of "
        f"{PAPER_SEEDS} is tested only where ours is {ALIKE[0]:g} to {ALIKE[1]:g} times the paper's"
    )


def p_text(p: float) -> str:
    """A p-value for readers. Rounding never makes it equal to the level that it is compared with."""
    if p < 0.001:
        return "p < 0.001"
    text = f"{p:.2g}"
    return f"p = {text}" if (float(text) <= LEVEL) == (p <= LEVEL) else f"p = {p:.5f}"
