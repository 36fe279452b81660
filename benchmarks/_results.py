"""Writes the results of a benchmark, and marks what was not measured. This module needs only Python."""

import json
from pathlib import Path
from typing import Any

from dropnas.runs.files import write_text

FAILED, LEFT_OUT = "failed", "left out"  # keys whose values say why a piece failed or was left out
ONLY_GPU = {LEFT_OUT: "only a GPU runs the Triton kernels"}


def write_results(file: Path, results: dict[str, Any]) -> None:
    """Write readable JSON, in the order of measurement."""
    write_text(file, json.dumps(results, indent=2) + "\n")


def has_failed(found: Any) -> bool:
    """Whether a result records that its piece failed."""
    return isinstance(found, dict) and FAILED in found


def one_line(error: BaseException) -> str:
    """The type of an error, and the first line of its message."""
    said = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {said[0]}" if said else type(error).__name__
