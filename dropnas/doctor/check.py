"""One check of a machine, with its outcome and a remedy."""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from dropnas.config import Machine
from dropnas.doctor.site import Site
from dropnas.runs.identity import Run

CHECK_SECONDS = 20.0  # seconds; a working program takes less, even on a busy machine


class CheckResult(StrEnum):
    """The outcome of a check; a warning does not stop a run."""

    PASSED = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True)
class Check:
    """The result of a check."""

    name: str  # names the checked item in a word or two; the same for every outcome
    outcome: CheckResult
    found: str  # what was found
    remedy: str = ""  # what to do, if anything


@dataclass(frozen=True)
class Situation:
    """What the checks examine: the store, the site, and the runs with their resources."""

    root: Path  # root folder of the store
    site: Site  # where and how jobs run
    runs: tuple[Run, ...] = ()  # the runs to compute; empty without a parameter file
    machine: Machine = field(default_factory=Machine)  # the resources that the runs may use

    @property
    def processes(self) -> int:
        """The largest number of processes, and therefore of GPUs, that a single run needs."""
        return self.machine.transfer_processes if any(run.stage == "transfer" for run in self.runs) else 1


Checks = Iterator[Check]


def check(name: str, passes: object, found: str, remedy: str = "", *, stops: bool = True) -> Check:
    """Make the result of a check.

    The result of a failed check includes the remedy and stops a run. With `stops=False`, it is only a warning.
    """
    problem = CheckResult.FAILED if stops else CheckResult.WARNING
    return Check(name, CheckResult.PASSED, found) if passes else Check(name, problem, found, remedy)


def run_program(*command: str) -> tuple[bool, str]:
    """Run a program. Return True and its output or, if the program fails, False and the reason in one line."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=CHECK_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return False, f"{command[0]} does not respond"
    except OSError as error:
        return False, f"{command[0]}: {error.strerror}"
    if done.returncode:
        said = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        return False, said[-1] if said else f"{command[0]} ended with status {done.returncode}"
    return True, done.stdout
