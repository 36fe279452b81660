"""The select stage: the best of several retrainings, for Tables 1-3 ("the best architecture discovered").

Design: it reads the results of the retrainings and copies one genotype; no torch. A tie goes to the first in the order
of the inputs, so that the choice does not depend on the order in which the runs ended. The paper chose on the test set;
`held-out` chooses on held-out training images and does not use the test set.
"""

import json
from collections.abc import Sequence
from math import isfinite
from pathlib import Path
from typing import Any

from dropnas.errors import DropnasError
from dropnas.evaluate.config import SelectConfig
from dropnas.space.genotype import read_genotype
from dropnas.training.metrics import write_json
from dropnas.workspace import Workspace

HELD_OUT = "held_out_error"


def run(config: SelectConfig, inputs: Sequence[Path], out: Path, workspace: Workspace) -> dict[str, float]:
    """Choose the retraining with the lowest top-1 error according to the criterion.

    Args:
        inputs: published retrainings, each with result.json and genotype.json.
        out: folder for the chosen genotype.json and selection.json.

    Raises:
        DropnasError: there is no retraining, or one lacks a readable result or the error of the criterion.
    """
    if not inputs:
        raise DropnasError("no retraining to choose from", where="select", remedy="give at least one run")
    candidates = [_candidate(folder) for folder in inputs]
    chosen = min(range(len(inputs)), key=lambda index: _error(candidates[index], config.criterion, inputs[index]))
    selection = {"run": candidates[chosen]["run"], "criterion": config.criterion, "candidates": candidates}
    write_json(out / "genotype.json", read_genotype(inputs[chosen]).to_json())
    write_json(out / "selection.json", selection)
    error = _error(candidates[chosen], config.criterion, inputs[chosen])
    workspace.progress(f"chose {selection['run']}, {config.criterion} error {error:.4g} %")
    return {}


def _candidate(folder: Path) -> dict[str, Any]:
    """The errors of a retraining; the error on held-out images only if it was measured."""
    path = folder / "result.json"
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
        error, held_out = result["top1_error"], result.get("held_out")
        errors = {"top1_error_final": error["final"], "top1_error_best": error["best"]}
        if held_out is not None:
            errors[HELD_OUT] = held_out[HELD_OUT]
        if wrong := [value for value in errors.values() if type(value) not in (int, float) or not isfinite(value)]:
            raise ValueError(f"{wrong[0]!r} is no error")
        return {"run": folder.name, **errors}
    except (OSError, ValueError, KeyError, TypeError) as fault:
        raise DropnasError(
            f"is no readable result of a retraining ({fault!r})", where=path, remedy="run the retraining again"
        ) from fault


def _error(candidate: dict[str, Any], criterion: str, folder: Path) -> float:
    """The error of the criterion."""
    name = HELD_OUT if criterion == "held-out" else f"top1_error_{criterion}"
    if name not in candidate:
        raise DropnasError(
            "has no error on held-out images", where=folder, remedy="set retrain.held_out, or another select.criterion"
        )
    error: float = candidate[name]
    return error
