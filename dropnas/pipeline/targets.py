"""The last run of each table and figure: its configuration, and the runs that it reads, each listed once.

`table_experiments` and `figure_experiments` say which runs the cells and the series need. The published
baselines of Tables 1 to 3 are retrained under this protocol on request.
"""

from collections.abc import Iterable
from typing import Any

from dropnas.extension import load
from dropnas.pipeline.experiments import Experiments
from dropnas.report.config import (
    ARCHITECTURES,
    TARGETS,
    FigureConfig,
    PublishedConfig,
    PublishedEntry,
    Series,
    TableConfig,
    TrainedCell,
)
from dropnas.report.printed import layout
from dropnas.runs.identity import Run
from dropnas.space.published import Published, published


class Inputs(dict[str, Run]):
    """The inputs of a table or figure, by id. The configuration of the table or figure refers to them by position."""

    def positions(self, runs: Iterable[Run]) -> tuple[int, ...]:
        """Add the runs that are not yet inputs, and return the positions of all given runs."""
        runs = list(runs)
        self.update((run.id, run) for run in runs)
        place = {id_: position for position, id_ in enumerate(self)}
        return tuple(place[run.id] for run in runs)


def target_run(experiments: Experiments, name: str) -> Run:
    """The last run of a table or figure."""
    if name == ARCHITECTURES:
        return experiments.architectures()
    inputs, make = Inputs(), {"table": _table, "published": _published, "figure": _figure}[TARGETS[name].stage]
    config = make(experiments, name, inputs)
    return experiments.report(TARGETS[name].stage, name.replace("_", "-"), config, list(inputs.values()))


def _head(experiments: Experiments, name: str) -> tuple[str, str, bool]:
    return name, experiments.parameters.profile, experiments.parameters.reproduction


def _table(experiments: Experiments, name: str, inputs: Inputs) -> TableConfig:
    target = TARGETS[name]
    entries = tuple(
        TrainedCell(
            cell.row, cell.column, cell.label, inputs.positions(cell.searches), inputs.positions(cell.trainings)
        )
        for cell in load(target.experiments)(experiments)
    )
    own = load(target.layout) if target.layout else None
    own = own(experiments) if callable(own) else own
    return TableConfig(*_head(experiments, name), entries, experiments.parameters.select.criterion, own)


def _figure(experiments: Experiments, name: str, inputs: Inputs) -> FigureConfig:
    target = TARGETS[name]
    drawn = load(target.experiments)(experiments)
    series = tuple(Series(one.panel, one.name, one.label, inputs.positions(one.runs)) for one in drawn)
    return FigureConfig(*_head(experiments, name), series, drawing=target.drawing, caption=target.caption)


def _published(experiments: Experiments, name: str, inputs: Inputs) -> PublishedConfig:
    """The configuration of a table of published architectures.

    The table's first input is the run that counts the parameters and multiply-adds of the architectures.
    """
    inputs.positions([experiments.architectures()])
    named, own = experiments.parameters.published, experiments.own_architectures
    entries = []
    for architecture in (*(one for one in quoted(name) if not named or one.id in named), *own):
        of_user: Any = (architecture.name, architecture.genotype.values()) if architecture in own else ()
        trainings = inputs.positions(_trainings(experiments, name, architecture))
        entries.append(PublishedEntry(architecture.id, trainings, *of_user))
    return PublishedConfig(*_head(experiments, name), tuple(entries))


def quoted(name: str) -> list[Published]:
    """The published architectures that a table quotes."""
    return [one for one in published().values() if layout(name).name in one.paper_rows]


def _trainings(experiments: Experiments, name: str, architecture: Published) -> list[Run]:
    if layout(name).trainings == "transfer":
        return [experiments.published_transfer(architecture)]
    return experiments.published_retrainings(name, TARGETS[name].needs[-1], architecture)
