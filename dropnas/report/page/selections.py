"""What choosing on the test set is worth: the epoch of each training, and the best of several seeds.

The paper printed the lowest test error of any epoch and, in Tables 1 and 2, the lowest of eight seeds. Both choices
look at the test images, so both numbers are too low as estimates: the first by final minus best, and, where
training images were held out, by the test error of the epoch that those would have chosen.

Design choices: differences within one training, whose spread over the seeds then says how sure their mean is; the
choices are quantified apart, since the first is in every number of the paper and the second only in two tables.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dropnas.analysis.finished_runs import Training, read_run, read_training
from dropnas.analysis.summary import Summary, summarise
from dropnas.artifacts.training_files import HeldOut
from dropnas.report.build import METHOD_COLUMN
from dropnas.report.page.complete import Complete
from dropnas.report.printed import title
from dropnas.report.table import Table
from dropnas.report.verdicts import labels


@dataclass(frozen=True)
class Selection:
    """What the choices on the test set are worth for the trainings of one experiment, in percentage points.

    Attributes:
        epoch: test error of the final epoch minus the best on test, over the trainings.
        held_out_epoch: test error of the epoch chosen on held-out images minus the best on test; None where not every
            training held images out.
        best_seed: test error of the epoch and seed chosen on held-out images minus the lowest of any epoch of any seed;
            None as before, or with a single training.
    """

    epoch: Summary
    held_out_epoch: Summary | None
    best_seed: float | None


def selection(trainings: Sequence[Training]) -> Selection:
    """Quantify the choices for an experiment: a method, space and data set over its seeds.

    Raises:
        ValueError: no trainings.
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
    """Each experiment that has trainings here once, under the name of the first table that has it."""
    seen = set[tuple[Path, ...]]()
    for one in complete:
        for (row, column), folders in one.trainings.items():
            if folders not in seen:
                trainings = [read_training(read_run(folder)) for folder in folders]
                yield f"{title(one.table.content.table)}, {_label(one.table, row, column)}", selection(trainings)
            seen.add(folders)


def _label(table: Table, row: str, column: str) -> str:
    """Row and column as the table shows them; where a method fills its row, the row alone."""
    heads = next((" ".join(one.heads) for one in table.layout.rows if one.key == row), "")
    header = next((one.header[-1] or one.header[0] for one in table.layout.columns if one.key == column), "")
    return heads if column == METHOD_COLUMN else ", ".join(labels(table.layout, heads, header))
