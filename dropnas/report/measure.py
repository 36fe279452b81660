"""Computes the numbers of one table cell from its runs.

Design choices: two test errors of each training are reported: the error of the final epoch, and the lowest error of any
epoch, which the paper printed. Parameters are counted by two conventions: ours, and the convention of the released
code, which the paper uses. The search cost is rounded before it is stored: the recorded seconds differ between
executions, but the tables of identical runs must be identical.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from statistics import fmean
from typing import Literal

from dropnas.analysis.comparison import improvement, sample
from dropnas.analysis.finished_runs import FinishedRun, Training
from dropnas.analysis.summary import Summary, summarise
from dropnas.artifacts.table_file import TableNumber
from dropnas.artifacts.training_files import Errors
from dropnas.errors import DropnasError
from dropnas.report.printed import Layout
from dropnas.report.table import Line
from dropnas.space.names import SKIP

SECONDS_A_DAY = 86_400
MILLION = 10**6
MEBI = 2**20  # the release's logger gives parameters in this unit
Criterion = Literal["best", "final", "held-out"]
SUMMARIES: tuple[tuple[str, Line, Callable[[Errors], float]], ...] = (
    ("final", Line.FINAL, lambda errors: errors.final),
    ("best_on_test", Line.BEST, lambda errors: errors.best),
)


@dataclass(frozen=True)
class CellRuns:
    """The runs behind a cell.

    Attributes:
        searches, trainings: the runs of all seeds; at least one training.
        chosen: the training whose parameters are shown.
        random: the trainings of random search, the baseline of relative improvements.
    """

    searches: Sequence[FinishedRun]
    trainings: Sequence[Training]
    chosen: Training
    random: Sequence[Training] = ()

    @property
    def names(self) -> list[str]:
        """The names of the trainings."""
        return [one.run.name for one in self.trainings]


def measure(layout: Layout, blank: TableNumber, runs: CellRuns) -> list[TableNumber]:
    """Compute our numbers for a cell and the quantity of `blank`; empty if the runs do not have this quantity."""
    if blank.quantity in ("top1_error", "top5_error"):
        return list(_errors(layout, blank, runs))
    if blank.quantity == "parameters":
        return list(_parameters(blank, runs.chosen, as_released=as_released(layout)))
    others = {"search_days": _days, "skip_connects": _skips, "improvement": _improvements}
    return list(others[blank.quantity](blank, runs))


def as_released(layout: Layout) -> bool:
    """Whether to show the released code's parameter count too. That code does not cover ImageNet or the baselines."""
    return layout.number is not None and layout.trainings == "retrain"


def number(
    blank: TableNumber, quantity: str, line: Line, text: str, summary: Summary, runs: Sequence[str]
) -> TableNumber:
    """Fill the entry `blank` with our number."""
    statistics = {f"ours_{name}": value for name, value in asdict(summary).items()}
    filled: TableNumber = replace(
        blank, quantity=quantity, source=line, ours=text, n=summary.n, runs=tuple(runs), **statistics
    )
    return filled


def selected(trainings: Sequence[Training], criterion: Criterion) -> Training:
    """Find the training with the lowest top-1 error under the criterion. The first wins a tie, as in the select stage.

    Raises a DropnasError if the criterion needs errors on held-out images and a training has none. A single training,
    such as a transfer, is returned without this check.
    """
    return trainings[0] if len(trainings) == 1 else min(trainings, key=lambda one: _deciding(one, criterion))


def _deciding(training: Training, criterion: Criterion) -> float:
    if criterion != "held-out":
        return training.top1.best if criterion == "best" else training.top1.final
    if training.held_out is None:
        remedy = "set retrain.held_out, or another select.criterion"
        raise DropnasError("has no error on held-out images", where=training.run.folder, remedy=remedy)
    return training.held_out.held_out_error


def _errors(layout: Layout, blank: TableNumber, runs: CellRuns) -> Iterator[TableNumber]:
    of_kind = [(one.run.name, one.top1 if blank.quantity == "top1_error" else one.top5) for one in runs.trainings]
    measured = [(name, errors) for name, errors in of_kind if errors]
    for kind, line, take in SUMMARIES if measured else ():
        summary = summarise([take(errors) for _, errors in measured])
        text = _error_text(layout, summary)
        yield number(blank, f"{blank.quantity}_{kind}", line, text, summary, [name for name, _ in measured])


def _error_text(layout: Layout, summary: Summary) -> str:
    """The text in the paper's form: "2.26 (2.58±0.14; n=8)" or "2.68±0.10 (n=8)", and "1.88 (n=1)" for one seed."""
    digits = layout.decimals
    if summary.std is None:
        return f"{summary.mean:.{digits}f} (n=1)"
    spread = f"{summary.mean:.{digits}f}±{summary.std:.{digits}f}"
    if layout.style == "mean":
        return f"{spread} (n={summary.n})"
    return f"{summary.best:.{digits}f} ({spread}; n={summary.n})"


def _parameters(blank: TableNumber, training: Training, *, as_released: bool) -> Iterator[TableNumber]:
    runs, plain = [training.run.name], training.parameters / MILLION
    yield number(blank, "parameters_million", Line.BEST, _count_text(plain), summarise([plain]), runs)
    if as_released:
        released = training.parameters_with_auxiliary / MEBI
        text = f"(as released {_count_text(released)})"
        yield number(blank, "parameters_as_released", Line.BEST, text, summarise([released]), runs)


def _count_text(value: float) -> str:
    """Format a count with one decimal, as in the paper, or with two significant digits for very small networks."""
    return f"{value:.1f}" if value >= 1 else f"{value:.2g}"


def _skips(blank: TableNumber, runs: CellRuns) -> Iterator[TableNumber]:
    """The number of skip-connects in the normal cells."""
    summary = summarise([float(sum(name == SKIP for name, _ in one.genotype.normal)) for one in runs.trainings])
    text = f"{summary.mean:.1f}" if summary.std is None else f"{summary.mean:.1f}±{summary.std:.1f}"
    yield number(blank, "skip_connects_normal", Line.BEST, text, summary, runs.names)


def _improvements(blank: TableNumber, runs: CellRuns) -> Iterator[TableNumber]:
    """Yield the improvement over random search in percent: (random search - method) / random search.

    Random search itself has no improvement. The interval is computed only if both methods have at least two trainings.
    """
    names = [*runs.names, *(one.run.name for one in runs.random)]
    for kind, line, take in SUMMARIES if runs.random and runs.random != runs.trainings else ():
        ours, others = ([take(one.top1) for one in side] for side in (runs.trainings, runs.random))
        for end, value, text in _improvement(ours, others):
            yield number(blank, f"improvement_{kind}{end}", line, text, summarise([value]), names)


def _improvement(ours: Sequence[float], random: Sequence[float]) -> Iterator[tuple[str, float, str]]:
    """Yield the value and the limits of its interval, each as (suffix of the quantity's name, number, text)."""
    ours_sample, random_sample = sample(ours), sample(random)
    value, interval = 100 * (1 - fmean(ours) / fmean(random)), None
    if ours_sample and random_sample:
        value, interval = improvement(ours_sample, random_sample)
    yield "", value, f"{value:+.1f}"
    if interval:
        yield "_low", interval[0], f"[{interval[0]:+.1f},"
        yield "_high", interval[1], f"{interval[1]:+.1f}]"


def _days(blank: TableNumber, runs: CellRuns) -> Iterator[TableNumber]:
    """The cost of each search and their mean, in device-days with one decimal."""
    if runs.searches:
        each = [run.seconds / SECONDS_A_DAY for run in runs.searches]
        days = replace(summarise([round(one, 1) for one in each]), mean=round(fmean(each), 1))
        names = [run.name for run in runs.searches]
        yield number(blank, "search_device_days", Line.BEST, f"{days.mean:.1f}", days, names)
