"""The effect of selection on the test set: of the epoch of each training, and of the best of several seeds.

The paper printed the lowest test error of any epoch and, in Tables 1 and 2, the lowest of eight seeds. Both choices use
the test images, so both numbers are too low as estimates. The effect of the first choice is measured by final minus
best error and, if training images were held out, by the test error of the epoch with the lowest held-out error.

Design choices: the differences are within one training, so their deviation over the seeds shows how certain their mean
is. The two choices are quantified separately, because the first affects every number of the paper and the second only
two tables.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dropnas.analysis.finished_runs import Training, read_run, read_training
from dropnas.analysis.summary import Summary, summarise
from dropnas.artifacts.training_files import HeldOut
from dropnas.report.page.complete import Complete
from dropnas.report.printed import title
from dropnas.report.table import Table
from dropnas.report.table_stage import METHOD_COLUMN
from dropnas.report.verdicts import labels


@dataclass(frozen=True)
class Selection:
    """The effects of selection on the test set for the trainings of one experiment, in percentage points.

    Attributes:
        epoch: test error of the final epoch minus the best on test, over the trainings.
        held_out_epoch: test error of the epoch chosen on held-out images minus the best on test; None unless every
            training held out images.
        best_seed: test error of the epoch and seed chosen on held-out images minus the lowest of any epoch of any seed;
            None in the same case, or for a single training.
    """

    epoch: Summary
    held_out_epoch: Summary | None
    best_seed: float | None


def selection(trainings: Sequence[Training]) -> Selection:
    """Quantify the choices for an experiment: a method, space and data set over its seeds.

    Raises:
        ValueError: there are no trainings.
    """
    held_out = [(one, one.held_out) for one in trainings if one.held_out]
    complete = len(held_out) == len(trainings)
    return Selection(
        epoch=summarise([one.top1.final - one.top1.best for one in trainings]),
        held_out_epoch=summarise([kept.test_error - one.top1.best for one, kept in held_out]) if complete else None,
        best_seed=_best_seed(held_out) if complete and len(trainings) > 1 else None,
    )


def _best_seed(held_out: Sequence[tuple[Training, HeldOut]]) -> float:
    chosen = min((kept for _, kept in held_out), key=lambda kept: kept.held_out_error)  # the first, as select chooses
    return chosen.test_error - min(one.top1.best for one, _ in held_out)


def selections(complete: Iterable[Complete]) -> Iterator[tuple[str, Selection]]:
    """Yield each experiment that has trainings once, under the name of the first table that contains it."""
    seen = set[tuple[Path, ...]]()
    for one in complete:
        for (row, column), folders in one.trainings.items():
            if folders not in seen:
                trainings = [read_training(read_run(folder)) for folder in folders]
                yield f"{title(one.table.content.table)}, {_label(one.table, row, column)}", selection(trainings)
            seen.add(folders)


def _label(table: Table, row: str, column: str) -> str:
    """Row and column as the table shows them; only the row if a method fills its row."""
    heads = next((" ".join(one.heads) for one in table.layout.rows if one.key == row), "")
    header = next((one.header[-1] or one.header[0] for one in table.layout.columns if one.key == column), "")
    return heads if column == METHOD_COLUMN else ", ".join(labels(table.layout, heads, header))
