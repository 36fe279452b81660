"""What the claims of the paper are judged by beside the tables: the sweep of Figure 2 and the correlations of Figure 5.

Design choices: read from the runs behind the figures, not from finished figures, so that a claim is judged as soon as
its runs are there.
"""

from collections.abc import Iterator, Mapping

from dropnas.analysis.finished_runs import read_run, read_training
from dropnas.artifacts.correlation_file import CorrelationFile
from dropnas.parsing import parse
from dropnas.report.config import FigureConfig, Series
from dropnas.report.page.planned import Content
from dropnas.report.page.survey import Found

Sweep = dict[str, dict[str, list[float]]]
Correlations = dict[str, CorrelationFile]


def sweep(content: Content, found: Mapping[str, Found]) -> Sweep:
    """Best-on-test errors in percent of the runs of Figure 2 that count, by data set and drop path rate.

    A rate without runs stands there empty: nothing is best before all of the sweep is known.
    """
    errors: Sweep = {}
    for series, runs in _series("figure2", content, found):
        values = [read_training(read_run(one.folder)).top1.best for one in runs if one.counts]
        errors.setdefault(series.panel, {})[series.name] = values
    return errors


def correlations(content: Content, found: Mapping[str, Found]) -> Correlations:
    """What the correlation runs of Figure 5 found, by edge."""
    counting = ((series, one) for series, runs in _series("figure5", content, found) for one in runs if one.counts)
    return {series.panel: CorrelationFile.read(one.folder) for series, one in counting}


def _series(name: str, content: Content, found: Mapping[str, Found]) -> Iterator[tuple[Series, list[Found]]]:
    """The series of a figure of the plan, each with its runs; none where the plan lacks the figure."""
    if name not in content.folders:
        return
    target = content.target(name)
    config: FigureConfig = parse(FigureConfig, target.config, target.folder)
    inputs = [found[id_] for id_ in target.inputs]
    for series in config.series:
        yield series, [inputs[index] for index in series.runs]
