"""From the runs behind one entry to the measurements of one cell.

Design choices: both errors of each training, final and best on test, since the paper printed the latter; parameters
in both conventions, since the paper's are the release's; the search cost is rounded before it is kept, because the
receipts' seconds differ from one execution to the next and a table of identical runs has to be identical.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Literal

from dropnas.analysis.comparison import sample
from dropnas.analysis.finished_runs import Run, Training
from dropnas.analysis.relative import improvement
from dropnas.analysis.summary import Summary, mean, summarise
from dropnas.artifacts.training_files import Errors
from dropnas.errors import DropnasError
from dropnas.report.model import Line, Measurement
from dropnas.report.printed import Column, Layout
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
    column: Column,
    searches: Sequence[Run],
    trainings: Sequence[Training],
    chosen: Training,
    random: Sequence[Training] = (),
) -> list[Measurement]:
    """All measurements of one column; none where the runs do not have the quantity.

    Args:
        layout: the table, for its style.
        column: what to measure.
        searches: the searches of all seeds.
        trainings: the trainings of all seeds, at least one.
        chosen: the one of them whose architecture is counted.
        random: the trainings of random search, which a relative improvement compares with.
    """
    if column.quantity == "parameters":
        return _parameters(chosen, as_released=layout.number is not None and layout.trainings == "retrain")
    if column.quantity == "search_days":
        return _search_days(searches)
    if column.quantity == "skip_connects":
        return _skip_connects(trainings)
    if column.quantity == "improvement":
        return _improvements(trainings, random)
    if column.quantity == "top1_error":
        return _errors(layout, column.quantity, [(training.run, training.top1) for training in trainings])
    return _errors(layout, column.quantity, [(one.run, one.top5) for one in trainings if one.top5 is not None])


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


def _errors(layout: Layout, quantity: str, measured: Sequence[tuple[Run, Errors]]) -> list[Measurement]:
    if not measured:
        return []
    runs = tuple(run.name for run, _ in measured)
    summaries = [(kind, line, summarise([take(errors) for _, errors in measured])) for kind, line, take in KINDS]
    return [
        Measurement(f"{quantity}_{kind}", line, _error_text(layout, summary), summary, runs)
        for kind, line, summary in summaries
    ]


def _error_text(layout: Layout, summary: Summary) -> str:
    """As the paper sets it, with n: "2.26 (2.58±0.14; n=8)" or "2.68±0.10 (n=8)", and "1.88 (n=1)" for one seed."""
    digits = layout.decimals
    if summary.std is None:
        return f"{summary.mean:.{digits}f} (n=1)"
    spread = f"{summary.mean:.{digits}f}±{summary.std:.{digits}f}"
    if layout.style == "mean":
        return f"{spread} (n={summary.n})"
    return f"{summary.best:.{digits}f} ({spread}; n={summary.n})"


def _parameters(training: Training, *, as_released: bool) -> list[Measurement]:
    """The number of parameters, and in Tables 1 and 2 also as the release's logger counted it; it has no ImageNet."""
    runs = (training.run.name,)
    plain = training.parameters / MILLION
    found = [Measurement("parameters_million", Line.BEST, _count_text(plain), summarise([plain]), runs)]
    if as_released:
        released = training.parameters_with_auxiliary / MEBI
        text = f"(as released {_count_text(released)})"
        found.append(Measurement("parameters_as_released", Line.BEST, text, summarise([released]), runs))
    return found


def _count_text(value: float) -> str:
    """One decimal as the paper prints it, or two significant digits of a network that is smaller than that."""
    return f"{value:.1f}" if value >= 1 else f"{value:.2g}"


def _skip_connects(trainings: Sequence[Training]) -> list[Measurement]:
    """How many skip-connects a normal cell has."""
    counts = [float(sum(operation == SKIP for operation, _ in one.genotype.normal)) for one in trainings]
    summary = summarise(counts)
    text = f"{summary.mean:.1f}" if summary.std is None else f"{summary.mean:.1f}±{summary.std:.1f}"
    return [Measurement("skip_connects_normal", Line.BEST, text, summary, tuple(one.run.name for one in trainings))]


def _improvements(trainings: Sequence[Training], random: Sequence[Training]) -> list[Measurement]:
    """(RS - method) / RS in percent, with its interval where both have two trainings or more; of RS itself nothing."""
    if not random or random == trainings:
        return []
    runs = tuple(one.run.name for one in (*trainings, *random))
    return [
        measured
        for kind, line, take in KINDS
        for measured in _improvement(
            kind, line, [take(one.top1) for one in trainings], [take(one.top1) for one in random], runs
        )
    ]


def _improvement(
    kind: str, line: Line, ours: Sequence[float], random: Sequence[float], runs: tuple[str, ...]
) -> Iterator[Measurement]:
    ours_sample, random_sample = sample(ours), sample(random)
    if ours_sample is None or random_sample is None:
        value = 100 * (1 - mean(ours) / mean(random))
        yield Measurement(f"improvement_{kind}", line, f"{value:+.1f}", summarise([value]), runs)
        return
    value, interval = improvement(ours_sample, random_sample)
    yield Measurement(f"improvement_{kind}", line, f"{value:+.1f}", summarise([value]), runs)
    if interval:
        low, high = interval
        yield Measurement(f"improvement_{kind}_low", line, f"[{low:+.1f},", summarise([low]), runs)
        yield Measurement(f"improvement_{kind}_high", line, f"{high:+.1f}]", summarise([high]), runs)


def _search_days(searches: Sequence[Run]) -> list[Measurement]:
    """The cost of the searches in device-days; each, and their mean, with one decimal."""
    if not searches:
        return []
    each = [run.seconds / SECONDS_A_DAY for run in searches]
    days = replace(summarise([round(one, 1) for one in each]), mean=round(mean(each), 1))
    runs = tuple(run.name for run in searches)
    return [Measurement("search_device_days", Line.BEST, f"{days.mean:.1f}", days, runs)]
