"""Draws the difference of every testable number, ours minus the paper's, with its interval and the margin."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import ceil

from dropnas.artifacts.verdicts_file import CellVerdict
from dropnas.data.config import ROLES
from dropnas.report.config import TARGETS
from dropnas.report.table import Table
from dropnas.report.verdicts import margin

CAPTION_MARKS = re.compile("(?<=[A-Za-z)])[¹²³⁴†\N{ASTERISK OPERATOR}]+$")  # marks that a caption of the paper explains


@dataclass(frozen=True)
class DifferencesPicture:
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


def pictures(tables: Mapping[str, Table], verdicts: Sequence[CellVerdict]) -> list[DifferencesPicture]:
    """A picture for each table and data set with a tested number."""
    tested = [one for one in verdicts if one.interval]
    groups = groupby(tested, lambda one: (one.table, _data_set(one)))
    return [_picture(tables[table], ROLES[data].printed, list(own)) for (table, data), own in groups]


def _data_set(one: CellVerdict) -> str:
    """The name (as in ROLES) of the data set on which a number was measured."""
    role = one.row.partition("/")[0]
    return role if role in ROLES else TARGETS[one.table].needs[-1]


def _picture(table: Table, data: str, own: Sequence[CellVerdict]) -> DifferencesPicture:
    within = margin(own[0].table, own[0].row)
    reach = ceil(max(*(abs(end) for one in own for end in one.interval or ()), 2 * within) * 10) / 10
    bars = tuple((_label(table, one, data), one) for one in own)
    return DifferencesPicture(own[0].table, data, reach, within, bars)


def _label(table: Table, one: CellVerdict, data: str) -> str:
    """A row's label without data set, citation and marks, with the column's label if several columns have errors."""
    row = CAPTION_MARKS.sub("", one.row_label.removeprefix(data).strip().partition(" [")[0])
    errors = [column for column in table.layout.columns if column.quantity.endswith("error")]
    bottom = next(column.header[1] for column in table.layout.columns if column.key == one.column)
    return ", ".join(filter(None, (row, (bottom or one.column_label) if len(errors) > 1 else "")))
