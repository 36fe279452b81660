"""selection.json: which of several retrainings was chosen as the best, and by which criterion."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from dropnas.artifacts.json_file import JsonFile


@dataclass(frozen=True)
class Candidate:
    """A retraining to choose from."""

    run: str  # name of its folder
    top1_error_final: float  # test error after the last epoch, in percent
    top1_error_best: float  # the lowest test error of any epoch, in percent
    held_out_error: float | None = None  # the lowest error on held-out training images; None if no images were held out


@dataclass(frozen=True)
class SelectionFile(JsonFile):
    """The candidates in the order of the inputs, and the name of the chosen one."""

    FILE: ClassVar[str] = "selection.json"

    run: str
    criterion: Literal["best", "final", "held-out"]
    candidates: tuple[Candidate, ...]

    def __post_init__(self) -> None:
        if self.run not in [candidate.run for candidate in self.candidates]:
            raise ValueError(f"{self.run!r} is not a candidate")
