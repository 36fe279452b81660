"""Collects the evidence for the paper's claims: the tables, and the runs behind Figures 2, 4, 5 and Table 4.

Design choices: the evidence is read from the runs behind the figures, not from finished figures, so a claim is judged
as soon as its runs are complete.
"""

from collections.abc import Iterator, Mapping

from dropnas.analysis.finished_runs import read_run, read_training
from dropnas.artifacts.clusters_file import ClustersFile
from dropnas.artifacts.correlation_file import CorrelationFile
from dropnas.artifacts.genotype_file import GenotypeFile
from dropnas.data.config import ROLES
from dropnas.parsing import parse
from dropnas.report.claims import Evidence
from dropnas.report.config import FigureConfig, Series
from dropnas.report.page.complete import Complete
from dropnas.report.page.planned import Content
from dropnas.report.page.survey import Found
from dropnas.report.verdicts import RETRAINING
from dropnas.space.names import SKIP

SEARCHED_ON_CIFAR100 = "cifar100/original"  # key of a row in Table 4


def evidence(content: Content, found: Mapping[str, Found], complete: Mapping[str, Complete]) -> Evidence:
    """Collect the evidence from all runs that count.

    A drop path rate without runs is included with an empty list, because the best rate is unknown until the sweep is
    complete.
    """
    sweep: dict[str, dict[str, list[float]]] = {}
    for series, runs in _series("figure2", content, found):
        errors = [read_training(read_run(one.folder)).top1.best for one in runs]
        sweep.setdefault(series.panel, {})[series.name] = errors
    lone_points = {}
    for series, runs in _series("figure4", content, found):
        cells = [ClustersFile.read(one.folder).cells for one in runs]
        for position in ("first", "last"):
            alone = [bool(getattr(one, position).single_member) for one in cells]
            lone_points[f"{ROLES[series.panel].printed}, {position} cell"] = alone
    correlations = {}
    for series, runs in _series("figure5", content, found):
        for one in runs:
            read = CorrelationFile.read(one.folder)
            correlations[series.panel] = (read.pearson.value, read.n)
    return Evidence(
        tables={name: one.table for name, one in complete.items()},
        sweep=sweep,
        correlations=correlations,
        lone_points=lone_points,
        skips=_skips(complete["table4"]) if "table4" in complete else {},
    )


def _skips(table4: Complete) -> dict[str, list[float]]:
    """The number of skip-connects in each normal cell found on CIFAR-100, by method."""
    counts = {}
    for (row, method), folders in table4.trainings.items():
        if row == SEARCHED_ON_CIFAR100:
            first = {RETRAINING.sub("", folder.name): folder for folder in reversed(folders)}  # by architecture
            cells = [GenotypeFile.read(folder).normal for folder in reversed(first.values())]
            counts[method] = [float(sum(name == SKIP for name, _ in cell)) for cell in cells]
    return counts


def _series(name: str, content: Content, found: Mapping[str, Found]) -> Iterator[tuple[Series, list[Found]]]:
    """Yield each series of a figure with its runs that count. A figure that is not in the plan yields nothing."""
    if name in content.folders:
        target = content.target(name)
        config: FigureConfig = parse(FigureConfig, target.config, target.folder)
        inputs = [found[id_] for id_ in target.inputs]
        for series in config.series:
            yield series, [inputs[index] for index in series.runs if inputs[index].counts]
