"""Determines which printed numbers and claims of the paper a plan checks, and which experiments check them.

Only experiments with one run for each seed are included. This excludes the augmented trainings, ImageNet and Figure 5,
which each depend on a single architecture. `report.claims` defines the claims and the table cells that they compare.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from dropnas.analysis.questions import Claim, Contrast, PrintedMean, Prior, Questions
from dropnas.data.config import ROLES, SEARCHED
from dropnas.pipeline.experiments import Experiment
from dropnas.pipeline.plan import Plan
from dropnas.report.claims import BEST_RATE, EXTREME_LABELS, CellAddress, against_dropnas, pairs_of_rates, words
from dropnas.report.config import FigureConfig, TableConfig
from dropnas.report.printed import Printed, layout
from dropnas.report.verdicts import PAPER_SEEDS, margin

PAPER_FREEDOM = PAPER_SEEDS - 1
Cells = Mapping[CellAddress, int]  # index of the experiment behind each cell, by table, row and column


@dataclass(frozen=True)
class PlanQuestions:
    """The questions of a plan, and the experiments that answer them."""

    questions: Questions  # each experiment is named after the folder of its first training
    experiments: tuple[Experiment, ...]  # in the order of `questions.experiments`


def questions_of(plan: Plan) -> PlanQuestions:
    """The questions of the tables and figures that a plan builds by default."""
    default = plan.by_default()
    mine = {name: one for name, one in plan.experiments.items() if one.trainings[0].id in default.runs}
    index = {run.id: number for number, one in enumerate(mine.values()) for run in one.trainings}
    cells = dict(_cells(default, index))
    printed = dict(_printed(default))
    numbers = tuple(_numbers(cells, printed)) if plan.parameters.reproduction else ()
    roles = [one.role for one in mine.values()]
    priors = (
        _priors(cells, roles, printed) if plan.parameters.reproduction else tuple(Prior(0.0, 0.0, 0) for _ in roles)
    )
    questions = Questions(tuple(mine), priors, numbers, tuple(_claims(cells, default, index)))
    return PlanQuestions(questions, tuple(mine.values()))


def _cells(plan: Plan, index: Mapping[str, int]) -> Iterator[tuple[CellAddress, int]]:
    for run in plan.targets.values():
        config = run.config
        for entry in config.entries if isinstance(config, TableConfig) else ():
            found = {index.get(run.inputs[number].id) for number in entry.trainings}
            if found and len(found - {None}) == 1:
                yield (config.table, entry.row, entry.column), next(number for number in found if number is not None)


def _printed(plan: Plan) -> Iterator[tuple[CellAddress, Printed]]:
    for config in (run.config for run in plan.targets.values() if isinstance(run.config, TableConfig)):
        paper = config.layout or layout(config.table)
        for row in paper.rows:
            for column, cell in zip(paper.columns, row.cells, strict=True):
                if cell:
                    yield (config.table, row.key, column.key), cell


def _numbers(cells: Cells, printed: Mapping[CellAddress, Printed]) -> Iterator[PrintedMean]:
    for cell_key, experiment in cells.items():
        cell = printed.get(cell_key)
        if cell is None or cell.mean is None or cell.std is None:
            continue
        yield PrintedMean(*cell_key, experiment, cell.mean, _sample_std(cell.std), PAPER_SEEDS, margin(*cell_key[:2]))


def _sample_std(population: float) -> float:
    return population * math.sqrt(PAPER_SEEDS / PAPER_FREEDOM)


def _priors(cells: Cells, roles: Sequence[str], printed: Mapping[CellAddress, Printed]) -> tuple[Prior, ...]:
    """The expected mean and standard deviation of each experiment.

    If the paper prints both for the experiment, they are taken from the paper. Otherwise, the mean is the one printed
    for DropNAS on the same data set, and the standard deviation is the root mean square of the deviations printed for
    this data set in Tables 4 and 6.
    """
    known = {number: cell for key, number in cells.items() if (cell := printed.get(key)) and cell.std is not None}
    stds = defaultdict[str, list[float]](list)
    for row in (*layout("table4").rows, *layout("table6").rows):
        stds[row.key.partition("/")[0]] += [cell.std for cell in row.cells if cell and cell.std is not None]
    found = []
    for number, role in enumerate(roles):
        base = next(row.cells[0] for row in layout(ROLES[role].table).rows if row.key == "dropnas")
        cell = known.get(number, base)
        usual = math.sqrt(math.fsum(std**2 for std in stds[role]) / len(stds[role]))
        std = cell.std if number in known and cell and cell.std is not None else usual
        found.append(Prior(cell.mean if cell and cell.mean is not None else 0.0, _sample_std(std), PAPER_FREEDOM))
    return tuple(found)


def _claims(cells: Cells, plan: Plan, index: Mapping[str, int]) -> Iterator[Claim]:
    """The claims whose experiments are all in the plan, in the order of the paper."""
    sweep = dict(_sweep(plan, index))
    yield from _of_sweep(sweep)
    in_tables = {"spaces": against_dropnas("table4"), "best-pair": pairs_of_rates()}
    for name, pairs_of_cells in {**in_tables, "ablations": against_dropnas("table6")}.items():
        if all(key in cells for _, *pair in pairs_of_cells for key in pair):
            pairs = tuple(Contrast(label, (cells[low],), (cells[high],)) for label, low, high in pairs_of_cells)
            yield Claim(name, words()[name]["claim"], pairs)
    yield from _equal_rates(cells)
    yield from _baselines(cells, plan)


def _equal_rates(cells: Cells) -> Iterator[Claim]:
    paper = layout("table5")
    keys = [(row.key, column.key) for row in paper.rows for column in paper.columns]
    if all(("table5", *key) in cells for key in keys):
        equal = tuple(cells["table5", row, column] for row, column in keys if row == column)
        others = tuple(cells["table5", row, column] for row, column in keys if row != column)
        yield Claim("equal-rates", words()["equal-rates"]["claim"], (Contrast("equal rates", equal, others),))


def _sweep(plan: Plan, index: Mapping[str, int]) -> Iterator[tuple[tuple[str, str], int]]:
    """Yield `((role, name), experiment)` for each series of Figure 2; `name` is a drop path rate or a method."""
    for run in plan.targets.values():
        config = run.config
        if isinstance(config, FigureConfig) and config.figure == "figure2":
            for series in config.series:
                yield (series.panel, series.name), index[run.inputs[series.runs[0]].id]


def _of_sweep(sweep: Mapping[tuple[str, str], int]) -> Iterator[Claim]:
    best = {role: number for (role, name), number in sweep.items() if name == BEST_RATE}
    others = [(role, name) for role, name in sweep if name not in (BEST_RATE, *EXTREME_LABELS) and role in best]
    sides = {(role, float(name) < float(BEST_RATE)) for role, name in others}
    if sides >= {(role, lower) for role in SEARCHED for lower in (True, False)}:
        yield _worse_than_best("best-rate", {(role, name): name for role, name in others}, best, sweep)
    extremes = [(role, name) for role, name in sweep if name in EXTREME_LABELS and role in best]
    if len(extremes) == len(EXTREME_LABELS) * len(SEARCHED):
        labels = {(role, name): EXTREME_LABELS[name] for role, name in extremes}
        yield _worse_than_best("other-methods-rates", labels, best, sweep)


def _worse_than_best(
    id_: str, labels: Mapping[tuple[str, str], str], best: Mapping[str, int], sweep: Mapping[tuple[str, str], int]
) -> Claim:
    pairs = [
        Contrast(f"{ROLES[role].printed} {label}", (best[role],), (sweep[role, name],))
        for (role, name), label in labels.items()
    ]
    return Claim(id_, words()[id_]["claim"], tuple(pairs))


def _baselines(cells: Cells, plan: Plan) -> Iterator[Claim]:
    """For each baseline, yield the claim that DropNAS beats it on every data set for which the plan runs both."""
    labels: dict[str, str] = {}
    for config in (run.config for run in plan.targets.values() if isinstance(run.config, TableConfig)):
        if config.table == "baselines" and config.layout:
            labels |= {row.key: row.heads[1] for row in config.layout.rows}
            labels |= {entry.row: entry.label for entry in config.entries if entry.label}
    found: dict[str, list[Contrast]] = {}
    for (table, row, _), number in cells.items():
        role = row.partition("/")[0]
        own = cells.get((table, f"{role}/dropnas", "error"))
        if table == "baselines" and own is not None and own != number:
            found.setdefault(row.partition("/")[2], []).append(Contrast(ROLES[role].printed, (own,), (number,)))
    for method, contrasts in found.items():
        label = next(label for row, label in labels.items() if row.endswith(f"/{method}"))
        yield Claim(f"baseline-{method}", words()["baseline"]["claim"].format(label), tuple(contrasts))
