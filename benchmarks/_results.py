"""The results of a benchmark in a file, and the marks of what was not measured. Nothing but Python is needed here."""

import json
from pathlib import Path
from typing import Any

from dropnas.runs.files import write_text

FAILED, LEFT_OUT = "failed", "left out"  # keys under which a piece says why nothing was measured in it
ONLY_GPU = {LEFT_OUT: "only a GPU runs the Triton kernels"}


def write_results(file: Path, results: dict[str, Any]) -> None:
    """JSON that a person can read, in the order in which it was measured."""
    write_text(file, json.dumps(results, indent=2) + "\n")


def has_failed(found: Any) -> bool:
    """Whether this is a piece that says why it failed."""
    return isinstance(found, dict) and FAILED in found


def one_line(error: BaseException) -> str:
    """The kind of an error and the first line of what it says."""
    said = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {said[0]}" if said else type(error).__name__
