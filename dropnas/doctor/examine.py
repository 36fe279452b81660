"""All checks of a machine, in the order in which a user would fix the problems."""

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from dropnas.config import read_parameters
from dropnas.doctor import gpu, image, installation, scheduler, source_places, storage
from dropnas.doctor.check import Check, CheckResult, Situation
from dropnas.doctor.site import site
from dropnas.errors import DropnasError
from dropnas.pipeline.disk import Disk
from dropnas.pipeline.plan import ancestors, make_plan

ALL = (installation, gpu, image, scheduler, storage, source_places)
DRY_OPTIONS = {  # options with which Snakemake does not run any jobs
    *("-n", "--dry-run", "--dryrun", "--dag", "--rulegraph", "--filegraph", "--summary", "-S", "--detailed-summary"),
    *("-D", "--lint", "--report", "-h", "--help", "--unlock", "--list-rules", "-l"),
}


def situation(parameters: Path | None, options: Sequence[str], root: Path) -> Situation:
    """Return what the checks examine, given a parameter file and options for Snakemake, which may include targets.

    Raises:
        DropnasError: the parameter file or a profile is invalid.
    """
    where = site(options)
    if parameters is None:
        return Situation(root, where)
    plan = make_plan(read_parameters(parameters))
    asked = [run for name, run in plan.targets.items() if name in options]
    runs = ancestors(asked or plan.by_default().targets.values())
    return Situation(root, where, tuple(runs), plan.parameters.machine)


def examine(found: Situation) -> list[Check]:
    """Run all checks."""
    return [check for part in ALL for check in part.examine(found)]


def report(checks: Iterable[Check], *, as_json: bool = False) -> str:
    """Write a line for each check, or a JSON list for a bug report."""
    if as_json:
        return json.dumps([asdict(check) for check in checks], indent=2)
    return "\n".join(map(line, checks))


def line(check: Check) -> str:
    """Write a check in one line, with its remedy."""
    return f"{check.outcome:8} {check.name}: {check.found}{'; ' * bool(check.remedy)}{check.remedy}"


def stops(checks: Iterable[Check]) -> bool:
    """Whether a check would stop the run."""
    return any(check.outcome is CheckResult.FAILED for check in checks)


def require_ready(parameters: Path, options: Sequence[str], root: Path, show: Callable[[str], object]) -> None:
    """Show all problems when a run starts, and raise an error if one of them would stop the run.

    Raises:
        DropnasError: a problem would stop the run.
    """
    if DRY_OPTIONS & {option.partition("=")[0] for option in options}:
        return
    checks = [
        check for check in examine(situation(parameters, options, root)) if check.outcome is not CheckResult.PASSED
    ]
    for check in checks:
        show(line(check))
    if stops(checks):
        remedy = f"python -m dropnas doctor {parameters} shows all checks"
        raise DropnasError("this machine is not ready for the run", remedy=remedy)


def show_node(root: Path) -> None:
    """Print the problems of the node on which a job runs. Its GPU is not checked here, because a training checks it.

    The job continues in spite of a problem: the remaining epochs of a training may need less space than the check
    requires, and a training reports a full disk itself.
    """
    for check in (*scheduler.in_job(), *storage.room(root, Disk(storage.RESERVE, 100))):
        if check.outcome is not CheckResult.PASSED:
            print(line(check), file=sys.stderr, flush=True)
