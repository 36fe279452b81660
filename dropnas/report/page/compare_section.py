"""Every testable number as a picture: the difference, ours minus the paper's, with its interval and the margin."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import ceil

from dropnas.artifacts.verdicts_file import CellVerdict
from dropnas.data.config import ROLES
from dropnas.report.config import TARGETS
from dropnas.report.page.phrases import interval, points
from dropnas.report.table import Table
from dropnas.report.verdicts import margin

MARKS = re.compile("(?<=[A-Za-z)])[¹²³⁴†\N{ASTERISK OPERATOR}]+$")  # marks that a caption of the paper explains
WIDTH = 100.0  # width of the picture in its own units; zero is in the middle
KINDS = {"mean": "", "best": "best of 8", "single": "single"}


@dataclass(frozen=True)
class Picture:
    """The labelled numbers of one table on one data set, on one scale.

    Attributes:
        name, data: names of the table and the data set.
        reach: end of the scale on either side, in points.
        margin: margin of equivalence, in points.
        bars: the numbers, each with its label.
    """

    name: str
    data: str
    reach: float
    margin: float
    bars: tuple[tuple[str, CellVerdict], ...]

    def at(self, value: float) -> float:
        """The position of a difference."""
        return round(WIDTH / 2 * (1 + value / self.reach), 2)


def pictures(tables: Mapping[str, Table], verdicts: Sequence[CellVerdict]) -> list[Picture]:
    """A picture for each table and data set with a tested number."""
    tested = [one for one in verdicts if one.interval]
    groups = groupby(tested, lambda one: (one.table, _data_set(one)))
    return [_picture(tables[table], data, list(own)) for (table, data), own in groups]


def _data_set(one: CellVerdict) -> str:
    """The data set, as the plan calls it, on which a number was measured."""
    role = one.row.partition("/")[0]
    return role if role in ROLES else TARGETS[one.table].needs[-1]


def _picture(table: Table, data: str, own: Sequence[CellVerdict]) -> Picture:
    name, within, called = table.content.table, margin(own[0].table, own[0].row), ROLES[data].printed
    reach = ceil(max(*(abs(end) for one in own for end in one.interval or ()), 2 * within) * 10) / 10
    return Picture(name, called, reach, within, tuple((_label(table, one, called), one) for one in own))


def _label(table: Table, one: CellVerdict, data: str) -> str:
    """A row's label without data set, citation and marks; with the column's label if the table has several errors."""
    row = MARKS.sub("", one.row_label.removeprefix(data).strip().partition(" [")[0])
    errors = [column for column in table.layout.columns if column.quantity.endswith("error")]
    column = next(column for column in table.layout.columns if column.key == one.column)
    shown = (column.header[1] or one.column_label) if len(errors) > 1 else ""
    return ", ".join(filter(None, (row, shown)))


def description(one: CellVerdict) -> str:
    """Describe a bar in words."""
    return f"ours {one.ours_text}, paper {one.paper_text}: {points(one.difference)} [{interval(one.interval)}] points"
