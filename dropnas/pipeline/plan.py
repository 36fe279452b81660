"""The plan: from tables and figures to experiments, and from experiments to runs.

The code is pure and fast and does not import torch. `targets` makes the last run of each table and figure, this module
combines them, and `jobs` groups the runs into jobs. Snakemake, the tables, the cost estimate and `verify` all read the
same plan.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from dropnas.config import Parameters
from dropnas.pipeline.experiments import Experiment, Experiments
from dropnas.pipeline.protocol import require_planned
from dropnas.pipeline.stages import STAGES
from dropnas.pipeline.targets import target_run
from dropnas.report.config import ARCHITECTURES, TARGETS
from dropnas.runs.identity import Run

PAPER = "paper"  # means all targets that are built by default


@dataclass(frozen=True)
class Plan:
    """All runs of a parameter file."""

    parameters: Parameters
    runs: dict[str, Run]  # every run by its id; inputs come before the runs that read them
    targets: dict[str, Run]  # the last run of each table and figure, by its name
    on_request: frozenset[str] = frozenset()  # names of the targets that are built only if requested by name
    # the experiments with one run for each seed, by their names in `seeds_at`
    experiments: Mapping[str, Experiment] = field(default_factory=dict)

    def used_by(self) -> dict[str, list[str]]:
        """For each run's id, the tables and figures that depend on it."""
        users: dict[str, list[str]] = {id_: [] for id_ in self.runs}
        for target, last in self.targets.items():
            for run in ancestors([last]):
                users[run.id].append(target)
        return users

    def by_default(self) -> "Plan":
        """The plan without the targets that are built only on request."""
        targets = {name: run for name, run in self.targets.items() if name not in self.on_request}
        return replace(self, targets=targets, runs=_runs(targets), on_request=frozenset())

    def needed(self, targets: Iterable[str]) -> dict[str, Run]:
        """The runs that the targets need, by id; `paper`, or no target, means all targets that are built by default."""
        named = {name: self.targets[name] for name in targets if name in self.targets}
        default = self.by_default().targets if not named or PAPER in targets else {}
        return _runs({**named, **default})


def ancestors(runs: Iterable[Run]) -> list[Run]:
    """List these runs and all runs that they depend on, inputs first and without duplicates."""
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
    """Make the plan of a parameter file; for a file with looks, the plan of its first look.

    Raises a DropnasError if the file names user code that is missing or that imports modules by name at run time, or if
    the file claims to reproduce the paper but does not.
    """
    experiments = Experiments(parameters)
    wanted = [*parameters.tables, *parameters.figures]
    asked = [
        name
        for name, target in TARGETS.items()
        if target.on_request and name not in wanted and set(target.needs) <= set(parameters.datasets)
    ]
    targets = {name: target_run(experiments, name) for name in [*wanted, ARCHITECTURES, *asked]}
    runs = _runs(targets)
    if parameters.reproduction:
        require_planned(runs.values(), parameters.profile)
    return Plan(parameters, runs, targets, frozenset(asked), experiments.met)


def _runs(targets: dict[str, Run]) -> dict[str, Run]:
    return {run.id: run for run in ancestors(targets.values())}


def depths(plan: Plan) -> dict[str, int]:
    """For each run, the length of the longest chain of inputs before it."""
    found: dict[str, int] = {}
    for id_, run in plan.runs.items():  # a run comes after its inputs
        found[id_] = 1 + max((found[source.id] for source in run.inputs), default=-1)
    return found


def waiting(plan: Plan) -> dict[str, int]:
    """For each run, the length of the longest chain of trainings that wait for it; long chains should start first."""
    found = dict.fromkeys(plan.runs, 0)
    for run in reversed(plan.runs.values()):  # the runs that read a run come after it
        behind = found[run.id] + STAGES[run.stage].trains
        for source in run.inputs:
            found[source.id] = max(found[source.id], behind)
    return found
