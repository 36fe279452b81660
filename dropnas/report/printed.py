"""The tables of the paper as printed: their layouts, captions and numbers, which are read from one data file.

Design choices: each number is stored as printed text and parsed when the file is read, so no digits are lost (2.60 does
not become 2.6). The layout is stored with the numbers, so that the same code builds all six tables. A mistake in the
file raises an error when the file is read.
"""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml

Quantity = Literal[
    "top1_error", "top5_error", "parameters", "search_days", "multiply_adds", "skip_connects", "improvement"
]
PRINTED_CORRELATIONS = {"0,2": (0.902, 7), "4,5": (0.352, 7)}  # Figure 5, with the number of points in each panel
NOTHING = "-"
PUBLISHED_SUFFIX = "_published"  # suffix of the name of a table of published baselines
NUMBER_PATTERN = r"\d+(?:\.\d+)?"
BEST_AND_MEAN = re.compile(rf"({NUMBER_PATTERN}) \(({NUMBER_PATTERN})±({NUMBER_PATTERN})\)")
MEAN = re.compile(rf"({NUMBER_PATTERN})(?:±({NUMBER_PATTERN}))?")


@dataclass(frozen=True)
class Printed:
    """One cell of a table in the paper.

    Attributes:
        text: the printed text.
        mean: the printed mean, or the printed number if there is only one; None if nothing is printed.
        std: the printed standard deviation. In the paper's own rows, this is the population standard deviation over
            eight seeds.
        best: the best result of several seeds, as printed.
    """

    text: str
    mean: float | None = None
    std: float | None = None
    best: float | None = None


@dataclass(frozen=True)
class Column:
    """A column of numbers: its key, the two lines of its header, and its content."""

    key: str
    header: tuple[str, str]
    quantity: Quantity


@dataclass(frozen=True)
class PrintedRow:
    """A row of a table in the paper: its key, its labels, its cells, and whether a line is drawn above it.

    A cell is None if the paper has no such cell.
    """

    key: str
    heads: tuple[str, ...]
    cells: tuple[Printed | None, ...]
    rule: bool


@dataclass(frozen=True)
class Layout:
    """The layout and the printed numbers of a table, which may be a table that is not in the paper.

    Attributes:
        name, caption: name and caption of the table.
        number: number of the table in the paper; None if the table is not in the paper.
        trainings: the stage that trains the architectures of the table.
        style: the format of our errors: `best-and-mean` gives "2.26 (2.58±0.14)", `mean` gives "2.68±0.10".
        decimals: number of decimal places of our errors, the same as in the paper.
        open: where methods and spaces that are not in the paper may be added: as `rows`, as `columns`, as `both`, or
            `nowhere`.
        heads: the headers of the label columns.
        columns, rows: the columns and rows of the table.
        notes: further notes on how to read the table, one or two sentences each.
    """

    name: str
    number: int | None
    caption: str
    trainings: Literal["retrain", "transfer"]
    style: Literal["mean", "best-and-mean"]
    decimals: int
    open: Literal["rows", "columns", "both", "nowhere"]
    heads: tuple[tuple[str, str], ...]
    columns: tuple[Column, ...]
    rows: tuple[PrintedRow, ...]
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row.cells) != len(self.columns) or len(row.heads) != len(self.heads):
                raise ValueError(f"{self.name}, row {row.key}: {len(row.cells)} cells, {len(row.heads)} labels")

    @property
    def row_is_method(self) -> bool:
        """Whether one entry fills a whole row (errors, parameters and cost of one method), as in Tables 1-3."""
        return any(column.quantity == "parameters" for column in self.columns)


def parse_printed(text: str) -> Printed:
    """Read a printed cell. Raises ValueError if the paper's tables do not use its format."""
    if text == NOTHING:
        return Printed(text)
    if match := BEST_AND_MEAN.fullmatch(text):
        lowest, mean, std = map(float, match.groups())
        return Printed(text, mean=mean, std=std, best=lowest)
    if match := MEAN.fullmatch(text):
        return Printed(text, mean=float(match[1]), std=None if match[2] is None else float(match[2]))
    raise ValueError(f"not a printed number: {text!r}")


@cache
def layouts() -> dict[str, Layout]:
    """The paper's six tables by name."""
    return {name: _layout(name, entry) for name, entry in _data("printed.yaml").items()}


def layout(table: str) -> Layout:
    """The paper's table with this name or, for a table of published baselines, the paper's table that quotes them."""
    return layouts()[table.removesuffix(PUBLISHED_SUFFIX)]


def printed_cell(table: str, row: str, column: str) -> Printed:
    """The paper's printed cell."""
    paper = layout(table)
    cells = {one.key: one.cells for one in paper.rows}[row]
    cell = dict(zip((one.key for one in paper.columns), cells, strict=True))[column]
    assert cell is not None
    return cell


def title(name: str) -> str:
    """The title of a table or figure: "Table 4", "Published baselines of Table 1", "Figure 2", "Baselines"."""
    if name == "architectures":
        return "Published architectures"
    words = re.sub(r"(?<=[a-z])(?=\d)", " ", name.removesuffix(PUBLISHED_SUFFIX)).replace("_", " ").capitalize()
    return f"Published baselines of {words}" if name.endswith(PUBLISHED_SUFFIX) else words


def behind(table: str) -> dict[str, list[str] | str]:
    """For each row of the paper's table, the ids of its published architectures, or the reason why it has none."""
    found: dict[str, list[str] | str] = _data("published_rows.yaml")[table.removesuffix(PUBLISHED_SUFFIX)]
    return found


@cache
def _data(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(Path(__file__).with_name(name).read_text(encoding="utf-8"))
    return found


def _layout(name: str, entry: dict[str, Any]) -> Layout:
    """Make a layout; the dataclass rejects unknown and missing keys."""
    own = {
        "name": name,
        "heads": tuple(map(tuple, entry["heads"])),
        "columns": tuple(_column(key, **column) for key, column in entry["columns"].items()),
        "rows": tuple(_row(key, **row) for key, row in entry["rows"].items()),
    }
    return Layout(**{**entry, **own})


def _column(key: str, *, header: list[str], quantity: Quantity) -> Column:
    top, bottom = header
    return Column(key, (top, bottom), quantity)


def _row(
    key: str, *, label: str, cells: list[str], citation: str = "", marks: str = "", group: str = "", rule: bool = False
) -> PrintedRow:
    full = (f"{label} [{citation}]" if citation else label) + marks
    heads = (group, full) if group else (full,)
    return PrintedRow(key, heads, tuple(map(parse_printed, cells)), rule)
