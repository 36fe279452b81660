"""The parts of a figure: its numbers, its picture, and its description for readers who cannot see it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

from dropnas.report.figures.series import Drawn

Panels = Mapping[str, Any]
Facts = Iterator[tuple[str, ...]]


@dataclass(frozen=True)
class Drawing:
    """One kind of figure, registered by name in `dropnas.report.config`.

    Attributes:
        panels: collects the content of each panel from the series, as JSON values.
        draw: makes the picture from this content and the titles of the panels only.
        head: the columns of the table of numbers below the picture.
        facts: the lines of that table.
    """

    panels: Callable[[Sequence[Drawn]], dict[str, Any]]
    draw: Callable[[Panels, Mapping[str, str]], Figure]
    head: tuple[str, ...]
    facts: Callable[[Panels], Facts]


def number(value: float | None) -> str:
    """Format a number of that table with three digits."""
    return "undefined" if value is None else f"{value:.3g}"
