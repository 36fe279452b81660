"""What a table needs of finished run folders, read and checked.

Design choices: a table trusts nothing that it reads: a missing file, a run of another stage or a number that is none
ends it with one line that names the run and the file, since a NaN in a mean would be found much later.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from dropnas.artifacts.genotype_file import GenotypeFile
from dropnas.artifacts.receipt_file import ReceiptFile
from dropnas.artifacts.training_files import Errors, HeldOut, TrainingResultFile
from dropnas.errors import DropnasError

IDENTITY = re.compile("-[0-9a-f]{10}$")


@dataclass(frozen=True)
class Run:
    """The receipt of a finished run.

    Attributes:
        folder: its folder; the last part is the run's name.
        stage: which stage made it.
        device: model of the GPU or CPU.
        seconds: how long it took, all interrupted parts together.
        data: readable name of the data set that it was trained on, its first input.
    """

    folder: Path
    stage: str
    device: str
    seconds: float
    data: str

    @property
    def name(self) -> str:
        """The name of the run's folder."""
        return self.folder.name


@dataclass(frozen=True)
class Training:
    """A finished retraining or transfer.

    Attributes:
        run: its receipt.
        top1, top5: test errors; None where there are too few classes for a top-5 error.
        parameters: number of weights, auxiliary tower left out.
        parameters_with_auxiliary: number of weights with the tower.
        genotype: the trained architecture.
        held_out: the epoch chosen on held-out training images; None where no images were held out.
    """

    run: Run
    top1: Errors
    top5: Errors | None
    parameters: int
    parameters_with_auxiliary: int
    genotype: GenotypeFile
    held_out: HeldOut | None = None


def read_run(folder: Path) -> Run:
    """Read a run's receipt.

    Raises:
        DropnasError: it is missing, damaged or lacks something.
    """
    receipt = ReceiptFile.read(folder)
    if not receipt.inputs:
        raise DropnasError("inputs are empty, where a data set is needed", where=ReceiptFile.file(folder))
    return Run(folder, receipt.stage, receipt.device, receipt.seconds, IDENTITY.sub("", receipt.inputs[0]))


def read_training(run: Run) -> Training:
    """Read what a retraining or transfer ended with.

    Raises:
        DropnasError: result.json or genotype.json is missing, damaged, lacks something or holds a NaN.
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


def require_stage(run: Run, stage: str) -> Run:
    """Return the run if it is of a stage. Raises a DropnasError otherwise."""
    if run.stage != stage:
        raise DropnasError(f"is a {run.stage} run where a {stage} run is needed", where=ReceiptFile.file(run.folder))
    return run


def distinct(texts: Iterable[str]) -> tuple[str, ...]:
    """Each text once, sorted."""
    return tuple(sorted(set(texts)))
