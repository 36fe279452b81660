"""Failures of runs, each reported in a line: a run that fails does not end the others of its process.

Design choice: what a person can correct has no traceback. A mistake in the program, or in a user's own package, has one
above its line: the last lines of a log are what is shown first.
"""

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dropnas.errors import DropnasError
from dropnas.extension import blamed
from dropnas.machine.faults import reported


@dataclass(frozen=True)
class Failures:
    """The runs of a process that failed.

    Attributes:
        root: of the store.
        ids: of these runs.
    """

    root: Path
    ids: set[str] = field(default_factory=set)

    @contextmanager
    def of(self, *specs: dict[str, Any]) -> Iterator[None]:
        """Report what fails inside as a failure of these runs, and go on after it."""
        try:
            with reported():
                yield
        except Exception as error:
            reason = self._reason(error)
            if not reason:
                traceback.print_exception(error)
                reason = _mistake(error)
            for spec in specs:
                self.ids.add(spec["id"])
                print(f"error: {spec['stage']} {spec['name']}: {reason}", file=sys.stderr)

    def _reason(self, error: Exception) -> str:
        """What a person can correct; empty where it is a mistake in a program."""
        if isinstance(error, DropnasError):
            return str(error)
        if isinstance(error, OSError) and error.filename is not None:
            return f"{error.filename}: {error.strerror}"  # what lies there is at fault
        return ""


def _mistake(error: Exception) -> str:
    """A mistake in a program in a line: whose it is, and what was raised."""
    raised = f"{type(error).__name__}: {' '.join(str(error).split())}"
    return f"{blamed(error) or 'a mistake in the program'}: {raised}"
