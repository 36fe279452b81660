"""The figure stage: draws one of the paper's figures, or one of ours, from finished runs.

Design choices: the numbers of a figure and the names of the runs behind it are first collected in figure.json, and the
picture is drawn only from these numbers. torch is not needed, and the same runs give identical files. Every caveat is
stated in the picture's footer, because pictures are copied without their context. The hardware and data of a figure are
those of the trainings behind it, which are found through the receipts.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from dropnas.analysis.finished_runs import FinishedRun, distinct, read_run
from dropnas.artifacts.figure_file import FigureFacts, FigureFile
from dropnas.artifacts.receipt_file import ReceiptFile
from dropnas.data.config import ROLES
from dropnas.errors import DropnasError
from dropnas.extension import load
from dropnas.report.config import FigureConfig
from dropnas.report.figures.drawing import Drawing, DrawnSeries, by_panel
from dropnas.report.figures.sheet import METADATA, footer, save, style
from dropnas.workspace import Workspace

NETWORK_STAGES = ("search", "retrain", "transfer", "clusters")  # stages that train or analyse a network
FIGURE_REMARK = (
    "Not a reproduction of the paper: profile '{profile}' uses other data or other sizes. Panels keep the paper's "
    "names only to show which of its panels they correspond to."
)


def run(config: FigureConfig, inputs: Sequence[Path], out: Path, workspace: Workspace) -> dict[str, float]:
    """Write figure.json and the picture as SVG, PNG and PDF.

    Args:
        inputs: clusters, retrain, select, correlation or search runs, as the figure needs.

    Raises:
        DropnasError: an input is missing or damaged, has the wrong stage, or contains an invalid number.
    """
    series = _drawn(config, [read_run(folder) for folder in inputs])
    drawing: Drawing = load(config.drawing)
    panels = drawing.panels(series)
    trained = _trainings_behind(run for one in series for run in one.runs)
    counts = [len(_trainings_behind(one.runs) if one.runs[0].stage == "select" else one.runs) for one in series]
    content = FigureFile(
        figure=config.figure,
        caption=config.caption,
        profile=config.profile,
        reproduction=config.reproduction,
        hardware=distinct(run.device for run in trained),
        data=distinct(run.data for run in trained),
        n=(min(counts), max(counts)),
        panels=panels,
        facts=FigureFacts(drawing.head, tuple(drawing.facts(panels))),
    )
    content.write(out)
    with style():
        figure = drawing.draw(panels, {panel: _title(panel, ones) for panel, ones in by_panel(series).items()})
        footer(figure, foot(content))
        for suffix in METADATA:
            save(figure, out / f"{config.figure}{suffix}")
    workspace.progress(f"{config.figure}: {len(config.series)} series from {len(inputs)} runs")
    return {}


def foot(content: FigureFile) -> list[str]:
    """The sentences of the footer: profile, n, data and hardware, and a warning if the figure is not a reproduction."""
    facts = (
        f"Profile: {content.profile}. n = {' to '.join(map(str, dict.fromkeys(content.n)))}. "
        f"Data: {', '.join(content.data) or 'not recorded'}. "
        f"Hardware: {', '.join(content.hardware) or 'not recorded'}."
    )
    warning = [] if content.reproduction else [FIGURE_REMARK.format(profile=content.profile)]
    return [facts, *warning]


def _drawn(config: FigureConfig, runs: Sequence[FinishedRun]) -> list[DrawnSeries]:
    if not config.series:
        raise DropnasError("no series to draw", where=config.figure)
    made = []
    for one in config.series:
        if not one.runs or not all(0 <= position < len(runs) for position in one.runs):
            where = f"{config.figure}, panel {one.panel!r}, series {one.name!r}"
            raise DropnasError(f"runs {list(one.runs)} of {len(runs)} inputs", where=where)
        own = tuple(runs[position] for position in one.runs)
        made.append(DrawnSeries(one.panel, one.name, one.label, own, config.reproduction))
    return made


def _title(panel: str, series: Iterable[DrawnSeries]) -> str:
    """The title of a panel: the paper's data set and, if it differs, the data set used instead."""
    if panel not in ROLES:
        return panel
    paper = ROLES[panel].printed
    data = distinct(run.data for run in _trainings_behind(run for one in series for run in one.runs))
    return paper if data in ((panel,), ()) else f"{', '.join(data)} as {paper}"


def _trainings_behind(runs: Iterable[FinishedRun]) -> list[FinishedRun]:
    """Find the runs that trained or analysed a network, starting from the given runs and following their inputs.

    The inputs of such a run are not followed further. Inputs that are no longer on disk are left out.
    """
    return list({run.folder: run for one in runs for run in _behind(one)}.values())


def _behind(run: FinishedRun) -> Iterator[FinishedRun]:
    if run.stage in NETWORK_STAGES:
        yield run
        return
    for name in ReceiptFile.read(run.folder).inputs:
        for folder in run.folder.parent.parent.glob(f"*/{name}"):
            if ReceiptFile.file(folder).is_file():
                yield from _behind(read_run(folder))
