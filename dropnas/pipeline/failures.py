"""Failures of runs, each told in a line: a run that fails does not end the others of its process."""

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dropnas.errors import DropnasError
from dropnas.machine.faults import told


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
        """Tell what fails inside as a failure of these runs, and go on after it."""
        try:
            with told():
                yield
        except Exception as error:
            for spec in specs:
                self.ids.add(spec["id"])
                self._tell(f"error: {spec['stage']} {spec['name']}", error)

    def _tell(self, begin: str, error: Exception) -> None:
        if isinstance(error, DropnasError):
            print(f"{begin}: {error}", file=sys.stderr)
        elif isinstance(error, OSError) and error.filename is not None:
            print(f"{begin}: {error.filename}: {error.strerror}", file=sys.stderr)  # what stands there is at fault
        else:
            print(f"{begin} failed by a mistake in the program:", file=sys.stderr)
            traceback.print_exception(error)
