"""What a figure is made of: how its numbers are gathered, drawn, and described for readers who cannot see it."""

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
        panels: gathers what is drawn from the series, as JSON values by panel.
        draw: makes the picture from these and the titles of the panels alone.
        head: the columns of the table of numbers below the picture.
        facts: the lines of that table.
    """

    panels: Callable[[Sequence[Drawn]], dict[str, Any]]
    draw: Callable[[Panels, Mapping[str, str]], Figure]
    head: tuple[str, ...]
    facts: Callable[[Panels], Facts]


def number(value: float | None) -> str:
    """A number of that table, with three digits."""
    return "undefined" if value is None else f"{value:.3g}"
