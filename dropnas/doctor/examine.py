"""All checks of a machine, in the order in which a user would fix the problems."""

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from dropnas.config import read_parameters
from dropnas.doctor import gpu, image, installation, scheduler, source_places, storage
from dropnas.doctor.check import Check, Examine, Outcome, Situation
from dropnas.doctor.site import site
from dropnas.errors import DropnasError
from dropnas.pipeline.disk import Disk
from dropnas.pipeline.plan import ancestors, make_plan

ALL: tuple[Examine, ...] = (
    installation.examine,
    gpu.examine,
    image.examine,
    scheduler.examine,
    storage.examine,
    source_places.examine,
)
# With these Snakemake runs no job.
LOOKS = {"-n", "--dry-run", "--dryrun", "--dag", "--rulegraph", "--filegraph", "--summary", "-S", "--lint", "--report"}
LOOKS |= {
    "-h",
    "--help",
    "--unlock",
    "--detailed-summary",
    "-D",
    "--list-rules",
    "-l",
}  # Snakemake runs no job with these


def situation(parameters: Path | None, options: Sequence[str], root: Path) -> Situation:
    """The conditions of a run, from a parameter file and options for Snakemake, including targets.

    Raises:
        DropnasError: the parameter file or a profile is wrong.
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
    return [check for one in ALL for check in one(found)]


def report(checks: Iterable[Check], *, as_json: bool = False) -> str:
    """Write a line for each check, or a list for a bug report."""
    if as_json:
        return json.dumps([asdict(check) for check in checks], indent=2)
    return "\n".join(line(check) for check in checks)


def line(check: Check) -> str:
    """Write a check in one line, with its remedy."""
    remedy = f"; {check.remedy}" if check.remedy else ""
    return f"{check.outcome:8} {check.name}: {check.found}{remedy}"


def stops(checks: Iterable[Check]) -> bool:
    """Whether a check would stop the run."""
    return any(check.outcome is Outcome.FAILED for check in checks)


def require_ready(parameters: Path, options: Sequence[str], root: Path, show: Callable[[str], object]) -> None:
    """Show all problems when a run starts, and end if one of them would stop the run.

    Raises:
        DropnasError: a problem would stop the run.
    """
    if LOOKS & {option.partition("=")[0] for option in options}:
        return
    checks = [check for check in examine(situation(parameters, options, root)) if check.outcome is not Outcome.PASSED]
    for check in checks:
        show(line(check))
    if stops(checks):
        raise DropnasError(
            "this machine is not ready for the run", remedy=f"python -m dropnas doctor {parameters} shows all checks"
        )


def show_node(root: Path) -> None:
    """Show what the node of a job lacks, apart from the GPU, which the training checks itself.

    The job continues: the rest of a training may need less space, and a training reports a full disk itself.
    """
    for check in (*scheduler.in_job(), *storage.room(root, Disk(storage.RESERVE, 100))):
        if check.outcome is not Outcome.PASSED:
            print(line(check), file=sys.stderr, flush=True)
