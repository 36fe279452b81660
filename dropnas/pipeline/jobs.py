"""The jobs of a plan: batches of runs that share a process. The workflow knows each by its rule and a readable name.

Batches are made for the targets of a start. They hold only runs that these targets need, so a start for one table
trains nothing for another. The plan's other runs are in batches of their own.
"""

import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from dropnas.pipeline.plan import Plan, depths
from dropnas.pipeline.stages import STAGES, common
from dropnas.runs.identity import Run, canonical_json, resolved

DONE = "done"  # the folder of the markers, in a plan's folder
SHOWN = {"table": ".csv", "figure": ".svg"}  # by rule: what Snakemake's report shows of a result
BRIEF = 100  # runs of a moment each that share one process
NUMBERED = re.compile(r"(seed|train)(\d+)")  # parts of a run's name in which the runs of a batch may differ


@dataclass(frozen=True)
class Job:
    """A batch of runs of one stage; its name is unique among those of a rule in a plan."""

    name: str
    runs: tuple[Run, ...]

    @property
    def stage(self) -> str:
        """The stage of its runs."""
        return self.runs[0].stage

    @property
    def rule(self) -> str:
        """The rule that makes it."""
        return STAGES[self.stage].rule

    @property
    def marker(self) -> str:
        """The file that says that all its runs are published, in the plan's folder."""
        return f"{DONE}/{self.rule}/{self.name}{SHOWN.get(self.rule, '')}"

    @property
    def result(self) -> str:
        """What the marker is a copy of: the table or figure, for Snakemake's report; otherwise it is empty."""
        run, suffix = self.runs[0], SHOWN.get(self.rule)
        return f"{run.folder}/{_target(run)}{suffix}" if suffix else os.devnull

    @property
    def attempts(self) -> str:
        """The file of its attempts, in the folder of its log; it follows the runs from plan to plan."""
        more = f"-and-{len(self.runs) - 1}-more" if len(self.runs) > 1 else ""
        return f"{self.runs[0].folder.name}{more}.attempts"


def _target(run: Run) -> str:
    return str(run.config.figure if run.stage == "figure" else run.config.table)


def jobs(plan: Plan, targets: Sequence[str] = ()) -> list[Job]:
    """All runs of a plan in batches of one stage, data set and depth, so that no run waits for another of its batch.

    Searches that may train as one are one batch, unless the file says how many runs share a process.

    Args:
        targets: that are asked for; by default all that are built by default.
    """
    groups: dict[tuple[Any, ...], list[Run]] = defaultdict(list)
    depth, users, needed = depths(plan), plan.used_by(), plan.needed(targets)
    for run in plan.runs.values():
        others = () if run.id in needed else tuple(users[run.id])
        groups[run.stage, depth[run.id], _dataset(run), others, _trained_as_one(run)].append(run)
    sizes: dict[str, int] = {str(stage): size for stage, size in plan.parameters.machine.runs_per_job.items()}
    divided = "search" in sizes
    sizes |= dict.fromkeys(("sample", "fixed", "variant", "correlation"), BRIEF)
    sizes |= dict.fromkeys(("derive", "clusters"), sizes.get("search", 1))  # they wait for one batch of searches
    parts = []
    for (stage, *_, as_one), runs in groups.items():
        size = len(runs) if as_one and not divided else sizes.get(stage, 1)
        parts += [tuple(runs[first : first + size]) for first in range(0, len(runs), size)]
    return list(_named(parts))


def _named(parts: Sequence[tuple[Run, ...]]) -> Iterator[Job]:
    """Batches with unique names: the id of its first run is added to a name that is not."""
    named = [Job(_name([run.name for run in runs]), runs) for runs in parts]
    counts = Counter((one.rule, one.name) for one in named)
    for one in named:
        unique = counts[one.rule, one.name] == 1
        yield one if unique else Job(f"{one.name}-{one.runs[0].id}", one.runs)


def _name(names: Sequence[str]) -> str:
    """What several runs are called: `cifar10-original-dropnas-seed0-7` if only numbers differ."""
    if len({NUMBERED.sub(r"\1", name) for name in names}) > 1:
        return f"{names[0]}-and-{len(names) - 1}-more"
    numbers = iter(zip(*([int(one[2]) for one in NUMBERED.finditer(name)] for name in names), strict=True))
    return NUMBERED.sub(lambda match: match[1] + _range(next(numbers)), names[0])


def _range(numbers: Sequence[int]) -> str:
    """`0-7`, or `0+2+5` if some are left out."""
    found = sorted(set(numbers))
    consecutive = len(found) > 1 and found[-1] - found[0] == len(found) - 1
    return f"{found[0]}-{found[-1]}" if consecutive else "+".join(map(str, found))


def _trained_as_one(run: Run) -> str:
    """What the searches of one batch have in common, so that they may train as one; nothing of others."""
    search = run.inputs[0] if run.stage == "derive" else run
    shared = common(search.config) if search.stage == "search" else None
    return canonical_json(resolved(shared)) if shared else ""


def _dataset(run: Run) -> str:
    """What the runs of one batch have in common."""
    if run.stage == "derive":
        run = run.inputs[0]
    return run.inputs[0].name if run.stage in ("search", "retrain", "transfer", "clusters") else run.stage
