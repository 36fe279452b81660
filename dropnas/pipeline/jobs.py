"""The jobs of a plan: batches of runs that share a process. A job is identified by its rule and a readable name.

Runs that the requested targets need are never in the same batch as other runs, so a start that requests only one table
does not train networks for another.

A job's marker is a file in the folder of the frozen start. It exists once all runs of the job are published. Snakemake
may delete the declared outputs of a job, so only the markers are declared. Each start updates the markers to match the
store, so Snakemake finds nothing to do for runs that are finished or were pulled. A job writes its marker when it ends.
"""

import os
import re
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dropnas.artifacts.receipt_file import RECEIPT
from dropnas.pipeline.plan import Plan, depths
from dropnas.pipeline.stages import STAGES, common
from dropnas.runs.identity import Run, canonical_json, resolved
from dropnas.runs.store import Store

DONE_FOLDER = "done"  # the folder with the markers, inside a plan's folder
REPORT_SUFFIXES = {"table": ".csv", "figure": ".svg"}  # suffix of the file that Snakemake's report shows, by rule
BRIEF = 100  # number of short runs that share one process
NUMBERED = re.compile(r"(seed|train)(\d+)")  # numbers in the names of runs, combined in the name of their job


@dataclass(frozen=True)
class Job:
    """A batch of runs of one stage; its name is unique among the jobs of its rule."""

    name: str
    runs: tuple[Run, ...]

    @property
    def stage(self) -> str:
        """The stage of the runs."""
        return self.runs[0].stage

    @property
    def rule(self) -> str:
        """The workflow's rule for the job."""
        return STAGES[self.stage].rule

    @property
    def marker(self) -> str:
        """The file in the plan's folder that exists once all runs of the job are published."""
        return f"{DONE_FOLDER}/{self.rule}/{self.name}{REPORT_SUFFIXES.get(self.rule, '')}"

    @property
    def result(self) -> str:
        """The table or figure that is copied to the marker for Snakemake's report; for other jobs, the null device."""
        run, suffix = self.runs[0], REPORT_SUFFIXES.get(self.rule)
        if not suffix:
            return os.devnull
        return f"{run.folder}/{run.config.figure if run.stage == 'figure' else run.config.table}{suffix}"

    @property
    def attempts(self) -> str:
        """The name of the file, next to the job's log, that records its attempts; it depends only on the runs."""
        more = f"-and-{len(self.runs) - 1}-more" if len(self.runs) > 1 else ""
        return f"{self.runs[0].folder.name}{more}.attempts"


def jobs(plan: Plan, targets: Sequence[str] = ()) -> list[Job]:
    """Divide the runs of a plan into batches.

    The runs of a batch have the same stage, data set and depth, so none waits for another. Searches that can train
    together form one batch, unless the file sets the number of runs per process.

    Args:
        targets: requested targets; empty means all that are built by default.
    """
    groups: dict[tuple[Any, ...], list[Run]] = defaultdict(list)
    depth, users, needed = depths(plan), plan.used_by(), plan.needed(targets)
    for run in plan.runs.values():
        others = () if run.id in needed else tuple(users[run.id])
        groups[run.stage, depth[run.id], _dataset(run), others, _trained_as_one(run)].append(run)
    sizes: dict[str, int] = {str(stage): size for stage, size in plan.parameters.machine.runs_per_job.items()}
    divided = "search" in sizes
    sizes |= dict.fromkeys(("sample", "fixed", "variant", "correlation"), BRIEF)
    # each batch of derivations or clusters waits for one batch of searches
    sizes |= dict.fromkeys(("derive", "clusters"), sizes.get("search", 1))
    parts = []
    for (stage, *_, as_one), runs in groups.items():
        size = len(runs) if as_one and not divided else sizes.get(stage, 1)
        parts += [tuple(runs[first : first + size]) for first in range(0, len(runs), size)]
    return list(_named(parts))


def _named(parts: Sequence[tuple[Run, ...]]) -> Iterator[Job]:
    """Jobs with unique names; if several jobs have the same name, each gets the id of its first run."""
    named = [Job(_name([run.name for run in runs]), runs) for runs in parts]
    counts = Counter((one.rule, one.name) for one in named)
    for one in named:
        unique = counts[one.rule, one.name] == 1
        yield one if unique else Job(f"{one.name}-{one.runs[0].id}", one.runs)


def _name(names: Sequence[str]) -> str:
    """A name for several runs: `cifar10-original-dropnas-seed0-7` if only numbers differ."""
    if len({NUMBERED.sub(r"\1", name) for name in names}) > 1:
        return f"{names[0]}-and-{len(names) - 1}-more"
    numbers = iter(zip(*([int(one[2]) for one in NUMBERED.finditer(name)] for name in names), strict=True))
    return NUMBERED.sub(lambda match: match[1] + _range(next(numbers)), names[0])


def _range(numbers: Sequence[int]) -> str:
    """`0-7`, or `0+2+5` if numbers are missing in between."""
    found = sorted(set(numbers))
    consecutive = len(found) > 1 and found[-1] - found[0] == len(found) - 1
    return f"{found[0]}-{found[-1]}" if consecutive else "+".join(map(str, found))


def _trained_as_one(run: Run) -> str:
    """A key shared by searches that can train together, and by their derivations; empty for other runs."""
    search = run.inputs[0] if run.stage == "derive" else run
    shared = common(search.config) if search.stage == "search" else None
    return canonical_json(resolved(shared)) if shared else ""


def _dataset(run: Run) -> str:
    """Return the key by which runs are batched: the name of the data set or, for a stage without one, the stage."""
    if run.stage == "derive":
        run = run.inputs[0]
    return run.inputs[0].name if STAGES[run.stage].trains else run.stage


def write_markers(plan: dict[str, Any], folder: Path, root: Path) -> None:
    """Write the markers of jobs whose runs are all published, and remove those of other jobs.

    Args:
        folder: folder of the frozen start, `plans/<id>`.
    """
    store = Store(root)
    published = {run["id"] for run in plan["runs"] if store.is_published(root / run["folder"])}
    for run in plan["runs"]:  # tables need the receipts of published runs, for which no job runs again
        if run["id"] in published and not (root / run["folder"] / RECEIPT).exists():
            store.write_receipt(root / run["folder"])
    for job in plan["jobs"]:
        marker = folder / job["marker"]
        if not published.issuperset(job["runs"]):
            marker.unlink(missing_ok=True)
        elif not marker.is_file():
            marker.parent.mkdir(parents=True, exist_ok=True)
            result = root / job["result"]  # a pulled figure may lack its images
            shutil.copyfile(result if result.is_file() else os.devnull, marker)
