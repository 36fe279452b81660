"""Reports each failed run in one line. A failed run does not stop the other runs of its process.

Design choices: an error that the user can correct has no traceback. The traceback of a bug, in the program or
in a user's package, is printed before the line, so that the line is the last one of the log.
"""

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from dropnas.errors import DropnasError
from dropnas.extension import blamed
from dropnas.machine.faults import reported
from dropnas.pipeline.specs import Spec


@dataclass(frozen=True)
class Failures:
    """The failed runs of a process."""

    root: Path  # root folder of the store
    ids: set[str] = field(default_factory=set)  # ids of the failed runs

    @contextmanager
    def of(self, *specs: Spec) -> Iterator[None]:
        """Catch an error inside the context, report it as a failure of these runs, and continue after the context."""
        try:
            with reported():
                yield
        except Exception as error:
            reason = self._reason(error)
            if not reason:
                traceback.print_exception(error)
                reason = _mistake(error)
            for spec in specs:
                self.ids.add(spec.id)
                print(f"error: {spec.stage} {spec.name}: {reason}", file=sys.stderr)

    def _reason(self, error: Exception) -> str:
        """The message of an error that the user can correct; empty for a bug."""
        if isinstance(error, DropnasError):
            return str(error)
        if isinstance(error, OSError) and error.filename is not None:
            return f"{error.filename}: {error.strerror}"  # the file or folder that caused the error, and the reason
        return ""


def _mistake(error: Exception) -> str:
    """Describe a bug in one line: the code that raised it, and the error."""
    raised = f"{type(error).__name__}: {' '.join(str(error).split())}"
    return f"{blamed(error) or 'a mistake in the program'}: {raised}"
