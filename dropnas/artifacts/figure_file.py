"""figure.json: the numbers that a figure is drawn from, with the runs that they come from."""

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
    """A figure.

    Attributes:
        figure, caption: its name, and what it shows.
        profile, reproduction: whose numbers they are, and whether they may be compared with the paper's.
        hardware, data: distinct device models and data sets of the trainings behind it.
        n: the fewest and the most runs of a series.
        panels: what is drawn, by the name of the panel; each kind of figure, a user's too, has values of its own.
        facts: the numbers for readers who cannot see the picture.
    """

    FILE: ClassVar[str] = "figure.json"

    figure: str
    caption: str
    profile: str
    reproduction: bool
    hardware: tuple[str, ...]
    data: tuple[str, ...]
    n: tuple[int, int]
    panels: dict[str, Any]
    facts: FigureFacts
