"""A table as the page shows it: each number of ours leads to its runs and carries its verdict."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dropnas.report.config import TARGETS
from dropnas.report.frame import Frame
from dropnas.report.grid import frame_of, text_of
from dropnas.report.model import Cell, Line, Row, Table
from dropnas.report.printed import title
from dropnas.report.render_latex import latex
from dropnas.report.render_markdown import markdown
from dropnas.report.verdicts import BEST_ON_TEST, CellVerdict

LINKED = {Line.FINAL: "final", Line.BEST: "best", Line.COUNTED: "counted"}
VERDICT_ORDER = ("agrees", "differs", "undecided", "too few runs", "not comparable")


@dataclass(frozen=True)
class PageCell:
    """A cell: its text, the anchor that it leads to (empty: none), its verdicts, that on the best before the mean."""

    text: str
    anchor: str = ""
    verdicts: tuple[CellVerdict, ...] = ()


@dataclass(frozen=True)
class PageRow:
    """A row of the paper: its labels, its lines (where the numbers come from, and the cells), its remarks."""

    heads: tuple[str, ...]
    lines: tuple[tuple[str, tuple[PageCell, ...]], ...]
    remarks: str = ""


@dataclass(frozen=True)
class PageTable:
    """A table, with its verdicts and its texts to copy: Markdown and LaTeX."""

    name: str
    title: str
    caption: str
    provenance: str
    heads: tuple[str, ...]
    columns: tuple[tuple[str, str], ...]
    rows: tuple[PageRow, ...]
    notes: tuple[str, ...]
    verdicts: tuple[CellVerdict, ...]
    tally: tuple[tuple[str, int], ...]
    copies: dict[str, str]


def page_table(table: Table, verdicts: Sequence[CellVerdict] = ()) -> PageTable:
    """One of the paper's tables, the baselines or a table of published architectures."""
    frame = frame_of(table)
    remarks = (
        [line.texts[-1] for line in frame.lines if line.texts[0]] if any(row.remarks for row in table.rows) else []
    )
    rows = (_row(table, at, row, verdicts, remarks[at] if remarks else "") for at, row in enumerate(table.rows))
    counts = Counter(str(one.verdict) for one in verdicts)
    return PageTable(
        name=table.name,
        title=title(table.name),
        caption=frame.caption,
        provenance=frame.provenance,
        heads=tuple(" ".join(filter(None, head)) or "Data set" for head in table.heads),
        columns=tuple(column.header for column in table.columns),
        rows=tuple(rows),
        notes=frame.notes,
        verdicts=tuple(verdicts),
        tally=tuple((word, counts[word]) for word in VERDICT_ORDER if counts[word]),
        copies={"Markdown": markdown(frame), "LaTeX": latex(frame)},
    )


def page_frame(name: str, frame: Frame) -> PageTable:
    """A table of texts that come from no run."""
    rows = (PageRow(line.texts[: frame.labels], (("", _plain(line.texts[frame.labels :])),)) for line in frame.lines)
    return PageTable(
        name=name,
        title=title(name),
        caption=frame.caption,
        provenance=frame.provenance,
        heads=tuple(" ".join(filter(None, head)) for head in frame.header[: frame.labels]),
        columns=frame.header[frame.labels :],
        rows=tuple(rows),
        notes=frame.notes,
        verdicts=(),
        tally=(),
        copies={"Markdown": markdown(frame), "LaTeX": latex(frame)},
    )


def anchor(table: str, row: int, column: int, line: Line) -> str:
    """The anchor on the page at which the origin of a number is stated."""
    return f"from-{table}-{row}-{column}-{LINKED[line]}"


def anchor_of(table: Table, verdict: CellVerdict) -> str:
    """The anchor of the number that a verdict is about."""
    row = [one.key for one in table.rows].index(verdict.row)
    return anchor(table.name, row, [one.key for one in table.columns].index(verdict.column), Line.BEST)


def data_set(table: str, row: str) -> str:
    """The data set, as the plan calls it, on which the errors of a row are measured."""
    role = row.partition("/")[0]
    return role if role.startswith(("cifar", "imagenet")) else TARGETS[table].needs[-1]


def _plain(texts: Sequence[str]) -> tuple[PageCell, ...]:
    return tuple(map(PageCell, texts))


def _row(table: Table, at: int, row: Row, verdicts: Sequence[CellVerdict], remarks: str) -> PageRow:
    lines = ((line.value, tuple(_cells(table, at, row, line, verdicts))) for line in row.lines)
    return PageRow(row.heads, tuple(lines), remarks)


def _cells(table: Table, at: int, row: Row, line: Line, verdicts: Sequence[CellVerdict]) -> Iterator[PageCell]:
    for place, (column, cell) in enumerate(zip(table.columns, row.cells, strict=True)):
        judged = (one for one in verdicts if (one.row, one.column) == (row.key, column.key))
        shown = [one for one in judged if line is Line.BEST and BEST_ON_TEST in one.quantity]
        yield PageCell(
            text_of(cell, line), anchor(table.name, at, place, line) if _has(cell, line) else "", tuple(reversed(shown))
        )


def _has(cell: Cell, line: Line) -> bool:
    return any(one.line is line for one in cell.ours)
