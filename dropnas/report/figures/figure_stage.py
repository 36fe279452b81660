"""The figure stage: one of the paper's figures, or one of ours, from finished runs.

Design choices: the content of a figure is first collected as plain numbers with the runs behind them (figure.json); the
picture is drawn from these numbers only. No torch is needed, and equal runs give equal bytes. Every caveat is stated in
the picture's footer, because pictures are copied without their surroundings.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dropnas.analysis.finished_runs import distinct, read_run
from dropnas.artifacts.figure_file import FigureFacts, FigureFile
from dropnas.extension import load
from dropnas.report.config import FigureConfig
from dropnas.report.figures.drawing import Drawing
from dropnas.report.figures.series import Drawn, drawn, titles, trainings_behind
from dropnas.report.figures.sheet import SUFFIXES, footer, save, style
from dropnas.workspace import Workspace

NO_REPRODUCTION = (
    "No reproduction of the paper: profile '{profile}' runs on other data or in other sizes. Panels keep the paper's "
    "names only to show what they stand for."
)


def run(config: FigureConfig, inputs: Sequence[Path], out: Path, workspace: Workspace) -> dict[str, float]:
    """Write figure.json and the picture as SVG, PNG and PDF.

    Args:
        config: configuration of the figure, with the inputs of each series.
        inputs: published runs: clusters, retrainings, select, correlation or searches, as the figure needs.
        out: the folder to fill.
        workspace: receives a line of progress.

    Raises:
        DropnasError: an input is missing, damaged, of the wrong stage or has an invalid number.
    """
    series = drawn(config, [read_run(folder) for folder in inputs])
    drawing: Drawing = load(config.drawing)
    panels = drawing.panels(series)
    content = _content(config, series, panels, FigureFacts(drawing.head, tuple(drawing.facts(panels))))
    content.write(out)
    with style():
        figure = drawing.draw(panels, titles(series))
        footer(figure, foot(content))
        for suffix in SUFFIXES:
            save(figure, out / f"{config.figure}{suffix}")
    workspace.progress(f"{config.figure}: {len(config.series)} series from {len(inputs)} runs")
    return {}


def _content(config: FigureConfig, series: Sequence[Drawn], panels: dict[str, Any], facts: FigureFacts) -> FigureFile:
    """The content of figure.json: the numbers to draw, and the runs behind them."""
    trained = trainings_behind(run for one in series for run in one.runs)
    counts = [_count(one) for one in series]
    return FigureFile(
        figure=config.figure,
        caption=config.caption,
        profile=config.profile,
        reproduction=config.reproduction,
        hardware=distinct(run.device for run in trained),
        data=distinct(run.data for run in trained),
        n=(min(counts), max(counts)),
        panels=panels,
        facts=facts,
    )


def _count(series: Drawn) -> int:
    """The number of runs behind a series; for a selection, of the runs from which it was made."""
    return len(trainings_behind(series.runs) if series.runs[0].stage == "select" else series.runs)


def foot(content: FigureFile) -> list[str]:
    """The sentences below the caption: the profile, and whether the figure may be compared with the paper."""
    low, high = content.n
    facts = (
        f"Profile: {content.profile}. n = {low if low == high else f'{low} to {high}'}. "
        f"Data: {', '.join(content.data) or 'not recorded'}. "
        f"Hardware: {', '.join(content.hardware) or 'not recorded'}."
    )
    warning = [] if content.reproduction else [NO_REPRODUCTION.format(profile=content.profile)]
    return [facts, *warning]
