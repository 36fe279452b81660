"""The verdicts and claims as the page shows them: every outcome has a word and a sign, so that no colour is needed."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dropnas.report.by_looks import by_looks
from dropnas.report.looked import Looked
from dropnas.report.model import Line, Table
from dropnas.report.page.lines import anchor
from dropnas.report.printed import title
from dropnas.report.verdicts import CellVerdict, verdicts

SIGNS = {
    "agrees": "=",
    "differs": "≠",
    "undecided": "?",
    "too few runs": "…",
    "not comparable": "-",
    "holds": "✓",
    "contradicted": "✕",
    "done": "✓",
    "running": "…",
    "missing": "○",
    "excluded": "✕",
}


@dataclass(frozen=True)
class PageVerdict:
    """A verdict, and the place on the page that says where our number comes from."""

    cell: CellVerdict
    anchor: str
    difference: str
    interval: str


@dataclass(frozen=True)
class PageVerdicts:
    """The verdicts of one table, and how many there are of each."""

    name: str
    title: str
    verdicts: tuple[PageVerdict, ...]
    counts: tuple[tuple[str, int], ...]


def page_verdicts(tables: Mapping[str, Table], looked: Looked | None = None) -> list[PageVerdicts]:
    """The verdicts of each table that has some; of a sequential plan those of its looks."""
    judged = [(table, by_looks(looked, verdicts(table))) for table in tables.values()]
    return [_of_table(table, found) for table, found in judged if found]


def _of_table(table: Table, found: Sequence[CellVerdict]) -> PageVerdicts:
    counts = Counter(str(one.verdict) for one in found)
    return PageVerdicts(
        table.name, title(table.name), tuple(_verdict(table, one) for one in found), tuple(counts.most_common())
    )


def _verdict(table: Table, one: CellVerdict) -> PageVerdict:
    rows = [row.key for row in table.rows]
    columns = [column.key for column in table.columns]
    place = anchor(table, rows.index(one.row), columns.index(one.column), Line.BEST) if one.runs else ""
    interval = f"{one.interval[0]:+.2f} to {one.interval[1]:+.2f}" if one.interval else ""
    difference = "" if one.difference is None else f"{one.difference:+.2f}"
    return PageVerdict(one, place, difference, interval)
