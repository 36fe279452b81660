"""What a plan takes in device-hours, as the page shows it. The page is given it: what makes plans works it out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from dropnas.report.page.planned import Content


class Hours(Protocol):
    """Device-hours: the number that the page sorts by; their text says whether some are unknown."""

    @property
    def known(self) -> float:
        """Those that are known."""


class Cost(Protocol):
    """What a target takes: all of its runs, and those that are not done."""

    @property
    def hours(self) -> Hours:
        """Of all."""

    @property
    def left(self) -> Hours:
        """Of those that are not done."""


@dataclass(frozen=True)
class PageCost:
    """What the targets and the total take, in which unit, and what that rests on."""

    targets: Mapping[str, Cost]
    whole: Cost | None
    note: str
    unit: str = "device-hours"


CostOf = Callable[[Content, Path], PageCost]  # of a plan, with the root of its store
