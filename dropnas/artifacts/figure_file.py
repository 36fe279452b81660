"""figure.json: the numbers that a figure is drawn from, with the runs that they come from."""

from dataclasses import dataclass
from typing import Any, ClassVar

from dropnas.artifacts.clusters_file import ClustersCells
from dropnas.artifacts.correlation_file import Correlation
from dropnas.artifacts.genotype_file import GenotypeFile
from dropnas.artifacts.json_file import JsonFile


@dataclass(frozen=True)
class FigureFile(JsonFile):
    """A figure.

    Attributes:
        figure: its name.
        profile, reproduction: whose numbers they are, and whether they may be compared with the paper's.
        hardware, data: distinct device models and data sets of the trainings behind it.
        n: the fewest and the most runs of a series.
        panels: what is drawn, by the name of the panel; each figure has a class below.
    """

    FILE: ClassVar[str] = "figure.json"

    figure: str
    profile: str
    reproduction: bool
    hardware: tuple[str, ...]
    data: tuple[str, ...]
    n: tuple[int, int]
    panels: dict[str, Any]


@dataclass(frozen=True)
class ClusterStatistics:
    """How far the parameterised operations lie from their group, over the seeds.

    Attributes:
        silhouette_parameterised_mean, silhouette_parameterised_std: their silhouette; sample deviation, None of one.
        single_member_share: share of the seeds in which one of them is alone in its cluster.
        n: how many seeds.
    """

    silhouette_parameterised_mean: float
    silhouette_parameterised_std: float | None
    single_member_share: float
    n: int


@dataclass(frozen=True)
class PlaceStatistics:
    """The statistics of the first and of the last cell."""

    first: ClusterStatistics
    last: ClusterStatistics


@dataclass(frozen=True)
class ClustersPanel:
    """The clusters of the run that is shown, and the statistics over all runs."""

    shown: str
    cells: ClustersCells
    statistics: PlaceStatistics
    runs: tuple[str, ...]


@dataclass(frozen=True)
class ClustersFigure(FigureFile):
    """Figures 1 and 4, by data set."""

    panels: dict[str, ClustersPanel]


@dataclass(frozen=True)
class RatePoint:
    """A drop path rate, or a method (rate None): the errors of its trainings in percent, best on test and final."""

    name: str
    label: str
    rate: float | None
    best: tuple[float, ...]
    final: tuple[float, ...]
    runs: tuple[str, ...]


@dataclass(frozen=True)
class RatesFigure(FigureFile):
    """Figure 2, by data set."""

    panels: dict[str, tuple[RatePoint, ...]]


@dataclass(frozen=True)
class GenotypePanel:
    """A genotype and the run that chose it."""

    genotype: GenotypeFile
    run: str


@dataclass(frozen=True)
class GenotypesFigure(FigureFile):
    """Figure 3, by data set."""

    panels: dict[str, GenotypePanel]


@dataclass(frozen=True)
class CorrelationPanel(Correlation):
    """A correlation and the run that computed it."""

    run: str


@dataclass(frozen=True)
class CorrelationsFigure(FigureFile):
    """Figure 5, by edge."""

    panels: dict[str, CorrelationPanel]


@dataclass(frozen=True)
class Band:
    """Mean, lowest and highest of several searches, by epoch."""

    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True)
class MethodCourse:
    """What the searches of a method did over their epochs.

    Attributes:
        name, label: the method.
        epochs: their numbers.
        p_normal, p_reduce: p of each operation, mean over edges and searches, by epoch.
        entropy_normal, entropy_reduce: of p, in nats.
        skips_normal, skips_reduce: skip-connects that the genotype would keep.
        changes: edges of the genotype that changed.
        runs: names of the searches.
    """

    name: str
    label: str
    epochs: tuple[int, ...]
    p_normal: dict[str, tuple[float, ...]]
    p_reduce: dict[str, tuple[float, ...]]
    entropy_normal: Band
    entropy_reduce: Band
    skips_normal: Band
    skips_reduce: Band
    changes: Band
    runs: tuple[str, ...]


@dataclass(frozen=True)
class CoursesFigure(FigureFile):
    """The courses of the searches, by data set."""

    panels: dict[str, tuple[MethodCourse, ...]]
