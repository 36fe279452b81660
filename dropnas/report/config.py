"""The tables and figures, and their configurations. The plan imports this module, so it must not import torch.

A configuration contains everything that its table or figure needs. A new table therefore changes no existing run.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

from dropnas.report.printed import Layout


@dataclass(frozen=True)
class Target:
    """A table or figure that a parameter file can request.

    Attributes:
        stage: the stage that makes the table or figure. The stage `published` makes tables of published architectures
            that are retrained here.
        needs: the data sets of the paper that the target requires. The errors in a table are measured on the last of
            these data sets, unless the rows of the table name their data sets.
        experiments: `module:ATTRIBUTE` of a function that takes an Experiments object and yields the cells of a table
            or the series of a figure, with their runs; empty for the stage `published`.
        drawing, caption: for a figure, the `module:ATTRIBUTE` of its Drawing, and a caption of one sentence.
        layout: for a table that is not in `printed.yaml`, the `module:ATTRIBUTE` of its Layout, or of a function that
            takes an Experiments object and returns the Layout.
        on_request: whether the target is built only if requested by name.
        priority: if a plan must fit into a budget, the targets with the lowest priority are removed first.
    """

    stage: Literal["table", "published", "figure"]
    needs: tuple[str, ...]
    experiments: str = ""
    drawing: str = ""
    caption: str = ""
    layout: str = ""
    on_request: bool = False
    priority: int = 0


ARCHITECTURES = "architectures"  # name of the table with the parameters of published architectures, and of its stage
TABLE_EXPERIMENTS, FIGURE_EXPERIMENTS = "dropnas.pipeline.table_experiments", "dropnas.pipeline.figure_experiments"
BASELINE_EXPERIMENTS = "dropnas.pipeline.baselines"
ON_CIFAR10, ON_CIFAR = ("cifar10",), ("cifar10", "cifar100")


def _figure(name: str, drawing: str, priority: int, caption: str) -> Target:
    experiments, drawing = f"{FIGURE_EXPERIMENTS}:{name}", f"dropnas.report.figures.{drawing}"
    return Target("figure", ON_CIFAR10, experiments, drawing=drawing, caption=caption, priority=priority)


# Every table and figure by its name in a parameter file, in the order of the page. To add one, see docs/extending.md.
TARGETS: dict[str, Target] = {
    "table1": Target("table", ON_CIFAR10, f"{TABLE_EXPERIMENTS}:table1", priority=15),
    "table2": Target("table", ("cifar100",), f"{TABLE_EXPERIMENTS}:table2", priority=14),
    "table3": Target("table", (*ON_CIFAR, "imagenet"), f"{TABLE_EXPERIMENTS}:table3", priority=10),
    "table4": Target("table", ON_CIFAR, f"{TABLE_EXPERIMENTS}:table4", priority=13),
    "table5": Target("table", ON_CIFAR10, f"{TABLE_EXPERIMENTS}:table5", priority=11),
    "table6": Target("table", ON_CIFAR, f"{TABLE_EXPERIMENTS}:table6", priority=12),
    "baselines": Target(
        "table",
        ON_CIFAR10,
        f"{BASELINE_EXPERIMENTS}:cells",
        layout=f"{BASELINE_EXPERIMENTS}:layout",
        on_request=True,
        priority=3,
    ),
    "table1_published": Target("published", ON_CIFAR10, on_request=True, priority=2),
    "table2_published": Target("published", ("cifar100",), on_request=True, priority=1),
    "table3_published": Target("published", ("imagenet",), on_request=True),
    "figure1": _figure(
        "figure1",
        "cluster_plots:CLUSTER_PLOTS",
        6,
        "Feature clusters of the operations on edge E(0,2) after a search by one-level DARTS.",
    ),
    "figure2": _figure(
        "figure2",
        "rates:RATE_CURVES",
        5,
        "Test accuracy of the found architectures against the drop path rate; mean and sample deviation over the "
        "trainings.",
    ),
    "figure3": _figure(
        "figure3",
        "cell_drawings:CELL_DRAWINGS",
        9,
        "The best cells that DropNAS found, each the best of n retrainings.",
    ),
    "figure4": _figure(
        "figure4",
        "cluster_plots:CLUSTER_PLOTS",
        7,
        "Feature clusters of the operations on edge E(0,2) after a search by DropNAS.",
    ),
    "figure5": _figure(
        "figure5",
        "correlation_plots:CORRELATIONS",
        4,
        "Stand-alone accuracy of each operation on two edges against its p in the search; a training each.",
    ),
    "trajectories": _figure(
        "trajectories",
        "trajectories:TRAJECTORIES",
        8,
        "What the alphas do during the searches: entropy of p, skip-connects kept, changes of the genotype; mean over "
        "the seeds, bands are their range.",
    ),
}


def names(*stages: str) -> list[str]:
    """The names of the targets that these stages make."""
    return [name for name, target in TARGETS.items() if target.stage in stages]


class _Strict:
    """Base class of configurations that reject unknown keys and values of the wrong type."""

    __pydantic_config__ = {"extra": "forbid", "strict": True}


@dataclass(frozen=True)
class TrainedCell(_Strict):
    """A table cell that shows results of our runs.

    Attributes:
        row, column: keys of the cell, as in `printed.yaml`; a user's method has its own row or column.
        label: the label of a row or column that the paper does not have; empty for the paper's rows and columns.
        searches: indices of the cell's search runs among the inputs of the table.
        trainings: indices of the cell's retrain or transfer runs among the inputs of the table.
    """

    row: str
    column: str
    label: str = ""
    searches: tuple[int, ...] = ()
    trainings: tuple[int, ...] = ()


@dataclass(frozen=True)
class TableConfig(_Strict):
    """One table of one profile.

    Attributes:
        table: name of the table in TARGETS.
        profile: name of the parameter file's profile.
        reproduction: whether the numbers may be compared with the paper's; False for smoke, mini and other data sets.
        entries: the cells that show results of our runs.
        criterion: the error that determines which of several seeds is best, as in the select stage.
        layout: the layout of a table that is not in `printed.yaml`.
    """

    table: str
    profile: str
    reproduction: bool
    entries: tuple[TrainedCell, ...] = field(default=())
    criterion: Literal["best", "final", "held-out"] = "best"
    layout: Layout | None = None


@dataclass(frozen=True)
class PublishedEntry(_Strict):
    """A published architecture that was trained here.

    Attributes:
        architecture: its id in `dropnas/space/published.yaml`, or the id of the user's own architecture.
        trainings: indices of its retrain or transfer runs among the inputs.
        label, genotype: name and cells of the user's own architecture; empty for a published one.
    """

    architecture: str
    trainings: tuple[int, ...]
    label: str = ""
    genotype: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class PublishedConfig(_Strict):
    """The published baselines of Table 1, 2 or 3, retrained here; the first input is the `architectures` run.

    Attributes:
        table: name of the table.
        profile, reproduction: as in TableConfig.
        entries: the architectures, in the order of published.yaml.
    """

    table: str
    profile: str
    reproduction: bool
    entries: tuple[PublishedEntry, ...]


@dataclass(frozen=True)
class Series(_Strict):
    """Runs that are drawn together, as a curve, as a point with an error bar, or as a cell.

    Attributes:
        panel: the panel of the figure: `cifar10`, `cifar100`, or an edge such as `0,2`.
        name: a method (`dropnas`) or a drop path rate (`3e-05`); empty if the panel has a single series.
        label: its name in a legend.
        runs: indices of its runs among the figure's inputs.
    """

    panel: str
    name: str
    label: str
    runs: tuple[int, ...]


@dataclass(frozen=True)
class FigureConfig(_Strict):
    """One figure of one profile.

    Attributes:
        figure: name of the figure in TARGETS.
        profile, reproduction: as in TableConfig.
        series: the series to draw, in order.
        drawing: `module:ATTRIBUTE` of its Drawing.
        caption: the sentence below the figure.
    """

    figure: str
    profile: str
    reproduction: bool
    series: tuple[Series, ...]
    drawing: str
    caption: str
