"""One check of a machine: the item that was checked, whether it is adequate, and the remedy if not."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from dropnas.config import Machine
from dropnas.doctor.site import Site
from dropnas.runs.identity import Run


class Outcome(StrEnum):
    """The outcome of a check."""

    PASSED = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True)
class Check:
    """A check and its outcome.

    Attributes:
        name: the checked item, in a word or two; it does not depend on the outcome.
        outcome: the outcome; a warning stops no run.
        found: what the check found.
        remedy: what to do; empty if nothing needs to be done.
    """

    name: str
    outcome: Outcome
    found: str
    remedy: str = ""


@dataclass(frozen=True)
class Situation:
    """The conditions of a run that the checks examine.

    Attributes:
        root: root folder of the store.
        site: where and how jobs run.
        runs: the runs to compute; empty if no parameter file was given.
        machine: the resources that the runs may use.
    """

    root: Path
    site: Site
    runs: tuple[Run, ...] = ()
    machine: Machine = field(default_factory=Machine)


Checks = Iterator[Check]
Examine = Callable[[Situation], Checks]


def passed(name: str, found: str) -> Check:
    """A check without a problem."""
    return Check(name, Outcome.PASSED, found)


def warning(name: str, found: str, remedy: str) -> Check:
    """A check with a problem that does not stop the run."""
    return Check(name, Outcome.WARNING, found, remedy)


def failed(name: str, found: str, remedy: str) -> Check:
    """A check with a problem that would stop the run."""
    return Check(name, Outcome.FAILED, found, remedy)
