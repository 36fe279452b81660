"""One check of a machine: what was looked at, whether it will do, and what to do if not."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from dropnas.config import Machine
from dropnas.doctor.site import Site
from dropnas.runs.identity import Run


class Outcome(StrEnum):
    """What a check found."""

    PASSED = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True)
class Check:
    """A check and its outcome.

    Attributes:
        name: what was looked at, in a word or two; the same whatever the outcome.
        outcome: a warning stops no run.
        found: what is there.
        remedy: what to do; empty where nothing need be done.
    """

    name: str
    outcome: Outcome
    found: str
    remedy: str = ""


@dataclass(frozen=True)
class Situation:
    """What a run will be made with.

    Attributes:
        root: of the store.
        site: where and how jobs run.
        runs: what is to be computed; none where no parameter file was named.
        machine: what these may use.
    """

    root: Path
    site: Site
    runs: tuple[Run, ...] = ()
    machine: Machine = field(default_factory=Machine)


Checks = Iterator[Check]
Examine = Callable[[Situation], Checks]


def passed(name: str, found: str) -> Check:
    """All is well."""
    return Check(name, Outcome.PASSED, found)


def warning(name: str, found: str, remedy: str) -> Check:
    """The run works, but not as well as it might."""
    return Check(name, Outcome.WARNING, found, remedy)


def failed(name: str, found: str, remedy: str) -> Check:
    """The run would be stopped by it."""
    return Check(name, Outcome.FAILED, found, remedy)
