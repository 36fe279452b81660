"""Computes the numbers of one cell from the runs behind its entry.

Design choices: both errors of each training are reported, final and best on test, because the paper printed the latter.
Parameters are counted in both conventions, because the paper's are those of the release. The search cost is rounded
before it is stored: the recorded seconds differ between executions, but the tables of identical runs must be identical.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from statistics import fmean
from typing import Literal

from dropnas.analysis.comparison import improvement, sample
from dropnas.analysis.finished_runs import Run, Training
from dropnas.analysis.summary import Summary, summarise
from dropnas.artifacts.table_file import TableNumber
from dropnas.artifacts.training_files import Errors
from dropnas.errors import DropnasError
from dropnas.report.printed import Layout
from dropnas.report.table import Line
from dropnas.space.names import SKIP

SECONDS_A_DAY = 86_400
MILLION = 10**6
KINDS: tuple[tuple[str, Line, Callable[[Errors], float]], ...] = (
    ("final", Line.FINAL, lambda errors: errors.final),
    ("best_on_test", Line.BEST, lambda errors: errors.best),
)
MEBI = 2**20  # the release's logger divides by it


def measure(
    layout: Layout,
    blank: TableNumber,
    searches: Sequence[Run],
    trainings: Sequence[Training],
    chosen: Training,
    random: Sequence[Training] = (),
) -> list[TableNumber]:
    """All numbers of a cell; empty if the runs do not have its quantity.

    Args:
        layout: layout of the table, for its style.
        blank: the cell without numbers of ours; its quantity says what to measure.
        searches: the searches of all seeds.
        trainings: the trainings of all seeds, at least one.
        chosen: the training whose architecture is counted.
        random: the trainings of random search, to which a relative improvement refers.
    """
    if blank.quantity == "parameters":
        return list(_parameters(blank, chosen, as_released=layout.number is not None and layout.trainings == "retrain"))
    if blank.quantity == "search_days":
        return list(_search_days(blank, searches))
    if blank.quantity == "skip_connects":
        return [_skip_connects(blank, trainings)]
    if blank.quantity == "improvement":
        return list(_improvements(blank, trainings, random))
    if blank.quantity == "top1_error":
        return list(_errors(blank, layout, [(training.run, training.top1) for training in trainings]))
    return list(_errors(blank, layout, [(one.run, one.top5) for one in trainings if one.top5 is not None]))


def number(
    blank: TableNumber, quantity: str, line: Line, text: str, summary: Summary, runs: Sequence[str]
) -> TableNumber:
    """Our number in a cell."""
    statistics = {f"ours_{name}": value for name, value in asdict(summary).items()}
    filled: TableNumber = replace(
        blank, quantity=quantity, source=line, ours=text, n=summary.n, runs=tuple(runs), **statistics
    )
    return filled


def selected(trainings: Sequence[Training], criterion: Literal["best", "final", "held-out"]) -> Training:
    """The training with the lowest top-1 error, the first of several equal ones, as the select stage chooses.

    A single training needs no error for this: a transfer has no error on held-out images.

    Raises:
        DropnasError: one of several trainings has no error on held-out images, but the criterion needs it.
    """
    if len(trainings) == 1:
        return trainings[0]
    return min(trainings, key=lambda one: _deciding(one, criterion))


def _deciding(training: Training, criterion: Literal["best", "final", "held-out"]) -> float:
    """The error by which the best seed is chosen, in percent."""
    if criterion != "held-out":
        return training.top1.best if criterion == "best" else training.top1.final
    if training.held_out is None:
        remedy = "set retrain.held_out, or another select.criterion"
        raise DropnasError("has no error on held-out images", where=training.run.folder, remedy=remedy)
    return training.held_out.held_out_error


def _errors(blank: TableNumber, layout: Layout, measured: Sequence[tuple[Run, Errors]]) -> Iterator[TableNumber]:
    runs = [run.name for run, _ in measured]
    for kind, line, take in KINDS if runs else ():
        summary = summarise([take(errors) for _, errors in measured])
        yield number(blank, f"{blank.quantity}_{kind}", line, _error_text(layout, summary), summary, runs)


def _error_text(layout: Layout, summary: Summary) -> str:
    """As the paper sets it, with n: "2.26 (2.58±0.14; n=8)" or "2.68±0.10 (n=8)", and "1.88 (n=1)" for one seed."""
    digits = layout.decimals
    if summary.std is None:
        return f"{summary.mean:.{digits}f} (n=1)"
    spread = f"{summary.mean:.{digits}f}±{summary.std:.{digits}f}"
    if layout.style == "mean":
        return f"{spread} (n={summary.n})"
    return f"{summary.best:.{digits}f} ({spread}; n={summary.n})"


def _parameters(blank: TableNumber, training: Training, *, as_released: bool) -> Iterator[TableNumber]:
    """The number of parameters; in Tables 1 and 2 also as counted by the release, which has no ImageNet code."""
    runs, plain = [training.run.name], training.parameters / MILLION
    yield number(blank, "parameters_million", Line.BEST, _count_text(plain), summarise([plain]), runs)
    if as_released:
        released = training.parameters_with_auxiliary / MEBI
        text = f"(as released {_count_text(released)})"
        yield number(blank, "parameters_as_released", Line.BEST, text, summarise([released]), runs)


def _count_text(value: float) -> str:
    """One decimal, as in the paper, or two significant digits for very small networks."""
    return f"{value:.1f}" if value >= 1 else f"{value:.2g}"


def _skip_connects(blank: TableNumber, trainings: Sequence[Training]) -> TableNumber:
    """The number of skip-connects in the normal cells."""
    counts = [float(sum(operation == SKIP for operation, _ in one.genotype.normal)) for one in trainings]
    summary = summarise(counts)
    text = f"{summary.mean:.1f}" if summary.std is None else f"{summary.mean:.1f}±{summary.std:.1f}"
    return number(blank, "skip_connects_normal", Line.BEST, text, summary, [one.run.name for one in trainings])


def _improvements(
    blank: TableNumber, trainings: Sequence[Training], random: Sequence[Training]
) -> Iterator[TableNumber]:
    """(RS - method) / RS in percent, with an interval if both have two trainings or more; nothing for RS itself."""
    runs = [one.run.name for one in (*trainings, *random)]
    for kind, line, take in KINDS if random and random != trainings else ():
        ours, others = ([take(one.top1) for one in side] for side in (trainings, random))
        for end, value, text in _improvement(ours, others):
            yield number(blank, f"improvement_{kind}{end}", line, text, summarise([value]), runs)


def _improvement(ours: Sequence[float], random: Sequence[float]) -> Iterator[tuple[str, float, str]]:
    """The value and its interval's limits: for each, the suffix of the quantity's name, the number, and its text."""
    ours_sample, random_sample = sample(ours), sample(random)
    if ours_sample is None or random_sample is None:
        value = 100 * (1 - fmean(ours) / fmean(random))
        yield "", value, f"{value:+.1f}"
        return
    value, interval = improvement(ours_sample, random_sample)
    yield "", value, f"{value:+.1f}"
    if interval:
        low, high = interval
        yield from (("_low", low, f"[{low:+.1f},"), ("_high", high, f"{high:+.1f}]"))


def _search_days(blank: TableNumber, searches: Sequence[Run]) -> Iterator[TableNumber]:
    """The cost of each search and their mean, in device-days with one decimal."""
    if searches:
        each = [run.seconds / SECONDS_A_DAY for run in searches]
        days = replace(summarise([round(one, 1) for one in each]), mean=round(fmean(each), 1))
        yield number(blank, "search_device_days", Line.BEST, f"{days.mean:.1f}", days, [run.name for run in searches])
