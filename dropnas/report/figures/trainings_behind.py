"""The trainings behind the runs of a figure.

Runs that choose or compute on numbers alone say nothing of the hardware; the hardware and data of a figure are those of
the trainings behind it, which their receipts lead to.
"""

from collections.abc import Iterable, Iterator

from dropnas.analysis.finished_runs import Run, read_run
from dropnas.artifacts.receipt_file import ReceiptFile

TRAINED = ("search", "retrain", "transfer", "clusters")


def trainings_behind(runs: Iterable[Run]) -> list[Run]:
    """The runs that trained or analysed a network: among the given runs, or else among their inputs, and so on.

    Inputs that are no longer on disk are left out.
    """
    return list({run.folder: run for one in runs for run in _behind(one)}.values())


def _behind(run: Run) -> Iterator[Run]:
    if run.stage in TRAINED:
        yield run
        return
    for name in ReceiptFile.read(run.folder).inputs:
        for folder in run.folder.parent.parent.glob(f"*/{name}"):
            if ReceiptFile.file(folder).is_file():
                yield from _behind(read_run(folder))
