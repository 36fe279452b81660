"""The select stage: the best of several retrainings, which Tables 1-3 build on ("the best architecture discovered").

Design: it reads what the retrainings left and copies one genotype; no torch. Ties go to the first in the order of the
inputs, so that the choice does not depend on when which run ended.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dropnas.errors import DropnasError
from dropnas.evaluate.config import SelectConfig
from dropnas.space.genotype import read_genotype
from dropnas.training.metrics import write_json
from dropnas.workspace import Workspace


def run(config: SelectConfig, inputs: Sequence[Path], out: Path, workspace: Workspace) -> dict[str, float]:
    """Choose the retraining with the lowest top-1 test error.

    Args:
        inputs: published retrainings, each with result.json and genotype.json.
        out: gets genotype.json of the chosen one and selection.json.

    Raises:
        DropnasError: no retraining to choose from, or one without a readable result.
    """
    if not inputs:
        raise DropnasError("no retraining to choose from", where="select", remedy="give at least one run")
    candidates = [_candidate(folder) for folder in inputs]
    criterion = f"top1_error_{config.criterion}"
    chosen = min(range(len(inputs)), key=lambda index: candidates[index][criterion])
    selection = {"run": candidates[chosen]["run"], "criterion": config.criterion, "candidates": candidates}
    write_json(out / "genotype.json", read_genotype(inputs[chosen]).to_json())
    write_json(out / "selection.json", selection)
    workspace.progress(f"chose {selection['run']}, {config.criterion} error {candidates[chosen][criterion]:.4g} %")
    return {}


def _candidate(folder: Path) -> dict[str, Any]:
    path = folder / "result.json"
    try:
        error = json.loads(path.read_text(encoding="utf-8"))["top1_error"]
        return {"run": folder.name, "top1_error_final": error["final"], "top1_error_best": error["best"]}
    except (OSError, ValueError, KeyError, TypeError) as fault:
        raise DropnasError(
            f"is no readable result of a retraining ({fault!r})", where=path, remedy="run the retraining again"
        ) from fault
