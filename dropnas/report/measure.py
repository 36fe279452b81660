"""From the runs behind one entry to the numbers of one cell.

Design choices: both errors of each training, final and best on test, since the paper printed the latter; parameters
in both conventions, since the paper's are the release's; the search cost is rounded before it is kept, because the
receipts' seconds differ from one execution to the next and a table of identical runs has to be identical.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from typing import Literal

from dropnas.analysis.comparison import sample
from dropnas.analysis.finished_runs import Run, Training
from dropnas.analysis.relative import improvement
from dropnas.analysis.summary import Summary, mean, summarise
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
MEBI = 2**20  # the release's logger divided by it


def measure(
    layout: Layout,
    blank: TableNumber,
    searches: Sequence[Run],
    trainings: Sequence[Training],
    chosen: Training,
    random: Sequence[Training] = (),
) -> list[TableNumber]:
    """All numbers of a cell; none where the runs do not have its quantity.

    Args:
        layout: the table, for its style.
        blank: the cell without numbers of ours; its quantity says what to measure.
        searches: the searches of all seeds.
        trainings: the trainings of all seeds, at least one.
        chosen: the one of them whose architecture is counted.
        random: the trainings of random search, which a relative improvement compares with.
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
    """A number of ours in a cell."""
    statistics = {f"ours_{name}": value for name, value in asdict(summary).items()}
    filled: TableNumber = replace(
        blank, quantity=quantity, source=line, ours=text, n=summary.n, runs=tuple(runs), **statistics
    )
    return filled


def selected(trainings: Sequence[Training], criterion: Literal["best", "final", "held-out"]) -> Training:
    """The training with the lowest top-1 error, the first of several: as the select stage chooses.

    A single one needs no error to be chosen by: a transfer has none on held-out images.

    Raises:
        DropnasError: one of several has no error on held-out images, where that decides.
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
    """The number of parameters, and in Tables 1 and 2 also as the release's logger counted it; it has no ImageNet."""
    runs, plain = [training.run.name], training.parameters / MILLION
    yield number(blank, "parameters_million", Line.BEST, _count_text(plain), summarise([plain]), runs)
    if as_released:
        released = training.parameters_with_auxiliary / MEBI
        text = f"(as released {_count_text(released)})"
        yield number(blank, "parameters_as_released", Line.BEST, text, summarise([released]), runs)


def _count_text(value: float) -> str:
    """One decimal as the paper prints it, or two significant digits of a network that is smaller than that."""
    return f"{value:.1f}" if value >= 1 else f"{value:.2g}"


def _skip_connects(blank: TableNumber, trainings: Sequence[Training]) -> TableNumber:
    """How many skip-connects a normal cell has."""
    counts = [float(sum(operation == SKIP for operation, _ in one.genotype.normal)) for one in trainings]
    summary = summarise(counts)
    text = f"{summary.mean:.1f}" if summary.std is None else f"{summary.mean:.1f}±{summary.std:.1f}"
    return number(blank, "skip_connects_normal", Line.BEST, text, summary, [one.run.name for one in trainings])


def _improvements(
    blank: TableNumber, trainings: Sequence[Training], random: Sequence[Training]
) -> Iterator[TableNumber]:
    """(RS - method) / RS in percent, with its interval where both have two trainings or more; of RS itself nothing."""
    runs = [one.run.name for one in (*trainings, *random)]
    for kind, line, take in KINDS if random and random != trainings else ():
        ours, others = ([take(one.top1) for one in side] for side in (trainings, random))
        for end, value, text in _improvement(ours, others):
            yield number(blank, f"improvement_{kind}{end}", line, text, summarise([value]), runs)


def _improvement(ours: Sequence[float], random: Sequence[float]) -> Iterator[tuple[str, float, str]]:
    """The value and the ends of its interval: what each adds to the name of the quantity, itself, and its text."""
    ours_sample, random_sample = sample(ours), sample(random)
    if ours_sample is None or random_sample is None:
        value = 100 * (1 - mean(ours) / mean(random))
        yield "", value, f"{value:+.1f}"
        return
    value, interval = improvement(ours_sample, random_sample)
    yield "", value, f"{value:+.1f}"
    if interval:
        low, high = interval
        yield from (("_low", low, f"[{low:+.1f},"), ("_high", high, f"{high:+.1f}]"))


def _search_days(blank: TableNumber, searches: Sequence[Run]) -> Iterator[TableNumber]:
    """The cost of the searches in device-days; each, and their mean, with one decimal."""
    if searches:
        each = [run.seconds / SECONDS_A_DAY for run in searches]
        days = replace(summarise([round(one, 1) for one in each]), mean=round(mean(each), 1))
        yield number(blank, "search_device_days", Line.BEST, f"{days.mean:.1f}", days, [run.name for run in searches])
