"""Every testable number as a picture: ours minus the paper's with its interval, on a scale with the margin."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import ceil

from dropnas.data.config import ROLES
from dropnas.report.model import Table
from dropnas.report.page.page_tables import anchor_of, data_set
from dropnas.report.page.phrases import interval, points
from dropnas.report.printed import title
from dropnas.report.verdicts import CellVerdict, margin

MARKS = re.compile("(?<=[A-Za-z)])[¹²³⁴†\N{ASTERISK OPERATOR}]+$")  # which a caption of the paper explains
WIDTH = 100.0  # of the picture, in its own units; zero lies in the middle


@dataclass(frozen=True)
class Bar:
    """A number: its label, its position in the picture, and what it says."""

    label: str
    kind: str
    low: float
    middle: float
    high: float
    difference: str
    verdict: str
    text: str
    anchor: str


@dataclass(frozen=True)
class Picture:
    """The numbers of one table on one data set, on one scale."""

    name: str
    title: str
    data: str
    scale: str
    margin: str
    margin_from: float
    margin_width: float
    bars: tuple[Bar, ...]


def pictures(tables: Mapping[str, Table], verdicts: Sequence[CellVerdict]) -> list[Picture]:
    """A picture for each table and data set with a tested number."""
    tested = [one for one in verdicts if one.interval]
    groups = groupby(tested, lambda one: (one.table, data_set(one.table, one.row)))
    return [_picture(tables[table], data, list(own)) for (table, data), own in groups]


def _picture(table: Table, data: str, own: Sequence[CellVerdict]) -> Picture:
    within = margin(table.name, own[0].row)
    ends = [abs(end) for one in own for end in one.interval or ()]
    reach = ceil(max(*ends, 2 * within) * 10) / 10

    def at(value: float) -> float:
        return round(WIDTH / 2 * (1 + value / reach), 2)

    bars = (_bar(table, one, ROLES[data].printed, at) for one in own)
    width = at(within) - at(-within)
    return Picture(
        table.name,
        title(table.name),
        ROLES[data].printed,
        f"±{reach:g}",
        f"±{within:g}",
        at(-within),
        width,
        tuple(bars),
    )


def _bar(table: Table, one: CellVerdict, data: str, at: Callable[[float], float]) -> Bar:
    low, high = one.interval or (0.0, 0.0)
    kind = {"mean": "", "best": "best of 8", "single": "single"}[one.kind]
    text = f"ours {one.ours_text}, paper {one.paper_text}: {points(one.difference)} [{interval(one.interval)}] points"
    row, column = _short(one.row_label, data), _column(table, one)
    label = " · ".join(filter(None, (row, column)))
    middle = one.difference or 0.0
    return Bar(
        label, kind, at(low), at(middle), at(high), points(middle), str(one.verdict), text, anchor_of(table, one)
    )


def _short(label: str, data: str) -> str:
    """A row's label without its data set, its citation and its marks."""
    return MARKS.sub("", label.removeprefix(data).strip().partition(" [")[0])


def _column(table: Table, one: CellVerdict) -> str:
    """The second line of a column's header; a table with one error needs none."""
    errors = [column for column in table.columns if column.quantity.endswith("error")]
    found = next(column for column in table.columns if column.key == one.column)
    return (found.header[1] or found.header[0]) if len(errors) > 1 else ""
