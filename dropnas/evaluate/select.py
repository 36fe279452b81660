"""The select stage: chooses the best of several retrainings for Tables 1-3 ("the best architecture discovered").

Design choices: it reads the results of the retrainings and copies one genotype. It does not import torch. A tie goes
to the first input, so the choice does not depend on the order in which the runs ended. The paper chose on the test set;
`held-out` does not use it.
"""

from collections.abc import Sequence
from pathlib import Path

from dropnas.artifacts.selection_file import Candidate, SelectionFile
from dropnas.artifacts.training_files import TrainingResultFile
from dropnas.errors import DropnasError
from dropnas.evaluate.config import SelectConfig
from dropnas.space.genotype import Genotype
from dropnas.workspace import Workspace


def run(config: SelectConfig, inputs: Sequence[Path], out: Path, workspace: Workspace) -> dict[str, float]:
    """Choose the retraining with the lowest top-1 error according to the criterion.

    Writes the genotype.json of this retraining, and selection.json.

    Raises:
        DropnasError: there is no retraining, or a result cannot be read or lacks the error that the criterion needs.
    """
    if not inputs:
        raise DropnasError("no retraining to choose from", where="select", remedy="give at least one run")
    candidates = tuple(_candidate(folder) for folder in inputs)
    errors = [_error(one, config.criterion, folder) for one, folder in zip(candidates, inputs, strict=True)]
    chosen = errors.index(min(errors))
    Genotype.read(inputs[chosen]).write(out)
    SelectionFile(candidates[chosen].run, config.criterion, candidates).write(out)
    workspace.progress(f"chose {candidates[chosen].run}, {config.criterion} error {errors[chosen]:.4g} %")
    return {}


def _candidate(folder: Path) -> Candidate:
    result = TrainingResultFile.read(folder)
    held_out = result.held_out.held_out_error if result.held_out else None
    return Candidate(folder.name, result.top1_error.final, result.top1_error.best, held_out)


def _error(candidate: Candidate, criterion: str, folder: Path) -> float:
    if criterion != "held-out":
        return candidate.top1_error_best if criterion == "best" else candidate.top1_error_final
    if candidate.held_out_error is None:
        raise DropnasError(
            "has no error on held-out images", where=folder, remedy="set retrain.held_out, or another select.criterion"
        )
    return candidate.held_out_error
