"""The effect of using the test set to select the epoch of each training, and the best of several seeds.

The paper printed the lowest test error of any epoch and, in Tables 1 and 2, the lowest of eight seeds. Both choices use
the test images, so both numbers underestimate the error. The effect of the first choice is the error of the final
epoch minus the best error. If training images were held out, a second estimate is the test error of the epoch with the
lowest held-out error, minus the best error.

Design choices: each difference is within one training, so the standard deviation over the seeds shows how certain the
mean is. The two choices are quantified separately, because the first affects every number of the paper and the second
only two tables.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pandas import DataFrame

from dropnas.analysis.finished_runs import Training, read_run, read_training
from dropnas.analysis.summary import Summary, summarise
from dropnas.report.page.complete import Complete, cell_label
from dropnas.report.printed import title

FINAL_MINUS_BEST = "Final epoch minus best on test"
HELD_OUT_EFFECTS = ["Held-out epoch minus best on test", "Best of seeds, held-out minus test"]


@dataclass(frozen=True)
class SelectionEffect:
    """The effects of selection on the test set for the trainings of one experiment, in percentage points.

    Attributes:
        epoch: test error of the final epoch minus the lowest test error of any epoch, summarised over the trainings.
        held_out_epoch: test error of the epoch chosen on held-out images minus the lowest test error of any epoch; None
            if a training held out no images.
        best_seed: test error of the epoch and seed chosen on held-out images minus the lowest test error of any epoch
            and seed; None if `held_out_epoch` is None, or for a single training.
    """

    epoch: Summary
    held_out_epoch: Summary | None = None
    best_seed: float | None = None


def selection(trainings: Sequence[Training]) -> SelectionEffect:
    """Quantify the effects of the two choices for an experiment: one method, space and data set, over its seeds.

    Raises:
        ValueError: there are no trainings.
    """
    best = [one.top1.best for one in trainings]
    epoch = summarise([one.top1.final - one.top1.best for one in trainings])
    held_out = [one.held_out for one in trainings if one.held_out]
    if len(held_out) < len(trainings):
        return SelectionEffect(epoch)
    chosen = min(held_out, key=lambda one: one.held_out_error)  # the first one wins a tie, as in the select stage
    return SelectionEffect(
        epoch,
        summarise([one.test_error - lowest for one, lowest in zip(held_out, best, strict=True)]),
        chosen.test_error - min(best) if len(trainings) > 1 else None,
    )


def selections(complete: Iterable[Complete]) -> DataFrame:
    """The effects in each experiment that has trainings, named by the first table that contains it.

    The columns for held-out images exist only if an experiment has such images.
    """
    names: dict[tuple[Path, ...], str] = {}
    for one in complete:
        for cell, folders in one.trainings.items():
            names.setdefault(folders, f"{title(one.table.content.table)}, {cell_label(one.table.layout, *cell)}")
    found = [selection([read_training(read_run(folder)) for folder in folders]) for folders in names]
    frame = DataFrame({"Experiment": names.values(), "n": [one.epoch.n for one in found]})
    frame[FINAL_MINUS_BEST] = [_text(one.epoch) for one in found]
    if any(one.held_out_epoch for one in found):
        frame[HELD_OUT_EFFECTS[0]] = [_text(one.held_out_epoch) for one in found]
        frame[HELD_OUT_EFFECTS[1]] = ["-" if one.best_seed is None else f"{one.best_seed:.2f}" for one in found]
    return frame


def _text(summary: Summary | None) -> str:
    if summary is None:
        return "-"
    return f"{summary.mean:.2f}" + ("" if summary.std is None else f"±{summary.std:.2f}")
