"""A verdict on each printed number, from our runs and a statistical test.

Numbers are compared only if they are defined in the same way. The paper printed the lowest test error of any epoch,
with the population standard deviation over eight seeds. The printed error is therefore compared with our lowest test
error of any epoch, after the printed deviation is converted to a sample standard deviation (n - 1). Our errors at the
final epoch appear in the tables, but get no verdict. A cell such as "2.26 (2.58±0.14)" has two numbers. The mean, 2.58,
is compared with our mean. The best, 2.26, is compared with the lowest error to be expected from eight of our runs.

Design choices: a number that cannot be compared gets a verdict too, with the reason, so that no number is silently left
out. If an architecture has several retrainings, only the first is compared, because the paper trained each architecture
once. All numbers of a table are one family for Holm's correction. Each table is judged separately, although some
numbers are in several tables.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from dropnas.analysis.best_of import STD_RATIOS, compare_lowest, expected_lowest
from dropnas.analysis.comparison import Comparison, Sample, compare_means, printed_sample
from dropnas.analysis.summary import Summary, summarise
from dropnas.analysis.verdict import LEVEL, JudgedComparison, Verdict, judge
from dropnas.artifacts.table_file import TableNumber
from dropnas.artifacts.verdicts_file import CellVerdict, NumberKind
from dropnas.data.config import ROLES
from dropnas.report.config import TARGETS
from dropnas.report.printed import Layout, Printed
from dropnas.report.table import Table

PAPER_SEEDS = 8
OWN_ROWS = frozenset(("dropnas", "dropnas-augmented", "dropnas-cifar10", "dropnas-cifar100"))  # DropNAS in Tables 1-3
BEST_ON_TEST = "_best_on_test"
# For each printed quantity, our quantities in order of preference: the first one that is available is compared. Other
# printed quantities get no verdict; multiply-adds, for example, are counted and not measured.
OUR_QUANTITY = {
    "top1_error": (f"top1_error{BEST_ON_TEST}",),
    "top5_error": (f"top5_error{BEST_ON_TEST}",),
    "parameters": ("parameters_as_released", "parameters_million"),
    "search_days": ("search_device_days",),
}
RETRAINING = re.compile(r"-train\d+-[0-9a-f]{10}$")  # suffix of a retraining's name, after the name of its architecture


@dataclass(frozen=True)
class _Number:
    """A printed number with its verdict, before or after the test."""

    cell: CellVerdict
    printed: Printed  # the printed cell
    lowest: float  # our lowest value

    @property
    def value(self) -> float:
        """The printed number."""
        return float(self.cell.paper_text.partition("±")[0])

    @property
    def sample(self) -> Sample:
        """Our runs as a sample; there must be at least two runs."""
        assert self.cell.std is not None
        return Sample(self.cell.n, self.cell.mean, self.cell.std)

    @property
    def margin(self) -> float:
        """The equivalence margin, in points of test error."""
        return margin(self.cell.table, self.cell.row)

    def set(self, value: float, sign: str = "") -> str:
        """Format a number with as many decimal places as the printed number."""
        return _set(value, self.cell.paper_text, sign)


def _set(value: float, paper: str, sign: str = "") -> str:
    decimals = len(paper.partition("±")[0].partition(".")[2])
    return f"{value:{sign}z.{decimals}f}".replace("-", "\N{MINUS SIGN}")


def margin(table: str, row: str) -> float:
    """The equivalence margin for a row of a table, in points of test error."""
    data_set = row.partition("/")[0]
    return ROLES[data_set if data_set in ROLES else TARGETS[table].needs[-1]].margin


def verdicts(table: Table) -> list[CellVerdict]:
    """The verdicts on all printed numbers of a table for which we have runs, in the order of the table."""
    numbers = list(_numbers(table))
    judged = iter(judge([_compare(one) for one in numbers if one.cell.verdict == Verdict.UNDECIDED]))
    return [_tested(one, next(judged)) if one.cell.verdict == Verdict.UNDECIDED else one.cell for one in numbers]


def independent(measured: TableNumber) -> tuple[Summary, tuple[str, ...]]:
    """Summarise the values from which one of our numbers was computed; also return the names of their runs.

    For an error, only the first training of each architecture is used, because further trainings add no independent
    search.
    """
    values, runs = measured.ours_values, measured.runs
    if "_error_" in measured.quantity:
        first: dict[str, tuple[float, str]] = {}
        for value, run in zip(values, runs, strict=True):
            first.setdefault(RETRAINING.sub("", run), (value, run))
        values, runs = zip(*first.values(), strict=True)
    return summarise(values), runs


def _numbers(table: Table) -> Iterator[_Number]:
    """Yield the printed numbers for which we have runs; "undecided" marks those that are still to be tested."""
    quantities = {column.key: column.quantity for column in table.layout.columns}
    for (row, column), ours in table.cells.items():
        named = OUR_QUANTITY.get(quantities[column], ())
        measured = next((ours[name] for name in named if name in ours), None)
        quoted = table.layout.row_is_method and row not in OWN_ROWS  # the paper quotes another paper
        if measured is None or measured.paper_mean is None or (quoted and "_error_" not in measured.quantity):
            continue  # in a quoted row, only errors get a verdict
        printed = Printed(measured.paper, measured.paper_mean, measured.paper_std, measured.paper_best)
        several: tuple[NumberKind, ...] = ("mean",) if printed.best is None else ("mean", "best")
        for kind in ("single",) if printed.std is None else several:
            yield _number(table, measured, printed, kind, quoted)


def _number(table: Table, measured: TableNumber, printed: Printed, kind: NumberKind, quoted: bool) -> _Number:
    (ours, runs), content = independent(measured), table.content
    verdict, reason = _before_tests(table, measured, quoted, ours.n)
    row, column = labels(table.layout, measured.row_label, measured.column_label)
    best, _, mean = printed.text.partition(" (")  # the two numbers of "2.26 (2.58±0.14)"
    paper = mean.rstrip(")") if mean and kind == "mean" else best
    # with too few runs for a test, the difference is still shown; but for `best`, it would be misleading
    too_few = verdict is Verdict.TOO_FEW and kind != "best"
    cell = CellVerdict(
        table=content.table,
        row=measured.row,
        column=measured.column,
        row_label=row,
        column_label=column,
        quantity=measured.quantity,
        kind=kind,
        ours_text=_ours_text(measured, ours, kind, paper),
        paper_text=paper,
        n=ours.n,
        n_paper=None if quoted else 1 if kind == "single" else PAPER_SEEDS,
        mean=ours.mean,
        std=ours.std,
        difference=ours.mean - float(paper.partition("±")[0]) if too_few else None,
        interval=None,
        p_differs=None,
        p_agrees=None,
        verdict=verdict,
        reason=reason,
        runs=runs,
    )
    return _Number(cell, printed, ours.best)


def _before_tests(table: Table, measured: TableNumber, quoted: bool, n: int) -> tuple[Verdict, str]:
    """The verdict and reason if no test is possible, otherwise "undecided"."""
    why = ""
    if not table.content.reproduction:
        why = f"profile '{table.content.profile}' uses other data or other sizes than the paper"
    elif quoted:
        why = "the printed number comes from another paper and its protocol"
    elif measured.quantity in OUR_QUANTITY["parameters"]:
        why = "the size depends on which seed was the best"
    elif measured.quantity in OUR_QUANTITY["search_days"]:
        why = "other hardware"
    elif n < 2:
        return Verdict.TOO_FEW, "Only one run, so there is no deviation"
    return (Verdict.NOT_COMPARABLE, f"Not tested: {why}") if why else (Verdict.UNDECIDED, "")


def _ours_text(measured: TableNumber, ours: Summary, kind: NumberKind, paper: str) -> str:
    if "_error_" not in measured.quantity:
        return measured.ours.strip("()")
    if kind == "best":
        return f"{_set(ours.best, paper)} (lowest of n={ours.n})"
    spread = "" if ours.std is None else f"±{_set(ours.std, paper)}"
    return f"{_set(ours.mean, paper)}{spread} (n={ours.n})"


def _compare(number: _Number) -> Comparison:
    paper = paper_sample(number.printed)
    if number.cell.kind == "mean" and paper:
        return compare_means(number.sample, paper, number.margin)
    return compare_lowest(number.sample, number.value, number.cell.n_paper or 1, number.margin, paper)


def paper_sample(printed: Printed) -> Sample | None:
    """The sample of the paper's runs, from the printed mean and standard deviation; None if no deviation is printed."""
    if printed.mean is None or printed.std is None:
        return None
    return printed_sample(printed.mean, printed.std, PAPER_SEEDS)


def _tested(number: _Number, judged: JudgedComparison) -> CellVerdict:
    text = number.cell.ours_text
    if number.cell.kind == "best":
        expected, lowest = number.set(expected_lowest(number.sample, PAPER_SEEDS)), number.set(number.lowest)
        text = f"{expected} expected as best of {PAPER_SEEDS} (lowest seen {lowest}, n={number.cell.n})"
    return replace(
        number.cell,
        ours_text=text,
        verdict=judged.verdict,
        reason=_reason(number, judged),
        difference=judged.comparison.difference,
        interval=judged.comparison.interval,
        p_differs=judged.p_differs,
        p_agrees=judged.p_agrees,
    )


def labels(layout: Layout, row: str, column: str) -> tuple[str, str]:
    """The labels of a row and a column, with the names of both axes if the corner of the table gives them, such as
    "O_np \\ O_p".
    """
    of_row, _, of_column = layout.heads[-1][0].partition(" \\ ")
    return (f"{of_row} {row}", f"{of_column} {column}") if of_column else (row, column)


def _reason(number: _Number, judged: JudgedComparison) -> str:
    """The verdict in one sentence, with corrected p-values."""
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
    return text if number.cell.kind == "mean" else f"{text}, if the paper's runs vary as ours do"


def _no_interval(number: _Number) -> str:
    ours, paper = number.sample, paper_sample(number.printed)
    if not ours.std or not paper:
        return "Not tested: all runs gave the same number, so their spread is unknown"
    return (
        f"Not tested: our deviation is {number.set(ours.std)}, the paper's {number.set(paper.std)} (n - 1); a best of "
        f"{PAPER_SEEDS} is tested only where ours is {STD_RATIOS[0]:g} to {STD_RATIOS[1]:g} times the paper's"
    )


def p_text(p: float) -> str:
    """A p-value as text. Rounding never moves it across the significance level."""
    if p < 0.001:
        return "p < 0.001"
    text = f"{p:.2g}"
    return f"p = {text}" if (float(text) <= LEVEL) == (p <= LEVEL) else f"p = {p:.5f}"
