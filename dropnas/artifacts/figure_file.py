"""figure.json: the numbers of a figure."""

from dataclasses import dataclass
from typing import Any, ClassVar

from dropnas.artifacts.json_file import JsonFile


@dataclass(frozen=True)
class FigureFacts:
    """The table below the picture."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class FigureFile(JsonFile):
    FILE: ClassVar[str] = "figure.json"

    figure: str  # its name
    caption: str
    profile: str
    reproduction: bool  # whether the numbers may be compared with the paper's
    # hardware, data: distinct device models and data sets of its trainings
    hardware: tuple[str, ...]
    data: tuple[str, ...]
    n: tuple[int, int]  # smallest and largest number of runs in a series
    panels: dict[str, Any]  # the plotted values; their form depends on the figure
    facts: FigureFacts  # the numbers as text, for readers who cannot see the picture
