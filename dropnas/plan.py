"""The paper as runs: tables and figures -> experiments -> runs.

Pure and fast, and without torch. An experiment is a method in a space on a data set, over seeds; tables name
experiments, and experiments that agree are the same runs, since a run's identity is what goes into it. Snakemake, the
tables, `verify` and the plan that is shown all read what is made here.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from dropnas.config import Method, Parameters, Space
from dropnas.data.config import DatasetConfig
from dropnas.effective import derive_config, preset_options
from dropnas.extension import is_reference
from dropnas.provenance.identity import Run
from dropnas.report.config import Entry, TableConfig, TableName
from dropnas.search.config import Scalar, SearchConfig
from dropnas.stages import code_of

DROPNAS = Method("DropNAS", "dropnas")
ONE_LEVEL_DARTS = Method("one-level DARTS", "one-level-darts")
ABLATIONS = tuple(Method(name, name) for name in ("no-alpha-adjust", "no-partial-decay", "no-grouping"))
EXTREMES = (ONE_LEVEL_DARTS, Method("ProxylessNAS", "proxylessnas"), Method("SNAS", "snas"))  # p_d = 0, 0.75, 0.875
PAPER_SPACES = tuple(Space(name, name) for name in ("3-skip", "1-skip", "original"))
CIFAR = ("cifar10", "cifar100")
MORE_RETRAININGS = 1000  # the k-th retraining of a genotype adds k times this to its search's seed


@dataclass(frozen=True)
class Plan:
    """All runs of a parameter file.

    Attributes:
        parameters: what it was made from.
        runs: every run by its id; inputs come before what reads them.
        targets: the last runs of each table and figure, by its name.
    """

    parameters: Parameters
    runs: dict[str, Run]
    targets: dict[str, tuple[Run, ...]]

    def used_by(self) -> dict[str, list[str]]:
        """For each run's id the tables and figures that depend on it."""
        users: dict[str, list[str]] = {id_: [] for id_ in self.runs}
        for target, last in self.targets.items():
            for run in _ancestors(last):
                users[run.id].append(target)
        return users


def _ancestors(runs: Iterable[Run]) -> list[Run]:
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
    """The runs of a parameter file.

    Raises:
        DropnasError: code of the user's that the file names is missing, or imports by name.
    """
    experiments = Experiments(parameters)
    targets: dict[str, tuple[Run, ...]] = {
        name: (experiments.table(name, TABLE_CELLS[name](experiments)),) for name in parameters.tables
    }
    if parameters.drop_rates:
        targets["figure2"] = tuple(_figure2(experiments))
    runs = {run.id: run for run in _ancestors(run for last in targets.values() for run in last)}
    return Plan(parameters, runs, targets)


@dataclass
class Experiments:
    """Makes runs, each once: the same configuration and inputs give the same object."""

    parameters: Parameters
    _runs: dict[str, Run] = field(default_factory=dict)
    _cells: list[tuple[Entry, list[Run], list[Run]]] = field(default_factory=list)

    def seeds(self, target: str) -> range:
        """Search seeds of a table or figure."""
        counts: dict[str, int] = {str(name): count for name, count in self.parameters.seeds_of.items()}
        return range(counts.get(target, self.parameters.seeds))

    def _run(self, stage: str, name: str, config: Any, *inputs: Run) -> Run:
        run = Run(stage, name, config, inputs, code_of(stage, config))
        return self._runs.setdefault(run.id, run)

    def data(self, role: str) -> Run:
        """The prepared data set that stands for one of the paper's."""
        config = next(config for name, config in self.parameters.datasets.items() if name == role)
        return self._run("data", dataset_name(config), config)

    def search(self, role: str, space: str, method: Method, seed: int) -> Run:
        """One search."""
        common = dict(self.parameters.search.options)
        options = (
            dict(method.options)
            if is_reference(method.strategy)
            else preset_options(method.strategy, common, dict(method.options), space)
        )
        config = replace(self.parameters.search, space=space, strategy=method.strategy, options=options, seed=seed)
        data = self.data(role)
        return self._run("search", f"{data.name}-{search_name(config)}-seed{seed}", config, data)

    def genotype(self, search: Run) -> Run:
        """The genotype of a search."""
        config = derive_config(self.parameters.derive, search.config.space)
        return self._run("derive", search.name, config, search)

    def retrainings(self, search: Run) -> list[Run]:
        """All retrainings of a search's genotype."""
        seeds = [search.config.seed + MORE_RETRAININGS * k for k in range(self.parameters.retrainings)]
        configs = [replace(self.parameters.retrain, seed=seed) for seed in seeds]
        genotype, data = self.genotype(search), search.inputs[0]
        return [self._run("retrain", f"{genotype.name}-train{c.seed}", c, data, genotype) for c in configs]

    def experiment(
        self, target: str, role: str, method: Method, space: str = "original"
    ) -> tuple[list[Run], list[Run]]:
        """The searches and the retrainings of one method, over the seeds of a table or figure."""
        searches = [self.search(role, space, method, seed) for seed in self.seeds(target)]
        return searches, [run for search in searches for run in self.retrainings(search)]

    def best(self, target: str, role: str, method: Method) -> Run:
        """The choice of the best genotype of an experiment."""
        searches, retrainings = self.experiment(target, role, method)
        name = f"{searches[0].name.removesuffix('-seed0')}-best-of-{len(retrainings)}"
        return self._run("select", name, self.parameters.select, *retrainings)

    def augmented(self, target: str, role: str, method: Method) -> Run:
        """The best genotype under the augmented protocol."""
        best = self.best(target, role, method)
        config = replace(self.parameters.retrain, autoaugment=True, epochs=self.parameters.augmented.epochs)
        return self._run("retrain", f"{best.name}-augmented-train0", config, self.data(role), best)

    def transfer(self, role: str, method: Method) -> Run:
        """The best genotype of Table 1 or 2 on ImageNet."""
        best = self.best("table1" if role == "cifar10" else "table2", role, method)
        data = self.data("imagenet")
        return self._run("transfer", f"{data.name}-from-{best.name}", self.parameters.transfer, data, best)

    def table(self, name: TableName, cells: "list[Cell]") -> Run:
        """A table: its cells, each with its runs."""
        inputs = list({run.id: run for cell in cells for run in (*cell.searches, *cell.trainings)}.values())
        position = {run.id: index for index, run in enumerate(inputs)}
        entries = tuple(
            Entry(
                cell.row,
                cell.column,
                cell.label,
                tuple(position[run.id] for run in cell.searches),
                tuple(position[run.id] for run in cell.trainings),
            )
            for cell in cells
        )
        settings = self.parameters
        config = TableConfig(name, settings.profile, settings.reproduction, entries, settings.select.criterion)
        return self._run("table", f"{name}-{self.parameters.profile}", config, *inputs)


@dataclass(frozen=True)
class Cell:
    """A cell of a table and the runs behind it."""

    row: str
    column: str
    searches: list[Run]
    trainings: list[Run]
    label: str = ""


def dataset_name(config: DatasetConfig) -> str:
    """Readable name of a prepared data set: its own and, of a part, the size."""
    size = f"-{config.train_images or 'all'}-{config.test_images or 'all'}"
    return config.name + (size if config.train_images or config.test_images else "")


def search_name(config: SearchConfig) -> str:
    """Readable name of space, strategy and options."""
    parts = [config.space, config.strategy, *_option_names(dict(config.options))]
    return "-".join(_slug(part.rpartition(":")[2]) for part in parts)


def _option_names(options: dict[str, Scalar]) -> list[str]:
    rates = [options.pop(name, None) for name in ("rate_parameterised", "rate_non_parameterised")]
    both = rates[0] is not None and rates[0] == rates[1]
    named = (
        [f"r{rates[0]:g}"]
        if both
        else [f"{k}{v:g}" for k, v in zip(("rp", "rnp"), rates, strict=True) if v is not None]
    )
    return named + [f"{key}-{value}" for key, value in sorted(options.items())]


def _slug(text: str) -> str:
    """Letters, digits and a few signs: names become folders."""
    return re.sub(r"[^a-z0-9.+]+", "-", text.lower()).strip("-")


def _at_rates(parameterised: float, non_parameterised: float) -> Method:
    rates: dict[str, Scalar] = {"rate_parameterised": parameterised, "rate_non_parameterised": non_parameterised}
    return Method("DropNAS", "dropnas", rates)


def _best_rows(experiments: Experiments, table: str, role: str) -> list[Cell]:
    """Tables 1 and 2: a method's seeds, and the best of them under the augmented protocol."""
    cells = []
    for method in (DROPNAS, *experiments.parameters.methods):
        row, label = ("dropnas", "") if method is DROPNAS else (_slug(method.label), method.label)
        searches, retrainings = experiments.experiment(table, role, method)
        cells.append(Cell(row, "error", searches, retrainings, label))
        augmented = experiments.augmented(table, role, method)
        cells.append(Cell(f"{row}-augmented", "error", searches, [augmented], label and f"{label} (Augmented)"))
    return cells


def _table1(experiments: Experiments) -> list[Cell]:
    return _best_rows(experiments, "table1", "cifar10")


def _table2(experiments: Experiments) -> list[Cell]:
    return _best_rows(experiments, "table2", "cifar100")


def _table3(experiments: Experiments) -> list[Cell]:
    """Transfer to ImageNet of the best architectures found on CIFAR-10 and CIFAR-100."""
    cells = []
    for method in (DROPNAS, *experiments.parameters.methods):
        for table, role in zip(("table1", "table2"), CIFAR, strict=True):
            row = f"{_slug(method.label)}-{role}"
            label = "" if method is DROPNAS else f"{method.label} ({role.upper().replace('CIFAR', 'CIFAR-')})"
            searches, _ = experiments.experiment(table, role, method)
            cells.append(Cell(row, "error", searches, [experiments.transfer(role, method)], label))
    return cells


def _table4(experiments: Experiments) -> list[Cell]:
    """DropNAS and one-level DARTS in each search space."""
    own = experiments.parameters
    cells = []
    for role in CIFAR:
        for space in (*PAPER_SPACES, *own.spaces):
            for method in (DROPNAS, ONE_LEVEL_DARTS, *own.methods):
                label = " / ".join(item.label for item in (space, method) if item in (*own.spaces, *own.methods))
                row, column = f"{role}/{_slug(space.label)}", _slug(method.label)
                cells.append(Cell(row, column, *experiments.experiment("table4", role, method, space.space), label))
    return cells


def _table5(experiments: Experiments) -> list[Cell]:
    """Different drop path rates for the two groups: rows O_np, columns O_p."""
    rates = experiments.parameters.group_rates
    return [
        Cell(
            f"{row:.0e}".replace("e-0", "e-"),
            f"{column:.0e}".replace("e-0", "e-"),
            *experiments.experiment("table5", "cifar10", _at_rates(column, row)),
        )
        for row in rates
        for column in rates
    ]


def _table6(experiments: Experiments) -> list[Cell]:
    """The ablations, and the user's methods beside them."""
    own = experiments.parameters.methods
    return [
        Cell(
            role,
            _slug(method.label),
            *experiments.experiment("table6", role, method),
            method.label if method in own else "",
        )
        for role in CIFAR
        for method in (DROPNAS, *ABLATIONS, *own)
    ]


def _figure2(experiments: Experiments) -> list[Run]:
    """The sweep of the drop path rate on both data sets, and p_d = 0, 0.75, 0.875, which Section 5.1 speaks of."""
    methods = [*(_at_rates(rate, rate) for rate in experiments.parameters.drop_rates), *EXTREMES]
    return [run for role in CIFAR for method in methods for run in experiments.experiment("figure2", role, method)[1]]


TABLE_CELLS: dict[TableName, Callable[[Experiments], list[Cell]]] = {
    "table1": _table1,
    "table2": _table2,
    "table3": _table3,
    "table4": _table4,
    "table5": _table5,
    "table6": _table6,
}


def depths(plan: Plan) -> dict[str, int]:
    """For each run the length of the longest chain of inputs behind it."""
    found: dict[str, int] = {}
    for id_, run in plan.runs.items():  # inputs come first
        found[id_] = 1 + max((found[source.id] for source in run.inputs), default=-1)
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
    """The runs in jobs: of one stage, data set and depth, so that no run waits for another of its own job."""
    depth, groups = depths(plan), defaultdict(list)
    for run in plan.runs.values():
        groups[run.stage, depth[run.id], _dataset(run)].append(run)
    sizes: dict[str, int] = {str(stage): size for stage, size in plan.parameters.machine.runs_per_job.items()}
    sizes["derive"] = sizes.get("search", 1)  # the genotypes of one job's searches: retraining waits for no others
    made = []
    for (stage, _, _), runs in groups.items():
        size = sizes.get(stage, 1)
        made += [Job(stage, tuple(runs[first : first + size])) for first in range(0, len(runs), size)]
    return made


def _dataset(run: Run) -> str:
    """What the runs of one job have in common."""
    if run.stage == "derive":
        run = run.inputs[0]
    return run.inputs[0].name if run.stage in ("search", "retrain", "transfer") else run.stage
