"""figure.json: the numbers of a figure, with the runs that they come from."""

from dataclasses import dataclass
from typing import Any, ClassVar

from dropnas.artifacts.json_file import JsonFile


@dataclass(frozen=True)
class FigureFacts:
    """The table below the picture, as text."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class FigureFile(JsonFile):
    """A figure."""

    FILE: ClassVar[str] = "figure.json"

    # figure, caption: its name and its caption
    figure: str
    caption: str
    # profile, reproduction: profile of the numbers, and whether they may be compared with the paper's
    profile: str
    reproduction: bool
    # hardware, data: distinct device models and data sets of its trainings
    hardware: tuple[str, ...]
    data: tuple[str, ...]
    n: tuple[int, int]  # smallest and largest number of runs of a series
    # the plotted values by panel; their form depends on the kind of figure, which may be a user's
    panels: dict[str, Any]
    facts: FigureFacts  # the numbers as text, for readers who cannot see the picture
