"""The paper as runs: tables and figures -> experiments -> runs.

Pure and fast, and without torch. Which experiments stand behind a table or figure is said in `table_experiments`,
`peer_experiments` and `figure_experiments`; here they are put together, and into jobs. Snakemake, the tables, the cost
and `verify` all read the same plan.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from dropnas.config import Parameters
from dropnas.pipeline.experiments import Experiment, Experiments
from dropnas.pipeline.figure_experiments import figure
from dropnas.pipeline.peer_experiments import peers
from dropnas.pipeline.protocol import require_planned
from dropnas.pipeline.stages import STAGES, common
from dropnas.pipeline.table_experiments import table
from dropnas.report.config import TARGETS
from dropnas.runs.identity import Run, canonical_json, resolved

ARCHITECTURES = "architectures"
BRIEF = 100  # runs of a moment each that share one process
MAKERS: dict[str, Callable[[Experiments, str], Run]] = {"table": table, "peers": peers, "figure": figure}


@dataclass(frozen=True)
class Plan:
    """All runs of a parameter file.

    Attributes:
        parameters: what it was made from.
        runs: every run by its id; inputs come before what reads them.
        targets: the last run of each table and figure, by its name.
        on_request: names of the targets that are built only where somebody asks for them by name.
        experiments: what has a run for each seed, as `seeds_at` calls it.
    """

    parameters: Parameters
    runs: dict[str, Run]
    targets: dict[str, Run]
    on_request: frozenset[str] = frozenset()
    experiments: Mapping[str, Experiment] = field(default_factory=dict)

    def used_by(self) -> dict[str, list[str]]:
        """For each run's id the tables and figures that depend on it."""
        users: dict[str, list[str]] = {id_: [] for id_ in self.runs}
        for target, last in self.targets.items():
            for run in ancestors([last]):
                users[run.id].append(target)
        return users

    def by_default(self) -> "Plan":
        """The plan without what is built only on request."""
        targets = {name: run for name, run in self.targets.items() if name not in self.on_request}
        return replace(self, targets=targets, runs=_runs(targets), on_request=frozenset())


def ancestors(runs: Iterable[Run]) -> list[Run]:
    """Runs and everything that they depend on, inputs first, each once."""
    found: dict[str, Run] = {}

    def visit(run: Run) -> None:
        if run.id not in found:
            for source in run.inputs:
                visit(source)
            found[run.id] = run

    for run in runs:
        visit(run)
    return list(found.values())


def make_plan(parameters: Parameters) -> Plan:
    """The runs of a parameter file; of one with looks, those of the first.

    Raises:
        DropnasError: code of the user's that the file names is missing, or imports by name; or the file claims to
            reproduce the paper and does not.
    """
    experiments = Experiments(parameters)
    wanted = [*parameters.tables, *parameters.figures]
    asked = [
        name
        for name, target in TARGETS.items()
        if target.on_request and name not in wanted and set(target.needs) <= set(parameters.datasets)
    ]
    targets = {name: _target(experiments, name) for name in [*wanted, ARCHITECTURES, *asked]}
    if parameters.reproduction:
        require_planned(_runs(targets).values(), parameters.profile)
    return Plan(parameters, _runs(targets), targets, frozenset(asked), experiments.met)


def _target(experiments: Experiments, name: str) -> Run:
    """The last run of a table or figure."""
    if name == ARCHITECTURES:
        return experiments.architectures()
    return MAKERS[TARGETS[name].stage](experiments, name)


def _runs(targets: dict[str, Run]) -> dict[str, Run]:
    return {run.id: run for run in ancestors(targets.values())}


def depths(plan: Plan) -> dict[str, int]:
    """For each run the length of the longest chain of inputs behind it."""
    found: dict[str, int] = {}
    for id_, run in plan.runs.items():  # inputs come first
        found[id_] = 1 + max((found[source.id] for source in run.inputs), default=-1)
    return found


def waiting(plan: Plan) -> dict[str, int]:
    """For each run how many trainings, at most, wait in a row for it: what holds up most is to run first."""
    found = dict.fromkeys(plan.runs, 0)
    for run in reversed(plan.runs.values()):  # what reads a run comes after it
        behind = found[run.id] + STAGES[run.stage].trains
        for source in run.inputs:
            found[source.id] = max(found[source.id], behind)
    return found


@dataclass(frozen=True)
class Job:
    """Runs of one stage that share one process."""

    stage: str
    runs: tuple[Run, ...]

    @property
    def name(self) -> str:
        """Unique among the jobs of a plan; a valid name of a rule."""
        return f"{self.stage}_{self.runs[0].id}" + (f"_and_{len(self.runs) - 1}" if len(self.runs) > 1 else "")


def jobs(plan: Plan) -> list[Job]:
    """The runs in jobs: of one stage, data set and depth, so that no run waits for another of its own job.

    What is built only on request shares no job with the rest, nor with what others ask for. Searches that may train as
    one are one job, unless the file says how many runs share a process.
    """
    depth, default = depths(plan), plan.by_default().runs
    groups: dict[tuple[Any, ...], list[Run]] = defaultdict(list)
    users = plan.used_by()
    for run in plan.runs.values():
        on_request = () if run.id in default else tuple(users[run.id])
        groups[run.stage, depth[run.id], _dataset(run), on_request, _trained_as_one(run)].append(run)
    sizes: dict[str, int] = {str(stage): size for stage, size in plan.parameters.machine.runs_per_job.items()}
    sizes["derive"] = sizes.get("search", 1)  # the genotypes of one job's searches: retraining waits for no others
    sizes |= dict.fromkeys(("sample", "peer", "variant", "correlation"), BRIEF)
    sizes["clusters"] = sizes.get("search", 1)
    made = []
    for (stage, *_, as_one), runs in groups.items():
        size = len(runs) if as_one and "search" not in sizes else sizes.get(stage, 1)
        made += [Job(stage, tuple(runs[first : first + size])) for first in range(0, len(runs), size)]
    return made


def _trained_as_one(run: Run) -> str:
    """What the searches of one job have in common, so that they may train as one; nothing of others."""
    search = run.inputs[0] if run.stage == "derive" else run
    shared = common(search.config) if search.stage == "search" else None
    return canonical_json(resolved(shared)) if shared else ""


def _dataset(run: Run) -> str:
    """What the runs of one job have in common."""
    if run.stage == "derive":
        run = run.inputs[0]
    return run.inputs[0].name if run.stage in ("search", "retrain", "transfer", "clusters") else run.stage
