"""What a table needs of finished run folders, read and checked.

Design choices: a table trusts nothing that it reads: a missing file, a run of another stage or a number that is none
ends it with one line that names the run and the file, since a NaN in a mean would be found much later.
"""

import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dropnas.errors import DropnasError

IDENTITY = re.compile("-[0-9a-f]{10}$")
RECEIPT, RESULT, GENOTYPE = "run.json", "result.json", "genotype.json"


@dataclass(frozen=True)
class Run:
    """The receipt of a finished run.

    Attributes:
        folder: where it lies; its last part is the run's name.
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
class Errors:
    """Test errors in percent: of the final epoch, and of the best epoch on the test split."""

    final: float
    best: float


@dataclass(frozen=True)
class HeldOut:
    """The epoch chosen without the test split: the first with the lowest error on held-out training images.

    Attributes:
        epoch: which it is.
        held_out_error: the error there on the held-out images, in percent.
        test_error: the test error there, in percent.
    """

    epoch: int
    held_out_error: float
    test_error: float


@dataclass(frozen=True)
class Training:
    """A finished retraining or transfer.

    Attributes:
        run: its receipt.
        top1, top5: test errors; None where there are too few classes for a top-5 error.
        parameters: number of weights, auxiliary tower left out.
        parameters_with_auxiliary: number of weights with the tower.
        genotype: the trained architecture, as genotype.json holds it.
        held_out: the epoch chosen on held-out training images; None where no images were held out.
    """

    run: Run
    top1: Errors
    top5: Errors | None
    parameters: float
    parameters_with_auxiliary: float
    genotype: dict[str, Any]
    held_out: HeldOut | None = None


def read_run(folder: Path) -> Run:
    """Read a run's receipt.

    Raises:
        DropnasError: it is missing, damaged or lacks something.
    """
    receipt = _read(folder, RECEIPT)
    return Run(
        folder=folder,
        stage=_text(receipt, "stage", folder),
        device=_text(receipt, "device", folder),
        seconds=_number(receipt, "seconds", folder / RECEIPT),
        data=_data(receipt, folder),
    )


def read_training(run: Run) -> Training:
    """Read what a retraining or transfer ended with.

    Raises:
        DropnasError: result.json or genotype.json is missing, damaged, lacks something or holds a NaN.
    """
    file = run.folder / RESULT
    result = _read(run.folder, RESULT)
    top5 = result.get("top5_error")
    return Training(
        run=run,
        top1=_errors(result.get("top1_error"), "top1_error", file),
        top5=None if top5 is None else _errors(top5, "top5_error", file),
        parameters=_number(result, "parameters", file),
        parameters_with_auxiliary=_number(result, "parameters_with_auxiliary", file),
        genotype=_read(run.folder, GENOTYPE),
        held_out=_held_out(result.get("held_out"), file),
    )


def require_stage(run: Run, stage: str) -> Run:
    """Return the run if it is of a stage. Raises a DropnasError otherwise."""
    if run.stage != stage:
        raise DropnasError(f"is a {run.stage} run where a {stage} run is needed", where=run.folder / RECEIPT)
    return run


def distinct(texts: Iterable[str]) -> tuple[str, ...]:
    """Each text once, sorted."""
    return tuple(sorted(set(texts)))


def _read(folder: Path, name: str) -> dict[str, Any]:
    file = folder / name
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DropnasError("no such file", where=file, remedy="the run is not finished, or was damaged") from error
    except (OSError, ValueError) as error:
        raise DropnasError(f"cannot be read as JSON ({error})", where=file) from error
    if not isinstance(value, dict):
        raise DropnasError("is no JSON object", where=file)
    return value


def _errors(value: object, name: str, file: Path) -> Errors:
    if not isinstance(value, dict):
        raise DropnasError(f"{name} is missing", where=file)
    return Errors(_number(value, "final", file, name), _number(value, "best", file, name))


def _held_out(value: object, file: Path) -> HeldOut | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise DropnasError(f"held_out is {value!r}, not an object", where=file)
    epoch, held_out_error, test_error = (
        _number(value, key, file, "held_out") for key in ("epoch", "held_out_error", "test_error")
    )
    return HeldOut(int(epoch), held_out_error, test_error)


def _number(values: dict[str, Any], key: str, file: Path, within: str = "") -> float:
    """A finite number of a JSON object; the error calls it by its path in the file."""
    name = f"{within}.{key}" if within else key
    value = values.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise DropnasError(f"{name} is {value!r}, not a number", where=file)
    if not math.isfinite(value):
        raise DropnasError(f"{name} is {value}, not a finite number", where=file)
    return float(value)


def _data(receipt: dict[str, Any], folder: Path) -> str:
    """The first input's folder name without the digits of its identity."""
    inputs = receipt.get("inputs")
    if not isinstance(inputs, list) or not inputs or not isinstance(inputs[0], str):
        raise DropnasError(f"inputs are {inputs!r}, where a data set is needed", where=folder / RECEIPT)
    return IDENTITY.sub("", inputs[0])


def _text(values: dict[str, Any], key: str, folder: Path) -> str:
    value = values.get(key)
    if not isinstance(value, str) or not value:
        raise DropnasError(f"{key} is {value!r}, not a name", where=folder / RECEIPT)
    return value
