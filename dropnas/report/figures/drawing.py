"""The parts of a figure: its series of runs, its numbers, its picture, and the numbers as a table."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

from dropnas.analysis.finished_runs import FinishedRun

Panels = Mapping[str, Any]
Facts = Iterator[tuple[str, ...]]


@dataclass(frozen=True)
class DrawnSeries:
    """A series of the configuration with its runs.

    Attributes:
        panel, name, label: as in `dropnas.report.config.Series`.
        runs: the runs of the series, at least one.
        reproduction: whether the paper's numbers may be shown too.
    """

    panel: str
    name: str
    label: str
    runs: tuple[FinishedRun, ...]
    reproduction: bool = False

    @property
    def run_names(self) -> list[str]:
        """The names of the runs' folders."""
        return [run.name for run in self.runs]


@dataclass(frozen=True)
class Drawing:
    """One kind of figure, registered by name in `dropnas.report.config`.

    Attributes:
        panels: collects the content of each panel from the series, as JSON values.
        draw: makes the picture; it uses only this content and the titles of the panels.
        head: the columns of the table of numbers below the picture.
        facts: the lines of that table.
    """

    panels: Callable[[Sequence[DrawnSeries]], dict[str, Any]]
    draw: Callable[[Panels, Mapping[str, str]], Figure]
    head: tuple[str, ...]
    facts: Callable[[Panels], Facts]


def by_panel(series: Iterable[DrawnSeries]) -> dict[str, list[DrawnSeries]]:
    """The series of each panel, in the order of the panels."""
    panels: dict[str, list[DrawnSeries]] = {}
    for one in series:
        panels.setdefault(one.panel, []).append(one)
    return panels


def number(value: float | None) -> str:
    """Format a number of the table with three significant digits."""
    return "undefined" if value is None else f"{value:.3g}"
