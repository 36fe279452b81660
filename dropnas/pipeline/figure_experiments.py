"""The experiments that appear in the paper's figures and in the figure of search trajectories."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from dropnas.config import Method
from dropnas.pipeline.baselines import requested
from dropnas.pipeline.experiments import DROPNAS, EXTREME_METHODS, ONE_LEVEL_DARTS, Experiments, at_rates
from dropnas.runs.identity import Run

FIGURE5_EDGES = ((0, 2), (4, 5))  # edges of Figure 5 as (predecessor, node): the first and the last edge of a cell


@dataclass(frozen=True)
class PlannedSeries:
    """Runs that form one series of a figure, as in `dropnas.report.config.Series`."""

    panel: str
    name: str
    label: str
    runs: list[Run]


def _clusters(target: str, method: Method) -> Callable[[Experiments], Iterator[PlannedSeries]]:
    """Figures 1 and 4: feature clusters of one method on both data sets, over the seeds."""

    def series(experiments: Experiments) -> Iterator[PlannedSeries]:
        for role in experiments.roles:
            searches, _ = experiments.experiment(target, role, method)
            yield PlannedSeries(
                role, method.strategy, method.label, [experiments.clusters(search) for search in searches]
            )

    return series


figure1, figure4 = _clusters("figure1", ONE_LEVEL_DARTS), _clusters("figure4", DROPNAS)


def figure2(experiments: Experiments) -> Iterator[PlannedSeries]:
    """The sweep of the drop path rate, and p_d = 0, 0.75, 0.875, which Section 5.1 mentions."""
    for role in experiments.roles:
        for rate in experiments.parameters.drop_rates:
            _, retrainings = experiments.experiment("figure2", role, at_rates(rate, rate))
            yield PlannedSeries(role, f"{rate:g}", f"r = {rate:g}", retrainings)
        for method in EXTREME_METHODS:
            yield PlannedSeries(role, method.strategy, method.label, experiments.experiment("figure2", role, method)[1])


def figure3(experiments: Experiments) -> Iterator[PlannedSeries]:
    """The best cells of DropNAS on each data set."""
    for role in experiments.roles:
        yield PlannedSeries(role, "", "", [experiments.best(role, DROPNAS)])


def figure5(experiments: Experiments) -> Iterator[PlannedSeries]:
    """Stand-alone accuracy against p, on two edges of the best normal cell found on CIFAR-10."""
    for predecessor, node in FIGURE5_EDGES:
        yield PlannedSeries(f"{predecessor},{node}", "", "", [experiments.correlation(node, predecessor)])


def trajectories(experiments: Experiments) -> Iterator[PlannedSeries]:
    """The alphas during searches with DropNAS, one-level DARTS and the user's methods.

    The baselines are included if the parameter file requests the table of baselines.
    """
    own = experiments.parameters
    compared = requested(own) if "baselines" in own.tables else []
    for role in experiments.roles:
        for method in (DROPNAS, ONE_LEVEL_DARTS, *compared, *own.methods):
            name = method.label if method in own.methods else method.strategy
            target = "baselines" if method in compared else "trajectories"
            yield PlannedSeries(role, name, method.label, experiments.experiment(target, role, method)[0])
