"""Reads and checks the parts of finished runs that a table needs.

Design choices: everything that a table reads is checked. A missing file, a run of the wrong stage or an invalid number
raises a one-line error that names the run and the file. Without these checks, a NaN in a mean would be noticed much
later.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from dropnas.artifacts.genotype_file import GenotypeFile
from dropnas.artifacts.receipt_file import ReceiptFile
from dropnas.artifacts.training_files import Errors, HeldOut, TrainingResultFile
from dropnas.errors import DropnasError

ID_SUFFIX = re.compile("-[0-9a-f]{10}$")


@dataclass(frozen=True)
class FinishedRun:
    """The receipt of a finished run."""

    folder: Path  # the run's folder; the last part is its name
    stage: str
    device: str  # model of the GPU or CPU
    seconds: float  # total computing time, including all interrupted attempts
    data: str  # name of the first input, without its identity suffix; the first input of a training is its data set

    @property
    def name(self) -> str:
        """The name of the run's folder."""
        return self.folder.name


@dataclass(frozen=True)
class Training:
    """A finished retraining or transfer."""

    run: FinishedRun
    # top1, top5: test errors; top5 is None if the data set has too few classes
    top1: Errors
    top5: Errors | None
    parameters: int  # number of weights without the auxiliary tower
    parameters_with_auxiliary: int  # number of weights with the tower
    genotype: GenotypeFile  # the trained architecture
    held_out: HeldOut | None = None  # the epoch chosen on held-out training images; None if no images were held out


def read_run(folder: Path) -> FinishedRun:
    """Read a run's receipt. Raises a DropnasError if the receipt is missing, damaged or incomplete."""
    receipt = ReceiptFile.read(folder)
    if not receipt.inputs:
        raise DropnasError("has no inputs, but a data set is needed", where=ReceiptFile.file(folder))
    return FinishedRun(folder, receipt.stage, receipt.device, receipt.seconds, ID_SUFFIX.sub("", receipt.inputs[0]))


def read_training(run: FinishedRun) -> Training:
    """Read the result of a retraining or transfer.

    Raises a DropnasError if result.json or genotype.json is missing, damaged or incomplete, or contains a NaN.
    """
    result = TrainingResultFile.read(run.folder)
    return Training(
        run=run,
        top1=result.top1_error,
        top5=result.top5_error,
        parameters=result.parameters,
        parameters_with_auxiliary=result.parameters_with_auxiliary,
        genotype=GenotypeFile.read(run.folder),
        held_out=result.held_out,
    )


def require_stage(run: FinishedRun, stage: str) -> FinishedRun:
    """Return the run if it belongs to this stage; otherwise raise a DropnasError."""
    if run.stage != stage:
        raise DropnasError(f"is a {run.stage} run, but a {stage} run is needed", where=ReceiptFile.file(run.folder))
    return run


def distinct(texts: Iterable[str]) -> tuple[str, ...]:
    """Each text once, sorted."""
    return tuple(sorted(set(texts)))
